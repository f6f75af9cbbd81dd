"""What is on disk: run folders, checkpoints, locks, histories and generator files."""

import logging

# Where matplotlib keeps its fonts is of no interest to whoever trains, least of all where a home is read-only.
NOISE = ("mkdir -p failed", "created a temporary cache directory", "is building the font cache")


def _is_worth_telling(record: logging.LogRecord) -> bool:
    return not any(noise in record.getMessage() for noise in NOISE)


for _name in ("matplotlib", "matplotlib.font_manager"):
    logging.getLogger(_name).addFilter(_is_worth_telling)
