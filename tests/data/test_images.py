"""Decoding: the same pixels as Pillow, every odd kind of image, and damage that must not pass for pixels."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from dlrun.data import images
from dlrun.data.images import decode_image, read_image, read_images, why_unreadable
from dlrun.errors import DlrunError

RNG = np.random.default_rng(0)


def photo(height: int = 40, width: int = 56) -> Image.Image:
    """Smooth colours with an edge, different in each corner."""
    y, x = np.mgrid[:height, :width]
    noise = RNG.integers(0, 30, (height, width))
    pixels = np.stack([x * 4 % 256, y * 6 % 256, (x > y) * 200 + noise], -1).astype(np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def by_pillow(data: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB").convert(mode))
    return pixels[..., None] if mode == "L" else pixels


def real_jpegs(data_root: Path) -> Iterator[bytes]:
    with tarfile.open(data_root / "cifar10-images.tar.gz") as archive:
        for number, member in enumerate(m for m in archive if m.name.endswith(".jpg")):
            if number == 400:
                break
            file = archive.extractfile(member)
            assert file is not None
            yield file.read()
    for folder in ("train/images", "val/images"):
        for path in sorted((data_root / "camvid" / folder).iterdir())[:10]:
            yield path.read_bytes()


def test_real_photographs_have_the_pixels_that_pillow_gives_them(data_root: Path) -> None:
    count = 0
    for data in real_jpegs(data_root):
        for mode, channels in (("RGB", 3), ("L", 1)):
            wanted = by_pillow(data, mode)
            np.testing.assert_array_equal(decode_image(data, "x", (*wanted.shape[:2], channels)), wanted)
        count += 1
    assert count == 420


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 47)])
def test_every_kind_of_jpeg_is_as_pillow_has_it(subsampling: int, progressive: bool, size: tuple[int, int]) -> None:
    data = encoded(photo(*size), subsampling=subsampling, progressive=progressive)
    np.testing.assert_array_equal(decode_image(data, "x", (*size, 3)), by_pillow(data, "RGB"))


def test_common_jpegs_do_not_wait_for_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [encoded(photo()), encoded(photo().convert("L"))]
    monkeypatch.setattr(Image, "open", None)  # calling it fails
    for data in files:
        assert decode_image(data, "x", (40, 56, 3)).std() > 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stand_as_their_camera_says(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(), kind, exif=exif)
    wanted = by_pillow(data, "RGB")
    assert (wanted.shape == (56, 40, 3)) == (orientation > 4)
    np.testing.assert_array_equal(decode_image(data, "x", wanted.shape), wanted)


def test_damaged_exif_says_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo(), exif=exif)
    wanted = by_pillow(data.replace(b"Exif\0\0", b"None\0\0"), "RGB")
    assert wanted.shape == (40, 56, 3)
    number, text = (b"\x01\x12\x00" + kind for kind in (b"\x03", b"\x02"))
    assert number in data
    for damaged in (data.replace(b"Exif\0\0MM", b"Exif\0\0??"), data.replace(number, text)):
        np.testing.assert_array_equal(decode_image(damaged, "x", (40, 56, 3)), wanted)


def why(data: bytes) -> str | None:
    try:
        decode_image(data, "the file", (8, 8, 3))
    except DlrunError as error:
        assert error.code == "unreadable-image"
        assert error.message.startswith("`the file` is not a readable image: ")
        return error.message.partition("image: ")[2]
    return None


JPEG = encoded(photo())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty."),
        (b"hello, world", "it has no known image format."),
        (b"<html>not found</html>", "it has no known image format."),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it has no known image format."),
        (JPEG[:20], "it has no known image format."),
        (JPEG[:300], "Truncated File Read."),
        (JPEG[:-200], "Premature end of JPEG file."),
        (JPEG[:-2], "Premature end of JPEG file."),
        (JPEG[:-200] + b"\xff\xd9", "Corrupt JPEG data: premature end of data segment."),
        (JPEG[:-200] + bytes(200), "Premature end of JPEG file."),
        (encoded(photo(), "PNG")[:500], "image file is truncated"),
        (encoded(photo(), "BMP")[:500], "image file is truncated"),
        (encoded(photo(), "WEBP")[:100], "could not create decoder object"),
    ],
)
def test_damage_is_an_error(data: bytes, words: str) -> None:
    assert words in (why(data) or "it was read")


def test_bytes_between_markers_are_no_damage() -> None:
    data = JPEG[:-2] + bytes(6) + JPEG[-2:]
    np.testing.assert_array_equal(decode_image(data, "x", (40, 56, 3)), decode_image(JPEG, "x", (40, 56, 3)))


def test_too_many_pixels_are_not_decoded() -> None:
    at = JPEG.index(b"\xff\xc0") + 5
    assert "exceeds limit" in (why(JPEG[:at] + b"\xff\xdc\xff\xdc" + JPEG[at + 4 :]) or "")
    png = bytearray(encoded(photo(), "PNG"))
    png[16:24] = (60000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    assert "exceeds limit" in (why(bytes(png)) or "")


def test_unusual_modes() -> None:
    red = Image.new("RGB", (6, 4), (200, 30, 40))
    palette = red.quantize(4)
    palette.info["transparency"] = bytes([0] * 4)
    deep = Image.fromarray(np.full((4, 6), 0xAB12, np.uint16))
    frames = [red, Image.new("RGB", (6, 4), (0, 0, 0))]
    for name, data, value in (
        ("cmyk", encoded(red.convert("CMYK"), quality=100), (200, 30, 40)),
        ("palette", encoded(palette, "PNG", transparency=bytes([0] * 4)), (200, 30, 40)),
        ("grey and alpha", encoded(Image.new("LA", (6, 4), (77, 0)), "PNG"), (77, 77, 77)),
        ("grey jpeg", encoded(Image.new("L", (6, 4), 77), quality=100), (77, 77, 77)),
        ("16 bits", encoded(deep, "PNG"), (0xAB, 0xAB, 0xAB)),
        ("animated webp", encoded(red, "WEBP", save_all=True, append_images=frames[1:], lossless=True), (200, 30, 40)),
        ("animated png", encoded(red, "PNG", save_all=True, append_images=frames[1:]), (200, 30, 40)),
        ("gif", encoded(red, "GIF", save_all=True, append_images=frames[1:]), (200, 30, 40)),
        ("two pictures", encoded(red, "MPO", save_all=True, append_images=frames[1:], quality=100), (200, 30, 40)),
    ):
        pixels = decode_image(data, name, (4, 6, 3))
        np.testing.assert_allclose(pixels.astype(int), np.broadcast_to(value, (4, 6, 3)), atol=2, err_msg=name)


def test_fit(tmp_path: Path) -> None:
    """A wide image: three thirds of red, green and blue."""
    pixels = np.zeros((20, 60, 3), np.uint8)
    for third in range(3):
        pixels[:, third * 20 : third * 20 + 20, third] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")

    def colours(fit: Any, row: int) -> list[int]:
        """Which channel shines along a row, -1 for none."""
        line = read_image(tmp_path / "a.png", (12, 12, 3), fit)[row]
        return [int(p.argmax()) if p.max() > 200 else -1 for p in line[[1, 6, 10]]]

    assert [colours("stretch", row) for row in (0, 6, 11)] == [[0, 1, 2]] * 3
    assert [colours("crop", row) for row in (0, 6, 11)] == [[1, 1, 1]] * 3
    assert [colours("pad", row) for row in (0, 6, 11)] == [[-1, -1, -1], [0, 1, 2], [-1, -1, -1]]
    fitting = read_image(tmp_path / "a.png", (20, 60, 3))
    for fit in ("crop", "pad"):
        np.testing.assert_array_equal(read_image(tmp_path / "a.png", (20, 60, 3), fit), fitting)
    assert read_image(tmp_path / "a.png", (12, 12, 1), "pad")[0].max() == 0


def test_many_at_once_and_the_first_bad_one_is_told(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i:02}.png" for i in range(40)]
    for i, path in enumerate(paths):
        Image.new("RGB", (4, 4), (i, i, i)).save(path)
    assert read_images(paths, (4, 4, 3))[:, 0, 0, 0].tolist() == list(range(40))
    for i in (9, 30):
        paths[i].write_bytes(b"nothing")
    with pytest.raises(DlrunError, match="`.*09.png` is not a readable image"):
        read_images(paths, (4, 4, 3))
    assert why_unreadable(paths[9]) == "it has no known image format"
    assert why_unreadable(paths[8]) is None
    assert why_unreadable(tmp_path / "gone.png") == "No such file or directory"
    assert images.read_images([], (4, 4, 3)).shape == (0, 4, 4, 3)


@pytest.mark.parametrize("sides", [(3000, 20), (20, 3000)])
def test_something_is_left_of_a_very_long_image(sides: tuple[int, int]) -> None:
    out = io.BytesIO()
    Image.new("RGB", sides, (200, 100, 50)).save(out, "PNG")
    x = decode_image(out.getvalue(), "long", (32, 32, 3), "pad")
    line = x[15:17].max(0) if sides[0] > sides[1] else x[:, 15:17].max(1)
    np.testing.assert_array_equal(line, [[200, 100, 50]] * 32)
    assert np.count_nonzero(x) == 32 * 3
