"""Who drew a picture, and how; and drawing it again."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlet import paths
from ganlet.engine.devices import choose_device
from ganlet.errors import CheckpointError, ConfigError
from ganlet.games import Game
from ganlet.games.drawn import BATCH
from ganlet.images import opaque
from ganlet.latent.space import Points, Space
from ganlet.paths import printable
from ganlet.runs import checkpoint
from ganlet.runs.archive import is_generator_file
from ganlet.runs.cells import compose, difference, fits
from ganlet.runs.certificate import Certificate, pixels_hash
from ganlet.runs.folder import RunFolder
from ganlet.runs.hub import given_run
from ganlet.runs.picture_files import FILMS, LOSSY, decode, encode, read
from ganlet.workflows.arguments import require_truncation
from ganlet.workflows.drawing import Drawing, points_in
from ganlet.workflows.generators import Trained, open_generator, open_generator_file
from ganlet.workflows.sampling import sampled_points

ROUNDING = 1  # grey levels by which another machine may draw otherwise
# Grey levels by which a page may draw otherwise (`ganlet.export.web`), by how it keeps its weights.
PAGE_ROUNDING = {"fp32": 1, "fp16": 2, "int10": 6, "int8": 20}
LOSS = 6  # grey levels on average that an MP4 may lose
MOST = 1_000_000  # pictures of a seed that are drawn anew to find the batch of one


@dataclass(frozen=True, eq=False)
class Origin:
    """What is known of a picture or film.

    Attributes:
        certificate: what it says of itself.
        unchanged: whether its pixels are those that the certificate was written for.
        drawn: the same drawn again, where the weights were at hand.
        difference: grey levels by which a pixel of it differs at most from that, 0 is bit-equal; of an MP4, whose codec
            loses detail, by which pixels differ on average.
    """

    path: Path
    certificate: Certificate
    unchanged: bool
    drawn: Drawing | None = None
    difference: int | None = None

    @property
    def lossy(self) -> bool:
        """Whether pixels do not come back from such a file as they were drawn."""
        return self.path.suffix.lower() == LOSSY

    @property
    def rounding(self) -> int:
        """Grey levels by which an honest picture may differ from what is drawn again."""
        how = self.certificate.how
        if how.get("verb") == "page":  # its weights are rounded
            return PAGE_ROUNDING.get(str(how.get("precision")), ROUNDING)
        return LOSS if self.lossy else ROUNDING

    @property
    def verdict(self) -> str:
        """One word for programs: "same", "rounded", "changed", or "unchecked" without the weights."""
        if not self.unchanged or (self.difference or 0) > self.rounding:
            return "changed"
        return {None: "unchecked", 0: "same"}.get(self.difference, "rounded")

    def __str__(self) -> str:
        certificate, how = self.certificate, dict(self.certificate.how)
        maker = certificate.maker
        verb = how.pop("verb", "draw")
        told = "; ".join(f"{name} {_in_words(value)}" for name, value in how.items() if value not in (None, [], ""))
        cells = f"{len(certificate)} pictures" if len(certificate) > 1 else "one picture"
        lines = [
            f"{paths.printable(self.path)}: {cells}, drawn by ganlet {certificate.version}",
            f"  by:       weights {maker.weights}, {maker.images_seen:,} images seen; run {maker.run}",
            f"  how:      {verb}{f' ({told})' if told else ''}",
            f"  pixels:   {'as they were drawn' if self.unchanged else 'CHANGED since they were drawn'}",
        ]
        if self.difference is not None:
            rounded = "the same but for one grey level: another machine rounds otherwise"
            if verb == "page":
                levels = f"{self.difference} grey level{'s' if self.difference > 1 else ''}"
                rounded = f"the same but for up to {levels}: the page that drew it keeps its weights rounded"
            elif self.lossy:
                rounded = f"the same but for what the format loses, {self.difference} grey levels on average"
            apart = f"{'on average' if self.lossy else 'up to'} {self.difference} grey levels APART"
            said = {"same": "the same in every bit", "rounded": rounded}
            lines.append(f"  again:    {said.get(self.verdict, apart if self.difference else 'the same as before')}")
        return "\n".join(lines)


def _in_words(value: Any) -> str:
    """Plain data as people read it: lists without brackets and quotes."""
    return ", ".join(map(_in_words, value)) if isinstance(value, list | tuple) else str(value)


def whence(
    picture: str | os.PathLike[str],
    run: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    game: Game | None = None,
) -> Origin:
    """Who drew a picture or film, by its certificate; with a run (or a generator.safetensors) it is drawn again.

    The weights are looked for in the run's generator and in its checkpoints. Raises `ConfigError` for a picture without
    a certificate, for one whose certificate was changed, and where the run does not have the weights.
    """
    path = paths.given(picture)
    frames, text = read(path)
    if text is None:
        raise ConfigError(
            "This picture carries no certificate.",
            where=printable(path),
            expected="a PNG, WebP, GIF or MP4 as ganlet wrote it: other programs drop certificates when they save",
            hint=f"look for its latent: ganlet explore RUN invert {printable(path)}",
        )
    certificate = Certificate.from_text(text, printable(path))
    origin = Origin(path, certificate, pixels_hash(frames) == certificate.pixels)
    if run is None:
        return origin
    if not len(certificate):
        hint = "each sheet in the folder samples can be: ganlet whence RUN/samples/000064000.png RUN"
        raise ConfigError(
            "What shows many moments of a run is not drawn again as one.", where=printable(path), hint=hint
        )
    trained = _drawn_by(certificate, given_run(run), choose_device(device), game)
    drawn = _again(certificate, trained)
    return replace(origin, drawn=drawn, difference=_difference(frames, drawn, path.suffix.lower()))


def _drawn_by(certificate: Certificate, path: Path, device: torch.device, game: Game | None) -> Trained:
    """The generator of these weights: the run's own, or that of a checkpoint of the same moment."""
    wanted, found = certificate.maker, []
    if is_generator_file(path):
        candidates = [lambda: open_generator_file(path, device, game)]
    else:
        folder = RunFolder.open(path)
        candidates = [lambda: open_generator(folder, None, device, game=game)] if folder.generator_path.exists() else []
        moments = checkpoint.moments(folder.checkpoints_path)
        moments = sorted(moments, key=lambda moment: moment != wanted.images_seen)
        candidates += [lambda moment=moment: open_generator(folder, moment, device, game=game) for moment in moments]
    for candidate in candidates:
        try:
            trained = candidate()
        except CheckpointError:  # a damaged one cannot be the one
            continue
        if trained.maker.weights == wanted.weights:
            return trained
        found.append(f"{trained.maker.weights[:12]} at {trained.images_seen:,} images")
    raise ConfigError(
        "The weights that drew this picture are not here.",
        where=printable(path),
        got=", ".join(dict.fromkeys(found)) or "no generator",
        expected=f"weights {wanted.weights[:12]}, {wanted.images_seen:,} images seen, of run {wanted.run}",
        hint="give the run that drew it; its checkpoint may have been pruned since",
    )


def _again(certificate: Certificate, trained: Trained) -> Drawing:
    """What the certificate says, drawn again, in the batches of before."""
    space = Space(trained.generator)
    values, labels = certificate.values, certificate.labels
    num_labels = 0 if labels is None else labels[0].size
    one = space.shape[-1:] if certificate.space == "latents" else space.shape
    if values.shape[1:] not in (one, space.shape) or num_labels != trained.config.data.num_labels:
        raise ConfigError(
            "The certificate of this picture does not fit the generator that it names.",
            got=f"points of shape {values.shape[1:]}, {num_labels} labels",
            expected=f"points of shape {tuple(space.shape)}, {trained.config.data.num_labels} labels",
        )
    points = points_in(certificate, space)
    batch, place = _batch_of(certificate, points, trained, space)
    pictures = space.pictures(batch)
    if place is not None:
        pictures = pictures[place : place + 1]
    return Drawing(pictures, points, trained.maker, space.points_are, certificate.how, boxes=certificate.boxes)


def _batch_of(certificate: Certificate, points: Points, trained: Trained, space: Space) -> tuple[Points, int | None]:
    """The points that were drawn at once, for a device rounds otherwise in other batches, and which of them is meant.

    A sheet has them all. Of single pictures of a seed the others are drawn from the seed.
    """
    how = certificate.how
    index, num, seed = (how[name] if isinstance(how.get(name), int) else -1 for name in ("index", "num", "seed"))
    if seed < 0 or not 0 <= index < num <= MOST:
        return points, None
    names, truncation = how.get("label_names") or [], how.get("truncation")
    if not isinstance(names, list):
        return points, None
    require_truncation(truncation)
    together = sampled_points(trained, space, num, seed, names, truncation)
    start = index // BATCH * BATCH
    batch, place = together[start : start + BATCH], index - start
    if not torch.equal(batch.values[place : place + 1], points.values):  # this torch draws other numbers from the seed
        return points, None
    return batch, place


def _difference(frames: np.ndarray, drawn: Drawing, suffix: str) -> int:
    """The most grey levels by which what is there differs from what was drawn again."""
    assert drawn.boxes is not None
    height, width = drawn.pictures.shape[1:3]
    # Frames of a film that are equal come back as one, so there may be fewer than were drawn.
    there = np.broadcast_to(frames[:1], (len(drawn), *frames.shape[1:])) if suffix in FILMS else frames
    if not fits(there, drawn.boxes, (height, width)):
        return 255
    if suffix not in FILMS:
        return int(difference(frames, drawn.pictures, drawn.boxes).max())
    if suffix == LOSSY:
        expected = np.stack([opaque(frame) for frame in compose(drawn.pictures, drawn.boxes)])
        height, width = expected.shape[1:3]
        there = frames[:, :height, :width]
        return 255 if there.shape != expected.shape else math.ceil(np.abs(expected.astype(int) - there).mean())
    # A film is compared as it comes back from its format, which drops colours, or frames that are equal.
    drawn_frames = compose(drawn.pictures, drawn.boxes)[:, : frames.shape[1], : frames.shape[2]]  # not all have an edge
    expected, _ = decode(encode(drawn_frames, suffix), suffix)
    if expected.shape != frames.shape:
        return 255
    return int(np.abs(expected.astype(int) - frames).max())
