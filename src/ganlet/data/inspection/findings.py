"""What is remarkable about a set of pictures; `docs/inspect.md` explains each finding."""

from __future__ import annotations

from collections.abc import Callable

from ganlet.data.inspection import content_checks, file_checks
from ganlet.data.inspection.examination import Examination
from ganlet.data.inspection.finding import SEVERITIES, Finding
from ganlet.data.settings import DataConfig


def find(examination: Examination, data: DataConfig) -> list[Finding]:
    """All findings, the gravest first; `data` says how the pictures would be trained with."""
    found = [finding for check in CHECKS if (finding := check(examination, data))]
    found = [*file_checks.refused_files(examination.survey, data), *found]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


CHECKS: tuple[Callable[[Examination, DataConfig], Finding | None], ...] = (
    content_checks.values,
    file_checks.few,
    content_checks.contradictions,
    content_checks.equal,
    content_checks.blank,
    file_checks.classes,
    content_checks.small,
    content_checks.shapes,
    content_checks.low_contrast,
    content_checks.mixed_colour,
    content_checks.near,
    content_checks.outliers,
    file_checks.ignored,
    file_checks.grey_files,
    file_checks.transparency,
    file_checks.turned,
    file_checks.animated,
    file_checks.depths,
)
