"""How many pictures are on a page: the larger they are, the fewer, for it is sent around as one file."""

from __future__ import annotations

from dataclasses import dataclass

from ganlet.workflows.lab.lab import Lab

SMALL, MIDDLING = 32 * 32 * 4, 64 * 64 * 4  # numbers in a picture


@dataclass(frozen=True)
class Amounts:
    """Numbers of pictures.

    Attributes:
        side: of the sheet between four pictures.
        frames: of the film, a multiple of its stations.
        directions, faces: that sliders are there for, and pictures that each moves.
        mapped: generated pictures on the map, and as many training pictures.
        nearest: training pictures that are shown beside each.
        matrix: rows and columns of a matrix of mixtures.
    """

    side: int = 13
    frames: int = 40
    directions: int = 8
    faces: int = 5
    mapped: int = 100
    nearest: int = 2
    matrix: tuple[int, int] = (4, 5)

    @classmethod
    def of(cls, lab: Lab) -> Amounts:
        """What fits the pictures of a generator."""
        height, width = lab.trained.config.data.size
        channels = lab.trained.config.data.channels
        assert isinstance(channels, int), "the config of a run is resolved"
        numbers = height * width * channels
        if numbers <= SMALL:
            return cls()
        if numbers <= MIDDLING:
            return cls(11, 32, 6, 4, 60, 1, (4, 4))
        return cls(9, 24, 5, 3, 40, 1, (3, 4))
