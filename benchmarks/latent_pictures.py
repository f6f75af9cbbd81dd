"""The pictures of docs/guide/latent.md: what the lab does with a run on smileys, one file each.

    python benchmarks/latent_pictures.py RUN [--out docs/pictures]

RUN is a finished run of `ganlet train smileys --preset quick --set seed=1`; it is copied, and nothing is added to it.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from ganlet.workflows.lab.lab import Lab


def draw(run: Path, out: Path) -> None:
    """Draw all of them from a run."""
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copytree(run, Path(folder) / run.name, ignore=shutil.ignore_patterns("checkpoints", "lab"))
        lab = Lab.open(copied, device="cpu")
        lab.grid(3, 8, 12, 5, rows=6, columns=10).save(out / "latent-grid.png")
        lab.find_directions(["verdicts"])
        lab.edit(along=["glasses"]).save(out / "latent-edit.png")
        lab.invert().drawing.save(out / "latent-invert.png")
        lab.paint(8, keep="top")[0].save(out / "latent-paint.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    asked = parser.parse_args()
    draw(asked.run, asked.out)


if __name__ == "__main__":
    main()
