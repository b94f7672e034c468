"""Folders of images, made by Pillow and real ones."""

from __future__ import annotations

import tarfile
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlrun.data.images import read_image
from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError, DlrunErrors

RNG = np.random.default_rng(0)


def picture(path: Path, value: int | None = None, size: tuple[int, int] = (6, 4)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    if value is not None:
        pixels[:] = value
    Image.fromarray(pixels).save(path)
    return pixels


def folder(**fields: Any) -> Any:
    return sources.get("image_folder")(**{"size": (6, 4), **fields})


def error_of(source: Any, root: Path) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        source.signature(Place(str(root)))
    assert caught.value.exit_code == 2
    return caught.value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two splits with non-ASCII names, every format, and files that do not count."""
    base = tmp_path / "Bilder 图"
    for name in ("кошка", "café", "zebra"):
        for i, suffix in enumerate((".png", ".JPG", ".bmp", ".webp")):
            picture(base / "train" / name / f"ß{i}{suffix}")
    picture(base / "test" / unicodedata.normalize("NFD", "café") / "x.jpeg")
    (base / "train" / "zebra" / "notes.txt").write_text("not an image")
    (base / "train" / "zebra" / ".hidden.png").write_text("not an image")
    (base / "train" / ".cache").mkdir()
    (base / "train" / "readme.md").write_text("not a class")
    return base


def test_signature(root: Path) -> None:
    signature = folder().signature(Place(str(root)))
    assert signature.class_names == ("café", "zebra", "кошка")
    assert (signature.classes, signature.sizes) == (3, {"train": 12, "test": 1})
    assert signature.input.shape == (6, 4, 3)
    assert folder(size=5, channels=1, test=None).signature(Place(str(root))).input.shape == (5, 5, 1)


def test_pixels_and_labels(root: Path) -> None:
    samples = folder().load("train", Place(str(root)))
    assert samples.y.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for i, name in enumerate(("ß0.png", "ß1.JPG", "ß2.bmp", "ß3.webp")):
        with Image.open(root / "train" / "zebra" / name) as image:
            np.testing.assert_array_equal(samples.x[4 + i], np.asarray(image.convert("RGB")))
    reader = folder().open("train", Place(str(root)))
    np.testing.assert_array_equal(reader.take(np.array([7, 0])), samples.x[[7, 0]])
    assert folder().load("test", Place(str(root))).y.tolist() == [0]


def test_other_sizes_and_modes(tmp_path: Path) -> None:
    picture(tmp_path / "big.png", value=90, size=(31, 17))
    Image.new("RGBA", (6, 4), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    Image.new("P", (4, 6), 0).save(tmp_path / "palette.png")
    Image.new("1", (4, 6), 1).save(tmp_path / "bits.png")
    Image.fromarray(np.full((6, 4), 0x1234, np.uint16)).save(tmp_path / "deep.png")
    for name, channels, value in (
        ("big.png", 3, (90, 90, 90)),
        ("clear.png", 3, (10, 20, 30)),
        ("palette.png", 3, (0, 0, 0)),
        ("bits.png", 1, (255,)),
        ("deep.png", 1, (0x12,)),
    ):
        pixels = read_image(tmp_path / name, (6, 4, channels))
        np.testing.assert_array_equal(pixels, np.broadcast_to(np.array(value, np.uint8), (6, 4, channels)), name)


def test_many_images_keep_their_places(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(50)]
    for i, path in enumerate(paths):
        picture(path, value=i)
    source = folder()
    x = source.read(paths, None)
    np.testing.assert_array_equal(x[:, 0, 0, 0], np.arange(50))


@pytest.mark.parametrize("position", [0, 30])
def test_a_corrupt_image_is_named(root: Path, position: int) -> None:
    for i in range(40):
        picture(root / "train" / "zebra" / f"{i:03}.png")
    bad = root / "train" / "zebra" / f"{position:03}.png"
    bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(DlrunError) as caught:
        folder().load("train", Place(str(root)))
    assert caught.value.code == "unreadable-image"
    assert f"`{bad}`" in caught.value.message


def test_prediction_of_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    for path, words in ((tmp_path / "a.png", "no known image format"), (tmp_path / "b.png", "No such file")):
        with pytest.raises(DlrunError, match=f"unreadable-image.*{words}"):
            folder().read([path], None)


def test_nothing_there(tmp_path: Path) -> None:
    error = error_of(folder(test=None), tmp_path)
    assert (error.code, error.path) == ("missing-data", ("data", "source", "train"))
    (tmp_path / "train").mkdir()
    assert "no class folders" in error_of(folder(test=None), tmp_path).message
    (tmp_path / "train" / "a").mkdir()
    error = error_of(folder(test=None), tmp_path)
    assert error.code == "empty-data"
    assert "hold no images" in error.message
    picture(tmp_path / "train" / "b" / "1.png")
    error = error_of(folder(), tmp_path)
    assert isinstance(error, DlrunErrors) and [e.code for e in error.errors] == ["empty-class", "missing-data"]
    picture(tmp_path / "train" / "a" / "1.png")
    error = error_of(folder(), tmp_path)
    assert (error.code, error.path) == ("missing-data", ("data", "source", "test"))
    assert folder(test=None).signature(Place(str(tmp_path))).sizes == {"train": 2}


def test_a_class_that_training_does_not_have(root: Path) -> None:
    picture(root / "test" / "zebras" / "1.png")
    error = error_of(folder(), root)
    assert error.code == "unknown-class"
    assert "zebras`" in error.message
    assert "Did you mean `zebra`?" in (error.hint or "")


def test_real_photographs(data_root: Path, tmp_path: Path) -> None:
    with tarfile.open(data_root / "cifar10-images.tar.gz") as archive:
        wanted = []
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                wanted.append(member.name)
                archive.extract(member, tmp_path, filter="data")
            if len(wanted) >= 120:
                break
    split = wanted[0].split("/")[1]
    base = tmp_path / wanted[0].split("/")[0]
    source = folder(train=split, test=None, size=32)
    signature = source.signature(Place(str(base)))
    samples = source.load("train", Place(str(base)))
    assert samples.x.shape == (signature.sizes["train"], 32, 32, 3)
    assert len(samples) == 120
    assert 60 < samples.x.mean() < 190


def test_what_is_passed_over_is_counted(root: Path) -> None:
    zebra = root / "train" / "zebra"
    for name in ("b.jfif", "a.jfif", "plain"):
        (zebra / name).write_bytes((zebra / "ß1.JPG").read_bytes())
    picture(zebra / "more" / "1.png")
    said = "In the train split's class folders"
    assert folder(test=None).signature(Place(str(root))).notes == (
        f"{said} 1 folder is passed over: `{zebra / 'more'}`.",
        f"{said} 2 `.jfif` files are passed over: `{zebra / 'a.jfif'}`, ….",
        f"{said} 1 `.txt` file is passed over: `{zebra / 'notes.txt'}`.",
        f"{said} 1 file without an ending is passed over: `{zebra / 'plain'}`.",
    )
    assert len(folder().open("train", Place(str(root)))) == 12


def test_links_to_nothing(root: Path) -> None:
    """As where a data set was fetched in part."""
    lost = root / "train" / "zebra" / "ß9.png"
    lost.symlink_to(root / "elsewhere" / "ß9.png")
    with pytest.raises(DlrunError, match="unreadable-image: `.*ß9.png` .*No such file"):
        folder().load("train", Place(str(root)))
    reader = folder(unreadable="skip").open("train", Place(str(root)))
    assert len(reader) == 12
    assert reader.left_out == [f"`{lost}`: No such file or directory"]
    (root / "train" / "lion").symlink_to(root / "elsewhere")
    error = error_of(folder(), root)
    assert error.code == "missing-data" and f"`{root / 'train' / 'lion'}` is a link" in error.message
