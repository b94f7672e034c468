"""Image files as arrays. Pillow and simplejpeg are imported when the first image is decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
"""Endings of file names that count as images, in lower case."""

Fit = Literal["stretch", "crop", "pad"]
"""How an image of another shape is brought to size: both sides on their own; scaled until it covers the size and cut
around its middle; scaled until it fits in and surrounded with black."""

_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")  # told by content; of the many others some run programs
_MISSING_PIXELS = ("remature end", "bad Huffman code", "bad arithmetic code", "instead of RST")
"""What libjpeg says of data that it fills in; its other remarks (bytes between markers, say) leave the pixels whole."""
_PART = 8
"""Images a thread decodes in one go."""


def read_image(path: str | Path, shape: tuple[int, int, int], fit: Fit = "stretch") -> np.ndarray:
    """One image file; see ``decode_image``.

    Raises:
        DlrunError: ``unreadable-image``, naming the file.
    """
    return decode_image(_read(path), str(path), shape, fit)


def read_images(paths: Sequence[str | Path], shape: tuple[int, int, int], fit: Fit = "stretch") -> np.ndarray:
    """Several image files, read and decoded by a few threads.

    Shapes: ``shape`` (height, width, channels) -> uint8 (len(paths), *shape).

    Raises:
        DlrunError: ``unreadable-image`` of the first bad file.
    """
    return decode_images(len(paths), lambda i: (_read(paths[i]), str(paths[i])), shape, fit)


def decode_images(
    count: int, fetch: Callable[[int], tuple[bytes, str]], shape: tuple[int, int, int], fit: Fit = "stretch"
) -> np.ndarray:
    """Several images by a few threads; both decoders release the interpreter lock while they work.

    Args:
        count: How many.
        fetch: Bytes of image i and what errors call it; called by the threads.
        shape: (height, width, channels) of each.
        fit: How images of another shape are brought to it.

    Shapes: uint8 (count, *shape).

    Raises:
        DlrunError: ``unreadable-image`` of the first bad one; what ``fetch`` raises.
    """
    out = np.empty((count, *shape), np.uint8)

    def decode(row: int) -> None:
        decode_image(*fetch(row), shape, fit, out[row])

    each(count, decode)
    return out


def each(count: int, work: Callable[[int], None]) -> None:
    """Call ``work`` with 0 … count - 1 from a few threads; what the lowest number raises is raised here."""

    def part(rows: range) -> None:
        for row in rows:
            work(row)

    parts = [range(i, min(i + _PART, count)) for i in range(0, count, _PART)]
    if len(parts) < 2:
        part(range(count))
        return
    for _ in _pool(os.getpid()).map(part, parts):
        pass


def decode_image(
    data: bytes, name: str, shape: tuple[int, int, int], fit: Fit = "stretch", out: np.ndarray | None = None
) -> np.ndarray:
    """An image file's bytes, converted to grey (1 channel) or RGB (3) and resized (bilinear) if its size differs.

    Values are as the file has them: nothing is inverted, dark stays dark. It is turned as its EXIF orientation says;
    transparency is dropped; colour profiles are not applied; 16-bit values keep their high byte; of several pictures
    the first one counts. Of colours, grey is 0.299 R + 0.587 G + 0.114 B.

    Shapes: ``shape`` (height, width, channels) -> uint8 of that shape, in ``out`` if it is given.

    Raises:
        DlrunError: ``unreadable-image``, with ``name``.
    """
    height, width, channels = shape
    out = np.empty(shape, np.uint8) if out is None else out
    with _named(name):
        if not _may_be_turned(data) and _jpeg_shape(data) == shape and _jpeg(data, out) is not None:
            return out
        image = upright(data)
        image = image if image.mode in ("L", "RGB") else _plain(image)
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (width, height):
            image = _fitted(image, (width, height), fit)
        out[...] = np.asarray(image, np.uint8).reshape(shape)
    return out


def why_unreadable(path: str | Path) -> str | None:
    """What keeps an image file from being decoded, or None."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return _reason(error)
    return why_undecodable(data)


def why_undecodable(data: bytes) -> str | None:
    """What keeps an image file's bytes from being decoded, or None."""
    try:
        upright(data)
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        return _reason(error)
    return None


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of an image file's first picture, read from its header; None where it has none."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            return image.size
    except Exception:  # a damaged file makes Pillow raise almost anything
        return None


def upright(data: bytes) -> Image:
    """The first picture of an image file, decoded, in the file's own mode, turned as its EXIF orientation says.

    Raises:
        Exception: Of any kind, where it is damaged or no image.
    """
    from PIL import Image

    if not data:
        raise ValueError("the file is empty")
    pixels = _jpeg(data)
    if pixels is not None:
        pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    if pixels is not None and not _may_be_turned(data):
        return Image.fromarray(pixels)
    with Image.open(BytesIO(data), formats=_FORMATS) as file:
        file.seek(0)
        if pixels is None:
            file.load()
        turn = _TURNS.get(_orientation(file))
        image = file.copy() if pixels is None else Image.fromarray(pixels)
    return image if turn is None else image.transpose(Image.Transpose[turn])


_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def _orientation(image: Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # what cannot be read says nothing; the pixels are sound all the same
        return 1


def _may_be_turned(data: bytes) -> bool:
    return b"Exif\0\0" in data or b":Orientation" in data


def _jpeg_shape(data: bytes) -> tuple[int, int, int] | None:
    """Height, width and channels of a JPEG; None for other files and what is left to Pillow."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    from PIL.Image import MAX_IMAGE_PIXELS
    from simplejpeg import decode_jpeg_header

    try:
        height, width, space, _ = decode_jpeg_header(data)
    except ValueError:
        return None
    if space not in ("YCbCr", "RGB", "Gray") or height * width > (MAX_IMAGE_PIXELS or 0):
        return None
    return height, width, 1 if space == "Gray" else 3


def _jpeg(data: bytes, out: np.ndarray | None = None) -> np.ndarray | None:
    """A JPEG's pixels, the same as Pillow's, only sooner; None for other files and what is left to Pillow.

    Shapes: uint8 (H, W, 1) or (H, W, 3), in ``out`` if it is given.

    Raises:
        ValueError: When pixels are missing; Pillow does not always notice, and shows what libjpeg filled in.
    """
    from simplejpeg import decode_jpeg

    shape = _jpeg_shape(data)
    if shape is None:
        return None
    try:
        pixels: np.ndarray = decode_jpeg(data, "GRAY" if shape[-1] == 1 else "RGB", buffer=out)
    except ValueError as error:
        if any(words in str(error) for words in _MISSING_PIXELS):
            raise
        return None
    return pixels


def _fitted(image: Image, size: tuple[int, int], fit: Fit) -> Image:
    from PIL import Image, ImageOps

    if fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    if fit == "pad":
        width, height = image.size
        scale = min(size[0] / width, size[1] / height)
        if min(width, height) * scale < 0.5:  # no line of pixels would be left of it
            whole = (size[0], 1) if width > height else (1, size[1])
            image = image.resize(whole, Image.Resampling.BILINEAR)
        return ImageOps.pad(image, size, Image.Resampling.BILINEAR, color=0)
    return image.resize(size, Image.Resampling.BILINEAR)


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of this process: a forked one has none of its parent's."""
    from concurrent.futures import ThreadPoolExecutor

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(min(8, cores), thread_name_prefix="dlrun-decode")


def _plain(image: Image) -> Image:
    """What Pillow itself would convert to grey or RGB with a loss or a warning, brought nearer to them."""
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    if not image.mode.startswith("I"):
        return image
    from PIL.Image import fromarray

    # 16-bit grey is cut down to its high byte; Pillow's own conversion clips at 255
    return fromarray(np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8))


def _read(path: str | Path) -> bytes:
    with _named(str(path)), open(path, "rb") as file:
        return file.read()


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise DlrunError(
            "unreadable-image",
            f"`{name}` is not a readable image: {_reason(error)}.",
            hint="Replace or remove the file. PNG, JPEG, BMP and WebP are read.",
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if type(error).__name__ == "UnidentifiedImageError":  # its text is the path again
        return "it has no known image format"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
