"""IDX files of one's own: what they mean, and every way they can be wrong."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
RNG = np.random.default_rng(0)


def save(path: Path, array: Any, dtype: str = "u1", packed: bool = False) -> str:
    array = np.asarray(array)
    data = struct.pack(f">HBB{array.ndim}I", 0, CODES[dtype], array.ndim, *array.shape)
    data += array.astype(f">{dtype}").tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)
    return str(path)


def idx(*files: str, **fields: Any) -> Any:
    return sources.get("idx")(train=files[:2], test=files[2:] or None, **fields)


def error_of(source: Any) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        source.signature(Place())
        source.load("train", Place())
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize("packed", [False, True])
def test_images_and_labels(tmp_path: Path, packed: bool) -> None:
    x = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)
    files = [
        save(tmp_path / "x", x, packed=packed),
        save(tmp_path / "y", [0, 1, 2, 0, 1, 2], packed=packed),
        save(tmp_path / "tx", x[:2], packed=packed),
        save(tmp_path / "ty", [0, 4], packed=packed),
    ]
    signature = idx(*files).signature(Place())
    assert (signature.input.shape, signature.classes, signature.class_names) == ((5, 4, 1), 5, None)
    assert (signature.sizes, signature.scale) == ({"train": 6, "test": 2}, 1 / 255)
    samples = idx(*files).load("train", Place())
    np.testing.assert_array_equal(samples.x[..., 0], x)
    assert (samples.x.dtype, samples.y.dtype, samples.y.tolist()) == (np.uint8, np.int64, [0, 1, 2, 0, 1, 2])
    assert idx(*files).load("test", Place()).y.tolist() == [0, 4]
    assert idx(*files[:2], classes=("a", "b", "c")).signature(Place()).class_names == ("a", "b", "c")
    assert idx(*files, classes=9).signature(Place()).classes == 9


def test_numbers(tmp_path: Path) -> None:
    x, y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
    source = idx(save(tmp_path / "x", x, "f8"), save(tmp_path / "y", y, "f4"))
    signature = source.signature(Place())
    assert (signature.classes, signature.target.shape, signature.target.dtype) == (None, (2,), "float")
    assert (signature.input.shape, signature.stored_dtype, signature.scale) == ((3,), "float32", 1.0)
    samples = source.load("train", Place())
    np.testing.assert_array_equal(samples.x, x.astype(np.float32))
    np.testing.assert_array_equal(samples.y, y.astype(np.float32))
    colours = save(tmp_path / "c", RNG.integers(0, 256, (7, 2, 2, 3)))
    assert idx(colours, save(tmp_path / "l", range(7), "i4")).signature(Place()).input.shape == (2, 2, 3)


def test_the_original_files_are_read_as_mnist(data_root: Path) -> None:
    names = [f"{split}-{what}-ubyte.gz" for split in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    place = Place(str(data_root / "mnist"), download=False)
    source, mnist = idx(*names), sources.get("mnist")()
    ours, theirs = source.signature(place), mnist.signature(place)
    assert (ours.input, ours.target, ours.sizes, ours.classes) == (
        theirs.input,
        theirs.target,
        theirs.sizes,
        theirs.classes,
    )
    np.testing.assert_array_equal(source.load("test", place).x, mnist.load("test", place).x)


def test_prediction(tmp_path: Path) -> None:
    source = idx(save(tmp_path / "x", np.zeros((1, 5, 4))), save(tmp_path / "y", [0]))
    Image.fromarray(np.full((5, 4), 7, np.uint8)).save(tmp_path / "a.png")
    assert (source.read([tmp_path / "a.png"], source.signature(Place())) == 7).all()


@pytest.mark.parametrize(
    ("x", "y", "fields", "code", "words"),
    [
        (np.zeros((3, 2, 2)), [0, 1], {}, "length-mismatch", "`3` samples and `"),
        ([0, 1], np.zeros((2, 2, 2)), {}, "wrong-array", "has the shape `(2,)`"),
        (np.zeros((2, 0, 2)), [0, 1], {}, "wrong-array", "has the shape `(2, 0, 2)`"),
        (np.zeros((2, 2)), [0, 3], {"classes": 3}, "label-out-of-range", "label `3`; class ids go from 0 to 2"),
        (np.zeros((2, 2)), [0, -1], {}, "label-out-of-range", "label `-1`; class ids begin at 0"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, x: Any, y: Any, fields: Any, code: str, words: str) -> None:
    error = error_of(idx(save(tmp_path / "x", x), save(tmp_path / "y", y, "i1"), **fields))
    assert (error.code, error.path) == (code, ("data", "source", "train"))
    assert words in error.message


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("label", [np.nan, np.inf, 1e300])
def test_labels_that_are_no_numbers(tmp_path: Path, label: float) -> None:
    source = idx(save(tmp_path / "x", np.zeros((2, 3))), save(tmp_path / "y", [0.5, label], "f8"))
    error = error_of(source)
    assert (error.code, error.path) == ("not-finite", ("data", "source", "train"))
    assert f"`{tmp_path / 'y'}` holds NaN, infinite values or values beyond float32" in error.message


def test_integers_that_become_numbers(tmp_path: Path) -> None:
    y = save(tmp_path / "y", [0, 1])
    for kind, low, high in (("i1", -128, 127), ("i2", -32768, 32767), ("i4", -(2**31), 2**24)):
        samples = idx(save(tmp_path / "x", [[low], [high]], kind), y).load("train", Place())
        assert (samples.x.dtype, samples.x[:, 0].tolist()) == (np.float32, [low, high])
    error = error_of(idx(save(tmp_path / "x", [[0], [-(2**24) - 1]], "i4"), y))
    assert (error.code, error.path) == ("inexact-integer", ("data", "source", "train"))
    assert "has the integer `-16777217`, but numbers become float32, which has `-16777216` next to it" in error.message
    assert "Scale the values" in (error.hint or "")


def test_splits_that_differ(tmp_path: Path) -> None:
    a = [save(tmp_path / "x", np.zeros((2, 5, 4))), save(tmp_path / "y", [0, 1])]
    wide = save(tmp_path / "wide", np.zeros((2, 5, 5)))
    deep = save(tmp_path / "deep", np.zeros((2, 5, 4)), "i2")
    numbers = save(tmp_path / "numbers", [0.0, 1.0], "f4")
    for b, words in (
        ([wide, a[1]], "shape `(5, 5, 1)`"),
        ([deep, a[1]], "as `float32`"),
        ([a[0], numbers], "labels of shape"),
    ):
        error = error_of(idx(*a, *b))
        assert (error.code, error.path, words in error.message) == ("split-mismatch", ("data", "source", "test"), True)


def test_damaged_files(tmp_path: Path) -> None:
    y = save(tmp_path / "y", [0, 1])
    sound = Path(save(tmp_path / "x", RNG.integers(0, 256, (2, 50, 40)))).read_bytes()
    packed = gzip.compress(sound)
    for data, code, words in (
        (b"", "truncated-file", "header"),
        (sound[:9], "truncated-file", "header"),
        (sound[:-1], "truncated-file", "4000 bytes, 3999 are there"),
        (sound + b"x", "corrupt-file", "1 bytes after"),
        (b"<html>", "corrupt-file", "3c 68 74 6d"),
        (packed[:15], "truncated-file", "ends early"),
        (packed[:-9], "truncated-file", "ends early"),
        (packed[:10] + b"\xff" * 50, "corrupt-file", "gzip"),
    ):
        (tmp_path / "bad").write_bytes(data)
        error = error_of(idx(str(tmp_path / "bad"), y))
        assert (error.code, words in error.message) == (code, True), error
        assert f"`{tmp_path / 'bad'}`" in error.message
    assert error_of(idx(str(tmp_path / "gone"), y)).code == "missing-data"
    bad = save(tmp_path / "nan", [[0.0, np.nan], [0.0, 1.0]], "f4")
    assert error_of(idx(bad, y)).code == "not-finite"
    with pytest.raises(DlrunError, match="missing-split"):
        idx(bad, y).load("test", Place())
