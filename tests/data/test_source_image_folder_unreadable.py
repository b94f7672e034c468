"""Folders of images of which some cannot be read, are turned, or have another shape."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlrun.data import unreadable
from dlrun.data.listing import Files, Names
from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError


def picture(path: Path, value: int, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def folder(**fields: Any) -> Any:
    return sources.get("image_folder")(**{"size": (6, 4), **fields})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of six; those with odd numbers of the first cannot be read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base = tmp_path / "data"
    for split in ("train", "test"):
        for name in ("a", "b"):
            for i in range(6):
                picture(base / split / name / f"{i}.png", i)
    for i in (1, 3, 5):
        (base / "train" / "a" / f"{i}.png").write_bytes([b"", b"text", b"\xff\xd8\xff\xe0"][i // 2])
    (base / "test" / "b" / "2.png").write_bytes((base / "test" / "b" / "2.png").read_bytes()[:50])
    return base


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of which it was found out whether they can be read."""
    paths: list[str] = []

    def look(path: str) -> str | None:
        paths.append(str(path))
        return original(path)

    original = unreadable.why_unreadable
    monkeypatch.setattr(unreadable, "why_unreadable", look)
    return paths


def test_stop_names_the_file_and_the_way_out(root: Path) -> None:
    reader = folder().open("train", Place(str(root)))
    assert len(reader) == 12
    assert folder().signature(Place(str(root))).notes == ()
    with pytest.raises(DlrunError) as caught:
        reader.take(np.arange(12))
    error = caught.value
    assert (error.code, error.path) == ("unreadable-image", ("data", "source"))
    assert error.message == f"`{root / 'train' / 'a' / '1.png'}` is not a readable image: the file is empty."
    assert "`unreadable: skip`" in (error.hint or "")


def test_skip_leaves_out_counts_and_names(root: Path) -> None:
    source = folder(unreadable="skip")
    signature = source.signature(Place(str(root)))
    assert signature.sizes == {"train": 9, "test": 11}
    a = root / "train" / "a"
    assert signature.notes == (
        f"3 of 12 train images are left out as unreadable: `{a / '1.png'}` (the file is empty), "
        f"`{a / '3.png'}` (it has no known image format), `{a / '5.png'}` (it has no known image format).",
        f"1 of 12 test images is left out as unreadable: `{root / 'test' / 'b' / '2.png'}` (image file is truncated).",
    )
    samples = source.load("train", Place(str(root)))
    assert samples.y.tolist() == [0] * 3 + [1] * 6
    assert samples.x[:, 0, 0, 0].tolist() == [0, 2, 4, 0, 1, 2, 3, 4, 5]
    reader = source.open("train", Place(str(root)))
    assert [reader.name(i) for i in (1, 3)] == [str(a / "2.png"), str(root / "train" / "b" / "0.png")]


def test_each_file_is_decoded_once(root: Path, looked: list[str]) -> None:
    source, place = folder(unreadable="skip", test=None), Place(str(root))
    source.signature(place)
    assert len(set(looked)) == 12
    looked.clear()
    source.signature(place)
    source.open("train", place)
    assert {Path(p).name for p in looked} == {"1.png", "3.png", "5.png"}, "only for the reasons"
    looked.clear()
    picture(root / "train" / "a" / "3.png", 3)  # repaired
    (root / "train" / "b" / "0.png").write_bytes(b"broken")
    os.remove(root / "train" / "a" / "5.png")
    picture(root / "train" / "b" / "new.png", 9)
    signature = source.signature(place)
    assert signature.sizes["train"] == 10
    assert "2 of 12 train images" in signature.notes[0]
    fresh = [str(root / "train" / name) for name in ("a/3.png", "b/0.png", "b/new.png")]
    assert sorted(set(looked) - {str(root / "train/a/1.png")}) == sorted(fresh)
    kept = list((root.parent / "cache" / "dlrun" / "readable").iterdir())
    assert len(kept) == 1
    kept[0].write_bytes(b"damaged")
    looked.clear()
    assert source.signature(place) == signature
    assert len(set(looked)) == 12


def test_an_interruption_loses_one_block(root: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreadable, "_BLOCK", 5)
    source, place = folder(unreadable="skip", test=None), Place(str(root))
    original = unreadable._save

    def save(*args: Any) -> None:
        original(*args)
        if len(looked) == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(unreadable, "_save", save)
        with pytest.raises(KeyboardInterrupt):
            source.signature(place)
    looked.clear()
    assert source.signature(place).sizes["train"] == 9
    assert len({p for p in looked if Path(p).parent.name == "b"}) == 2


def test_a_cache_that_cannot_be_written_only_costs_time(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root.parent / "cache").write_text("in the way")
    assert folder(unreadable="skip").signature(Place(str(root))).sizes == {"train": 9, "test": 11}
    assert "cannot be written: Not a directory" in caplog.text


def test_what_breaks_later_stops(root: Path) -> None:
    reader = folder(unreadable="skip").open("train", Place(str(root)))
    (root / "train" / "a" / "0.png").write_bytes(b"")
    with pytest.raises(DlrunError, match="0.png` is not a readable image: the file is empty"):
        reader.take(np.array([0]))


def test_nothing_left_of_a_class(root: Path) -> None:
    for i in (0, 2, 4):
        (root / "train" / "a" / f"{i}.png").write_bytes(b"")
    with pytest.raises(DlrunError) as caught:
        folder(unreadable="skip").signature(Place(str(root)))
    assert caught.value.code == "empty-class"
    assert "holds no images. 6 of 12 train images are left out as unreadable" in caught.value.message
    assert " and 3 more." in caught.value.message
    assert "Or remove the folder" in (caught.value.hint or "")
    for i in range(6):
        (root / "train" / "b" / f"{i}.png").write_bytes(b"")
    with pytest.raises(DlrunError, match="empty-data: .*hold no images. 12 of 12 train images are left out"):
        folder(unreadable="skip").signature(Place(str(root)))


def test_no_classes_at_all(root: Path) -> None:
    (root / "empty").mkdir()
    with pytest.raises(DlrunError, match="empty-data: .*empty` has no class folders"):
        folder(train="empty", unreadable="skip").signature(Place(str(root)))


def test_fit_is_for_training_and_for_prediction(root: Path) -> None:
    for name in ("a", "b"):
        picture(root / "wide" / name / "x.png", 200, size=(4, 12))
    wide = root / "wide" / "a" / "x.png"
    for fit, corner in (("stretch", 200), ("crop", 200), ("pad", 0)):
        source = folder(train="wide", test=None, size=6, fit=fit)
        samples = source.load("train", Place(str(root)))
        assert samples.x[0, 0, 0, 0] == corner
        np.testing.assert_array_equal(source.read([wide], None)[0], samples.x[0])


def test_names_are_kept_small() -> None:
    assert list(Names([])) == []
    assert list(Names(["a", "", "größe.png"])) == ["a", "", "größe.png"]
    odd = os.fsdecode(b"\xff.png")
    assert Names([odd, "b"]).kept(np.array([True, False]))[0] == odd
    files = Files(["p", "q", "r"], [Names(["a", "b"]), Names([]), Names(["c"])])
    assert [files.path(i) for i in range(3)] == ["p/a", "p/b", "r/c"]
    kept = files.kept(np.array([False, True, True]))
    assert ([kept.path(i) for i in range(2)], kept.counts.tolist()) == (["p/b", "r/c"], [1, 0, 1])


def test_many_files_take_little_memory() -> None:
    def held(count: int) -> int:
        tracemalloc.start()
        files = Files(["folder"], [Names(f"image_{i:08}.jpg" for i in range(count))])
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(files) == count
        return size

    assert held(100_000) < 100_000 * 30
