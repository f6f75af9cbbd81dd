"""The embedded picture set: smileys drawn by code at any size, whose modes are known.

A face is a pure function of (seed, index). Its discrete attributes are things that a person can name; each combination
of them is a mode of the set and has a label. Its continuous attributes vary place, size and line width a little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from ganlet.data.smiley_shapes import Canvas, Shape, arc, bar, circle, common, ellipse, grown, point
from ganlet.randomness import derive

DEFAULT_COUNT = 20_000

# Chosen so that also in grey any two of them, and the line on each, are told apart.
FACE_COLOURS = {"yellow": "#ffcb45", "pink": "#f07fa8", "green": "#55b870", "blue": "#4787de"}
BACKGROUNDS = {"cream": "#fff7e4", "sky": "#cdeaf8", "lilac": "#bfaee0"}
INKS = {"line": "#2b2135", "white": "#ffffff", "red": "#e2484d"}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's mode L

# In halves of the picture's shorter side: the middle of the face is a little low, to leave room for a hat.
FACE_RADIUS, FACE_Y = 0.8, 0.06
SHIFT = 0.04
SCALE = 0.05
LINE_WIDTH = 0.15
CHUNK_PIXELS = 2**18  # drawn at once: enough to hide the cost of calls, few enough for the cache


@dataclass(frozen=True)
class Part:
    """One shape in one ink, grown by `width + stroke * line_width` face radii; the ink may be the face's colour."""

    shape: Shape
    ink: str
    width: float = 0.0
    stroke: float = 0.0


def _open_eye(x: float) -> tuple[Part, ...]:
    return Part(ellipse(x, -0.2, 0.16, 0.24), "line"), Part(point(x - 0.05, -0.3), "white", 0.052)


def _closed_eye(x: float) -> tuple[Part, ...]:
    return (Part(arc(x, -0.11, 0.18, -0.15), "line", stroke=0.072),)


def _lens(x: float) -> tuple[Part, ...]:
    return Part(point(x, -0.2), "white", 0.32), Part(circle(x, -0.2, 0.32), "line", stroke=0.05)


def _temple(left: float, right: float) -> tuple[Part, ...]:
    return (Part(bar(left, -0.25, right, -0.25), "line", stroke=0.05),)


def _laugh() -> tuple[Part, ...]:
    jaw = grown(point(0, 0.25), 0.48)
    mouth, teeth, tongue = bar(-1, 0.25, 1, 1), bar(-1, 0.25, 1, 0.41), grown(point(0, 0.81), 0.25)
    return (
        Part(common(jaw, mouth), "line", stroke=0.08),
        Part(common(jaw, teeth), "white"),
        Part(common(jaw, tongue), "red"),
    )


# Lengths are in face radii from the middle of the face; later parts are painted over earlier ones.
HEAD = (Part(point(0, 0), "line", 1.0), Part(point(0, 0), "face", 1.0, stroke=-0.09))
EXPRESSIONS: dict[str, tuple[Part, ...]] = {
    "smile": (Part(arc(0, 0.29, 0.53, 0.34), "line", stroke=0.1),),
    "neutral": (Part(bar(-0.46, 0.45, 0.46, 0.45), "line", stroke=0.1),),
    "sad": (Part(arc(0, 0.59, 0.46, -0.32), "line", stroke=0.1),),
    "surprised": (Part(ellipse(0, 0.46, 0.28, 0.33), "line"),),
    "laughing": _laugh(),
}
EYES: dict[str, tuple[Part, ...]] = {
    "open": (*_open_eye(-0.38), *_open_eye(0.38)),
    "wink": (*_open_eye(-0.38), *_closed_eye(0.38)),
    "closed": (*_closed_eye(-0.38), *_closed_eye(0.38)),
}
ACCESSORIES: dict[str, tuple[Part, ...]] = {
    "none": (),
    "glasses": (*_lens(-0.38), *_lens(0.38), *_temple(-0.9, -0.7), *_temple(-0.06, 0.06), *_temple(0.7, 0.9)),
    "hat": (
        Part(bar(-0.59, -1.12, 0.59, -0.7), "line", 0.05),
        Part(bar(-0.64, -0.91, 0.64, -0.75), "red"),
        Part(bar(-0.84, -0.69, 0.84, -0.67), "line", 0.07),
    ),
}

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "face_colour": tuple(FACE_COLOURS),
    "background": tuple(BACKGROUNDS),
    "expression": tuple(EXPRESSIONS),
    "eyes": tuple(EYES),
    "accessory": tuple(ACCESSORIES),
}
# What a face has or has not, by names that say so without the attribute they belong to.
ATTRIBUTE_NAMES: tuple[str, ...] = (
    *(f"face {colour}" for colour in FACE_COLOURS),
    *(f"background {colour}" for colour in BACKGROUNDS),
    *EXPRESSIONS,
    *(f"eyes {look}" for look in EYES),
    *("no accessory" if thing == "none" else thing for thing in ACCESSORIES),
)
RADICES = tuple(len(values) for values in ATTRIBUTES.values())
NUM_MODES = int(np.prod(RADICES))


@dataclass(frozen=True)
class Attributes:
    """N faces. The discrete attributes are int64 (N,), indices into `ATTRIBUTES`; the others are float32 (N,).

    `shift_x` and `shift_y` move the face right and down, in halves of the picture's shorter side; `scale` and
    `line_width` are factors.
    """

    face_colour: np.ndarray
    background: np.ndarray
    expression: np.ndarray
    eyes: np.ndarray
    accessory: np.ndarray
    shift_x: np.ndarray
    shift_y: np.ndarray
    scale: np.ndarray
    line_width: np.ndarray

    def __len__(self) -> int:
        return len(self.face_colour)

    def __getitem__(self, which: slice | np.ndarray) -> Attributes:
        return Attributes(*(getattr(self, field.name)[which] for field in fields(self)))


def labels_of(attributes: Attributes) -> np.ndarray:
    """The mode of each face, int64 (N,) in [0, NUM_MODES): discrete attributes as digits, the last varies fastest."""
    digits = tuple(getattr(attributes, name) for name in ATTRIBUTES)
    return np.asarray(np.ravel_multi_index(digits, RADICES), np.int64)


def attributes_from_label(labels: np.ndarray) -> Attributes:
    """The plainest face of each mode (N,): in place, and of middle size and line width."""
    digits = dict(zip(ATTRIBUTES, np.unravel_index(labels, RADICES), strict=True))
    zero, one = np.zeros(len(labels), np.float32), np.ones(len(labels), np.float32)
    return Attributes(**digits, shift_x=zero, shift_y=zero, scale=one, line_width=one)


def attribute_vectors(labels: np.ndarray) -> np.ndarray:
    """What the faces of modes (N,) have: uint8 (N, 18), a 1 for each of `ATTRIBUTE_NAMES` that is true."""
    digits = np.unravel_index(labels, RADICES)
    values = [np.eye(radix, dtype=np.uint8)[digit] for digit, radix in zip(digits, RADICES, strict=True)]
    return np.concatenate(values, axis=1)


def label_name(label: int) -> str:
    """A mode in words."""
    digits = np.unravel_index(label, RADICES)
    face, background, expression, eyes, accessory = (
        values[digit] for values, digit in zip(ATTRIBUTES.values(), digits, strict=True)
    )
    worn = "no accessory" if accessory == "none" else accessory
    return f"{face} face, {background} background, {expression}, eyes {eyes}, {worn}"


LABEL_NAMES: tuple[str, ...] = tuple(label_name(label) for label in range(NUM_MODES))


def attributes_of(seed: int, indices: np.ndarray) -> Attributes:
    """The faces at `indices` (N,) of the set that `seed` names; discrete attributes are uniform and independent.

    Each attribute of each face is one output of SplitMix64 (Steele, Lea & Flood 2014), reached directly by its place in
    the sequence, so a face does not depend on which others are asked for.
    """
    num = len(fields(Attributes))
    place = np.asarray(indices).astype(np.uint64) * np.uint64(num) + np.arange(1, num + 1, dtype=np.uint64)[:, None]
    bits = np.uint64(derive(seed, "smileys")) + place * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = (bits ^ (bits >> np.uint64(31))) >> np.uint64(40)

    discrete, continuous = bits[: len(RADICES)], bits[len(RADICES) :].astype(np.float32)
    digits = (discrete * np.array(RADICES, np.uint64)[:, None] >> np.uint64(24)).astype(np.int64)
    shift_x, shift_y, scale, line_width = continuous * np.float32(2**-23) - 1  # in [-1, 1)
    return Attributes(
        **dict(zip(ATTRIBUTES, digits, strict=True)),
        shift_x=SHIFT * shift_x,
        shift_y=SHIFT * shift_y,
        scale=1 + SCALE * scale,
        line_width=1 + LINE_WIDTH * line_width,
    )


def draw(attributes: Attributes, size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Draw faces as uint8 (N, H, W, C); C is 1: luma of the colours, 3: colours, 4: no background, but alpha."""
    pictures = np.empty((len(attributes), *size, channels), np.uint8)
    step = max(1, CHUNK_PIXELS // (size[0] * size[1]))
    for start in range(0, len(attributes), step):
        chunk = slice(start, start + step)
        pictures[chunk] = _draw_chunk(attributes[chunk], size, channels)
    return pictures


def draw_indices(seed: int, indices: np.ndarray, size: tuple[int, int], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """The faces at `indices` (N,) of the set that `seed` names: pictures uint8 (N, H, W, C) and labels int64 (N,)."""
    attributes = attributes_of(seed, indices)
    return draw(attributes, size, channels), labels_of(attributes)


def _draw_chunk(attributes: Attributes, size: tuple[int, int], channels: int) -> np.ndarray:
    canvas = _blank(attributes, size, channels)
    each = np.zeros(len(attributes), np.int64)
    inks = {name: _inks([code], channels)[each] for name, code in INKS.items()}
    inks["face"] = _inks(FACE_COLOURS.values(), channels)[attributes.face_colour]
    line_width = attributes.line_width[:, None, None]
    for which, part in _parts(attributes):
        width = np.float32(part.width) + np.float32(part.stroke) * line_width[which]
        canvas.paint(which, part.shape, width, inks[part.ink][which])

    planes = canvas.planes
    if channels == 4:
        # Painting over nothing leaves colours weighted by alpha; under no alpha at all the colour stays black.
        planes[:, :3] *= 255 / np.maximum(planes[:, 3:], 1)
    planes += 0.5
    return planes.astype(np.uint8).transpose(0, 2, 3, 1)


def _parts(attributes: Attributes) -> Iterator[tuple[np.ndarray | slice, Part]]:
    """What to paint, in order, and into which faces."""
    for part in HEAD:
        yield slice(None), part
    for name, table in (("accessory", ACCESSORIES), ("eyes", EYES), ("expression", EXPRESSIONS)):
        values = getattr(attributes, name)
        for value, parts in enumerate(table.values()):
            which = np.flatnonzero(values == value)
            if len(which):
                for part in parts:
                    yield which, part


def _blank(attributes: Attributes, size: tuple[int, int], channels: int) -> Canvas:
    """A canvas with nothing but the backgrounds, or fully transparent."""
    half = min(size) / 2
    radius = FACE_RADIUS * attributes.scale[:, None, None]
    middle_x, middle_y = attributes.shift_x[:, None, None], attributes.shift_y[:, None, None] + FACE_Y
    y, x = (((np.arange(side) + 0.5 - side / 2) / half).astype(np.float32) for side in size)
    planes = np.zeros((len(attributes), channels, *size), np.float32)
    if channels != 4:
        planes += _inks(BACKGROUNDS.values(), channels)[attributes.background]
    return Canvas(planes, (x[None, None, :] - middle_x) / radius, (y[None, :, None] - middle_y) / radius, radius * half)


def _inks(codes: Iterable[str], channels: int) -> np.ndarray:
    """Colours written as '#rrggbb' as float32 (K, C, 1, 1)."""
    rgb = np.array([list(bytes.fromhex(code[1:])) for code in codes], np.float32)
    if channels == 1:
        rgb = (rgb * LUMA).sum(axis=1, keepdims=True)
    elif channels == 4:
        rgb = np.pad(rgb, ((0, 0), (0, 1)), constant_values=255)
    return rgb[:, :, None, None]
