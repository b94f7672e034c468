"""`.npz` files: what they mean, and every way they can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlrun.data.source import Place, Signature, sources
from dlrun.errors import DlrunError

RNG = np.random.default_rng(0)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **{k: np.asarray(v) for k, v in arrays.items()})
    return path


def npz(*files: Path, **fields: Any) -> Any:
    return sources.get("npz")(train=str(files[0]), test=str(files[1]) if len(files) > 1 else None, **fields)


def error_of(source: Any, place: Place | None = None) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        source.signature(place or Place())
        source.load("train", place or Place())
    assert caught.value.exit_code == 2
    return caught.value


def test_images_get_a_channel_axis(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)
    source = npz(save(tmp_path / "größe.npz", x=x, y=np.array([0, 1, 2, 0, 1, 2], np.uint8)))
    signature = source.signature(Place())
    assert signature.input.shape == (5, 4, 1)
    assert (signature.classes, signature.sizes, signature.scale) == (3, {"train": 6}, 1 / 255)
    samples = source.load("train", Place())
    np.testing.assert_array_equal(samples.x[..., 0], x)
    assert samples.x.dtype == np.uint8
    assert samples.y.dtype == np.int64


def test_numbers_become_float32(tmp_path: Path) -> None:
    x, y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
    source = npz(save(tmp_path / "a.npz", x=x, y=y), save(tmp_path / "b.npz", x=x[:2], y=y[:2]))
    signature = source.signature(Place())
    assert (signature.classes, signature.target.shape, signature.target.dtype) == (None, (2,), "float")
    assert (signature.stored_dtype, signature.scale, signature.sizes) == ("float32", 1.0, {"train": 7, "test": 2})
    np.testing.assert_array_equal(source.load("train", Place()).x, x.astype(np.float32))
    assert source.load("test", Place()).y.dtype == np.float32


def test_classes_are_counted_over_both_splits(tmp_path: Path) -> None:
    a = save(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 1])
    b = save(tmp_path / "b.npz", x=np.zeros((2, 3)), y=[[0], [4]])
    assert npz(a, b).signature(Place()).classes == 5
    assert npz(a, b, classes=7, scale=0.5).signature(Place()).classes == 7
    assert npz(a, b, scale=0.5).signature(Place()).scale == 0.5


def test_class_names_in_any_script(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 1], class_names=["кошка", "犬"])
    assert npz(path).signature(Place()).class_names == ("кошка", "犬")
    path = save(tmp_path / "b.npz", x=np.zeros((2, 3)), y=[0, 1], class_names=["кошка"])
    assert error_of(npz(path)).code == "wrong-array"


def test_relative_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 1])
    assert npz(Path("a.npz")).signature(Place(str(tmp_path))).sizes == {"train": 2}
    monkeypatch.delenv("DLRUN_DATA", raising=False)
    error = error_of(npz(Path("a.npz")))
    assert (error.code, error.path) == ("missing-data", ("data", "source", "train"))
    assert "`data.root`" in (error.hint or "")
    monkeypatch.setenv("DLRUN_DATA", str(tmp_path))
    assert npz(Path("a.npz")).signature(Place()).sizes == {"train": 2}
    monkeypatch.delenv("DLRUN_DATA")
    monkeypatch.chdir(tmp_path)
    assert npz(Path("a.npz")).signature(Place()).sizes == {"train": 2}


@pytest.mark.parametrize(
    ("arrays", "code", "words"),
    [
        ({"x": np.zeros((2, 3))}, "missing-array", "no array `y`; its arrays: `x`"),
        ({"x": np.zeros((2, 3)), "y": [0, 1, 2]}, "length-mismatch", "`2` samples and `y` `3`"),
        ({"x": np.array([{}, {}], object), "y": [0, 1]}, "object-array", "`x` in"),
        ({"x": [["a"], ["b"]], "y": [0, 1]}, "wrong-array", "`x` holds `<U1`, not numbers"),
        ({"x": [1.0, 2.0], "y": [0, 1]}, "wrong-array", "`x` has the shape `(2,)`"),
        ({"x": np.zeros((2, 0)), "y": [0, 1]}, "wrong-array", "(2, 0)"),
        ({"x": np.zeros((2, 3)), "y": [0, -1]}, "label-out-of-range", "`-1`"),
        ({"x": [[1.0], [np.nan]], "y": [0, 1]}, "not-finite", "`x` holds NaN"),
        ({"x": [[1.0], [2.0]], "y": [0.5, np.inf]}, "not-finite", "`y` holds NaN"),
        ({"x": [[1.0], [1e300]], "y": [0, 1]}, "not-finite", "values beyond float32"),
        ({"x": [[1], [2**24 + 1]], "y": [0, 1]}, "inexact-integer", "`x` has the integer `16777217`"),
        ({"x": np.array([[1], [2**64 - 1]], "u8"), "y": [0, 1]}, "inexact-integer", "`18446744073709551615`"),
        ({"x": [[1], [2]], "y": [[1, 2], [3, -(2**24) - 1]]}, "inexact-integer", "`y` has the integer `-16777217`"),
    ],
)
def test_wrong_contents(tmp_path: Path, arrays: dict[str, Any], code: str, words: str) -> None:
    error = error_of(npz(save(tmp_path / "a.npz", **arrays)))
    assert error.code == code
    assert words in error.message
    assert "a.npz`" in error.message


def test_more_labels_than_stated(tmp_path: Path) -> None:
    error = error_of(npz(save(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 5]), classes=4))
    assert error.code == "label-out-of-range"
    assert "`5`, but `classes` is 4" in error.message


def test_splits_that_do_not_fit(tmp_path: Path) -> None:
    a = save(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 1])
    b = save(tmp_path / "b.npz", x=np.zeros((2, 4)), y=[0, 1])
    error = error_of(npz(a, b))
    assert error.code == "split-mismatch"
    assert "`(4,)`" in error.message
    assert "`(3,)`" in error.message
    c = save(tmp_path / "c.npz", x=np.zeros((2, 3)), y=[0.5, 1.0])
    for first, second in ((a, c), (c, a)):
        error = error_of(npz(first, second))
        assert error.code == "split-mismatch"
        said = f"`y` holds numbers in `{c}`, but class ids (whole numbers) in `{a}`."
        assert error.message == f"`{second}`: {said}"


def test_no_samples(tmp_path: Path, plan_of: Any) -> None:
    source = npz(save(tmp_path / "a.npz", x=np.zeros((0, 3)), y=np.zeros(0)))
    assert source.signature(Place()).sizes == {}
    with pytest.raises(DlrunError, match="empty-data"):
        plan_of(source, units=1)


@pytest.mark.parametrize("cut", [0, 10, 300, -30])
def test_truncated_or_not_an_archive(tmp_path: Path, cut: int) -> None:
    whole = save(tmp_path / "a.npz", x=np.zeros((20, 3)), y=np.zeros(20)).read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:cut])
    error = error_of(npz(tmp_path / "a.npz"))
    assert error.code == "corrupt-file"
    assert "a.npz` is damaged, cut off, or not a numpy archive" in error.message


def test_altered_bytes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.arange(3000.0).reshape(-1, 3), y=np.zeros(1000))
    data = bytearray(path.read_bytes())
    data[5000] ^= 255
    path.write_bytes(data)
    error = error_of(npz(path))
    assert error.code == "corrupt-file"
    assert "CRC" in error.message


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.npz").mkdir()
    assert "is not a file" in error_of(npz(tmp_path / "a.npz")).message


class TestIds:
    """Samples that are ids, not numbers."""

    def ids(self, tmp_path: Path, x: Any, **fields: Any) -> Any:
        return npz(save(tmp_path / "a.npz", x=x, y=np.zeros(len(x), int)), dtype="int", **fields)

    def test_they_stay_whole_numbers_and_are_counted(self, tmp_path: Path) -> None:
        a = save(tmp_path / "a.npz", x=np.array([[0, 3], [1, 2]], np.uint8), y=[0, 1])
        b = save(tmp_path / "b.npz", x=[[1, 70_000]], y=[1])
        signature = npz(a, b, dtype="int").signature(Place())
        assert (signature.input.shape, signature.input.dtype) == ((2,), "int")
        assert (signature.vocabulary, signature.stored_dtype, signature.scale) == (70_001, "int64", 1.0)
        assert npz(a, b, dtype="int", vocabulary=80_000).signature(Place()).vocabulary == 80_000
        assert npz(b).signature(Place()).vocabulary is None
        for split, wanted in (("train", [[0, 3], [1, 2]]), ("test", [[1, 70_000]])):
            x = npz(a, b, dtype="int").load(split, Place()).x
            assert x.dtype == np.int64 and x.tolist() == wanted

    def test_tables_of_ids_get_no_channel_axis(self, tmp_path: Path) -> None:
        source = self.ids(tmp_path, np.ones((2, 4, 5), int))
        assert source.signature(Place()).input.shape == source.load("train", Place()).x.shape[1:] == (4, 5)

    @pytest.mark.parametrize(
        ("x", "fields", "code", "words"),
        [
            ([[0, -2]], {}, "id-out-of-range", "`x` has the id `-2`; ids begin at 0"),
            ([[0, -2]], {"vocabulary": 5}, "id-out-of-range", "`-2`"),
            ([[0, 5]], {"vocabulary": 5}, "id-out-of-range", "`x` has the id `5`, but `vocabulary` is 5"),
            ([[0.0, 1.0]], {}, "wrong-array", "`x` holds `float64`, but `dtype: int`"),
            ([[0, 1]], {"scale": 0.5}, "wrong-source", "`scale: 0.5` multiplies numbers"),
            ([[0, 1]], {"dtype": "float", "vocabulary": 5}, "wrong-source", "`vocabulary: 5` counts ids"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, x: Any, fields: dict[str, Any], code: str, words: str) -> None:
        error = error_of(npz(save(tmp_path / "a.npz", x=x, y=np.zeros(1, int)), **{"dtype": "int", **fields}))
        assert error.code == code and words in error.message and error.path[:2] == ("data", "source")

    def test_those_of_files_to_predict(self, tmp_path: Path) -> None:
        source = self.ids(tmp_path, [[0, 4], [1, 2]])
        signature = source.signature(Place())
        files = []
        for i, sample in enumerate((np.array([4, 0], np.uint8), np.array([[1, 3]]))):
            files.append(tmp_path / f"{i}.npy")
            np.save(files[-1], sample)
        x = source.read(files, signature)
        assert x.dtype == np.int64 and x.tolist() == [[4, 0], [1, 3]]
        for sample, words in (
            (np.array([0, 5]), "id-out-of-range.*`5`.*0 to 4"),
            (np.array([-1, 0]), "id-out-of-range.*`-1`"),
            (np.array([0.0, 1.0]), "wrong-array.*float64.*integer ids"),
            (np.array([0, 1, 2]), r"wrong-array.*\(3,\)"),
        ):
            np.save(tmp_path / "wrong.npy", sample)
            with pytest.raises(DlrunError, match=words):
                source.read([tmp_path / "wrong.npy"], signature)


class TestPrediction:
    """One sample per file."""

    def signature(self, tmp_path: Path, x: np.ndarray) -> tuple[Any, Signature]:
        source = npz(save(tmp_path / "a.npz", x=x, y=np.zeros(len(x))))
        return source, source.signature(Place())

    def test_arrays(self, tmp_path: Path) -> None:
        source, signature = self.signature(tmp_path, np.zeros((2, 3)))
        np.save(tmp_path / "one.npy", np.arange(3.0))
        save(tmp_path / "two.npz", x=np.arange(3.0)[None], other=1)
        x = source.read([tmp_path / "one.npy", tmp_path / "two.npz"], signature)
        np.testing.assert_array_equal(x, np.arange(3, dtype=np.float32)[None].repeat(2, 0))

    def test_images_for_images(self, tmp_path: Path) -> None:
        source, signature = self.signature(tmp_path, np.zeros((2, 4, 4), np.uint8))
        Image.fromarray(np.full((9, 9, 3), 7, np.uint8)).save(tmp_path / "i.png")
        np.testing.assert_array_equal(source.read([tmp_path / "i.png"], signature), np.full((1, 4, 4, 1), 7))

    def test_an_image_where_numbers_are_wanted(self, tmp_path: Path) -> None:
        source, signature = self.signature(tmp_path, np.zeros((2, 3)))
        Image.new("L", (3, 3)).save(tmp_path / "i.png")
        with pytest.raises(DlrunError, match="predict-needs-arrays.*i.png.*npy"):
            source.read([tmp_path / "i.png"], signature)

    def test_neither_image_nor_array(self, tmp_path: Path) -> None:
        source, signature = self.signature(tmp_path, np.zeros((2, 3)))
        (tmp_path / "e.txt").write_text("no")
        with pytest.raises(DlrunError, match="unreadable-file.*e.txt.*neither"):
            source.read([tmp_path / "e.txt"], signature)

    def test_other_shapes_and_types(self, tmp_path: Path) -> None:
        source, signature = self.signature(tmp_path, np.zeros((2, 4, 4), np.uint8))
        np.save(tmp_path / "a.npy", np.zeros((3, 4), np.uint8))
        np.save(tmp_path / "b.npy", np.zeros((4, 4)))
        (tmp_path / "c.npy").write_bytes(b"nothing")
        np.save(tmp_path / "d.npy", np.array([{}], object), allow_pickle=True)
        for name, words in (
            ("a.npy", r"wrong-array.*\(3, 4\).*\(4, 4, 1\)"),
            ("b.npy", "wrong-array.*float64"),
            ("c.npy", "corrupt-file"),
            ("d.npy", "corrupt-file"),
        ):
            with pytest.raises(DlrunError, match=words):
                source.read([tmp_path / name], signature)


def test_booleans_are_0_and_1(tmp_path: Path) -> None:
    for name, kind in (("a", bool), ("b", np.uint8)):
        np.savez(tmp_path / f"{name}.npz", x=np.eye(6).astype(kind), y=np.arange(6) % 2)
    source = sources.get("npz")(train=str(tmp_path / "a.npz"))
    signature = source.signature(Place())
    assert (signature.scale, signature.top, signature.stored_dtype) == (1, 1, "float32")
    np.testing.assert_array_equal(source.load("train", Place()).x, np.eye(6))
    both = sources.get("npz")(train=str(tmp_path / "a.npz"), test=str(tmp_path / "b.npz"))
    with pytest.raises(DlrunError, match="split-mismatch: .*b.npz.* stored as `uint8`, but .*a.npz.* has `float32`"):
        both.signature(Place())
    np.save(tmp_path / "new.npy", np.ones(6, bool))
    of_bytes = sources.get("npz")(train=str(tmp_path / "b.npz"))
    with pytest.raises(DlrunError, match="wrong-array.*`bool`.*uint8"):
        of_bytes.read([tmp_path / "new.npy"], of_bytes.signature(Place()))


@pytest.mark.parametrize(
    ("value", "code"),
    [([0, np.nan, 1], "not-finite"), ([0, 1e300, 1], "not-finite"), (["a", "b", "c"], "wrong-array")],
)
def test_samples_to_predict_are_numbers(tmp_path: Path, value: Any, code: str) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 3)), y=np.arange(4) % 2)
    np.save(tmp_path / "new.npy", np.array(value))
    source = sources.get("npz")(train=str(tmp_path / "a.npz"))
    with pytest.raises(DlrunError) as caught:
        source.read([tmp_path / "new.npy"], source.signature(Place()))
    assert caught.value.code == code and f"`{tmp_path / 'new.npy'}`" in caught.value.message
