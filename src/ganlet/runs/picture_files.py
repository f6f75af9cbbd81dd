"""Files of pictures and films that carry certificates: PNG, WebP, GIF, and MP4 through an extra.

PNG and WebP are lossless here, so pixels come back bit by bit; a GIF has 256 colours a frame, an MP4 loses detail.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError, features

from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.images import PIL_MODES, opaque, to_pil
from ganlet.paths import printable
from ganlet.runs.certificate import Certificate, pixels_hash

STILL, FILMS = ".png", (".webp", ".gif", ".mp4")
LOSSY = ".mp4"
FORMATS = ["PNG", "WEBP", "GIF"]
KEY = "ganlet"  # of the text in a PNG
EXIF_DESCRIPTION = 0x010E
FRAME_MS = 60
EFFORT = 3  # of WebP, from 0, the fastest, to 6


def certified(
    frames: np.ndarray, suffix: str, certificate: Certificate | None, frame_ms: int = FRAME_MS, effort: int = EFFORT
) -> bytes:
    """A file of frames, see `encode`, with a certificate that also knows its pixels."""
    if certificate is None:
        return encode(frames, suffix, None, frame_ms, effort)
    if suffix == STILL:
        return encode(frames, suffix, replace(certificate, pixels=pixels_hash(frames)).to_text())
    # A film comes back otherwise than it went in: fewer colours, equal frames as one, in an MP4 less detail.
    data = encode(frames, suffix, None, frame_ms, effort)
    text = replace(certificate, pixels=pixels_hash(decode(data, suffix)[0])).to_text()
    return _with_text(data, text) if suffix == LOSSY else encode(frames, suffix, text, frame_ms, effort)


def encode(
    frames: np.ndarray, suffix: str, text: str | None = None, frame_ms: int = FRAME_MS, effort: int = EFFORT
) -> bytes:
    """A file of frames uint8 (F, H, W, C); a `suffix` of `FILMS` makes them move, in a PNG there is but one.

    `text` is the certificate; the `effort` for a smaller WebP changes no pixel. Raises `EnvironmentProblem` where what
    the format needs is not installed.
    """
    if suffix == LOSSY:
        data = _encode_mp4(frames, frame_ms)
        return data if text is None else _with_text(data, text)
    buffer, said = io.BytesIO(), described(suffix[1:], text)
    if suffix == ".png":
        to_pil(frames[0]).save(buffer, "PNG", **said)
        return buffer.getvalue()
    options: dict[str, Any] = {"save_all": True, "duration": frame_ms, "loop": 0, **said}
    if suffix == ".webp":
        if not features.check("webp"):
            hint = "write a GIF: --out FILE.gif"
            raise EnvironmentProblem("This Pillow was built without WebP.", where="--out", hint=hint)
        # kmax=1: each frame stands for itself. Else a small change between two of them is dropped.
        options |= {"lossless": True, "exact": True, "kmax": 1, "method": effort}
        first, *others = [_coloured(frame) for frame in frames]
    else:
        options |= {"optimize": False, "disposal": 2}
        first, *others = [_coloured(frame).quantize(256, dither=Image.Dither.NONE) for frame in frames]
    first.save(buffer, suffix[1:], append_images=others, **options)
    return buffer.getvalue()


def described(form: str, text: str | None) -> dict[str, Any]:
    """What Pillow is told so that a PNG, WebP or GIF carries a text."""
    if text is None:
        return {}
    if form.upper() == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text(KEY, text)
        return {"pnginfo": info}
    if form.upper() == "GIF":
        return {"comment": text.encode()}
    exif = Image.Exif()
    exif[EXIF_DESCRIPTION] = text
    return {"exif": exif}


def read(path: Path) -> tuple[np.ndarray, str | None]:
    """Frames uint8 (F, H, W, C) of a picture or film, and the text of its certificate if it has one.

    Raises `ConfigError` where it cannot be read.
    """
    with _errors_explained(path):
        return decode(path.read_bytes(), path.suffix.lower())


def certificate_text(path: Path) -> str | None:
    """The text of the certificate of a picture or film; None where it has none. Raises as `read` does."""
    with _errors_explained(path):
        if path.suffix.lower() == LOSSY:
            return decode(path.read_bytes(), LOSSY)[1]
        with Image.open(path, formats=FORMATS) as image:
            return _text_of(image)


def decode(data: bytes, suffix: str) -> tuple[np.ndarray, str | None]:
    """What `encode` gave, as it comes back: frames and text. Raises OSError, SyntaxError or ValueError."""
    if suffix == LOSSY:
        return _decode_mp4(data)
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        text = _text_of(image)
        frames = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            kept = image.mode in PIL_MODES.values() and image.format != "GIF"
            pixels = np.asarray(image if kept else image.convert("RGB"))
            frames.append(pixels.reshape(*pixels.shape[:2], -1))
        return np.stack(frames), text


@contextmanager
def _errors_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        unknown = isinstance(error, UnidentifiedImageError)  # whose words name an object of ours
        raise ConfigError(
            "This picture cannot be read.",
            where=printable(path),
            got="another kind of file, or a damaged one" if unknown else getattr(error, "strerror", None) or error,
            expected="a PNG, WebP, GIF or MP4 that ganlet drew",
        ) from None


def _text_of(image: Image.Image) -> str | None:
    if image.format == "PNG":
        found = getattr(image, "text", {}).get(KEY)
    elif image.format == "WEBP":
        found = image.getexif().get(EXIF_DESCRIPTION)
    else:
        found = image.info.get("comment")
    if isinstance(found, bytes):
        found = found.decode("ascii", "replace")
    return found if isinstance(found, str) and found.startswith("{") else None


def _coloured(frame: np.ndarray) -> Image.Image:
    """A frame as films have them: with colours, and opaque."""
    return to_pil(opaque(frame))


def _encode_mp4(frames: np.ndarray, frame_ms: int) -> bytes:
    av, buffer = _av(), io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(1000, frame_ms))
        height, width = (side + side % 2 for side in frames.shape[1:3])  # the codec halves the colours' resolution
        stream.width, stream.height, stream.pix_fmt, stream.options = width, height, "yuv420p", {"crf": "16"}
        for frame in frames:
            even = np.pad(opaque(frame), ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)), "edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _with_text(data: bytes, text: str) -> bytes:
    """The same MP4 with a text: its stream is copied, for the codec gives other bits each time it is asked."""
    av, buffer = _av(), io.BytesIO()
    with (
        av.open(io.BytesIO(data)) as there,
        av.open(buffer, "w", format="mp4", options={"movflags": "use_metadata_tags"}) as container,
    ):
        container.metadata["comment"] = text
        stream = container.add_stream_from_template(there.streams.video[0])
        for packet in there.demux(video=0):
            if packet.dts is not None:  # the last one is empty
                packet.stream = stream
                container.mux(packet)
    return buffer.getvalue()


def _decode_mp4(data: bytes) -> tuple[np.ndarray, str | None]:
    av = _av()
    try:
        with av.open(io.BytesIO(data)) as container:
            text = container.metadata.get("comment")
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]), text
    except av.error.FFmpegError as error:
        raise ValueError(str(error)) from None


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise EnvironmentProblem(
            "MP4 needs a package that is not installed.",
            where="--out",
            got=error,
            hint="pip install 'ganlet[mp4]', or write a WebP: --out FILE.webp",
        ) from None
    return av
