"""Where files are looked for, and folders inside archives."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from dlrun.config import compose
from dlrun.data.locate import locate
from dlrun.data.source import Place
from dlrun.errors import DlrunError, DlrunErrors


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DLRUN_DATA", raising=False)


def pack(root: Path, ending: str, inner: str) -> None:
    """An archive ``flowers`` with ``train/rose/a.txt`` below the folder ``inner``."""
    root.mkdir(exist_ok=True)
    (root / "a.txt").write_text(ending)
    member = f"{inner}train/rose/a.txt"
    if ending == ".zip":
        with zipfile.ZipFile(root / f"flowers{ending}", "w") as archive:
            archive.write(root / "a.txt", member)
    else:
        with tarfile.open(root / f"flowers{ending}", "w:gz" if ending.endswith("gz") else "w") as archive:
            archive.add(root / "a.txt", member)


@pytest.mark.parametrize("ending", [".tar.gz", ".tgz", ".tar", ".zip"])
@pytest.mark.parametrize("inner", ["flowers/", ""])
def test_a_folder_in_an_archive_is_found(tmp_path: Path, ending: str, inner: str) -> None:
    pack(tmp_path / "data", ending, inner)
    found = locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
    assert (found / "rose" / "a.txt").read_text() == ending
    assert tmp_path / "cache" in found.parents and not (tmp_path / "data" / "flowers").exists()
    (found / "rose" / "a.txt").write_text("kept")
    again = locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
    assert again == found and (again / "rose" / "a.txt").read_text() == "kept", "unpacked once"


def test_a_folder_comes_before_an_archive_and_a_new_archive_is_unpacked_anew(tmp_path: Path) -> None:
    pack(tmp_path / "data", ".tar", "")
    first = locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
    pack(tmp_path / "data", ".tar", "flowers/")
    second = locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
    assert first != second
    (tmp_path / "data" / "flowers" / "train").mkdir(parents=True)
    found = locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
    assert found == tmp_path / "data" / "flowers" / "train"


def test_an_archive_without_the_folder_does_not_stand_for_it(tmp_path: Path) -> None:
    pack(tmp_path / "data", ".zip", "")
    with pytest.raises(DlrunError) as caught:
        locate("flowers/valid", Place(str(tmp_path / "data")), "test", folder=True)
    assert caught.value.code == "missing-data" and caught.value.path == ("data", "source", "test")


def test_a_broken_archive_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    pack(tmp_path / "data", ".tgz", "")
    packed = tmp_path / "data" / "flowers.tgz"
    packed.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises(DlrunError) as caught:
        locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
    assert caught.value.code == "corrupt-archive" and "flowers.tgz" in caught.value.message and packed.exists()
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_dir() and p.name not in ("dlrun", "unpacked")] == []


def test_an_example_comes_with_the_package_and_unknown_ones_are_listed() -> None:
    found = locate("example:shapes/train", Place("/nowhere"), "train", folder=True)
    assert sorted(p.name for p in found.iterdir()) == ["circle", "square", "triangle"]
    with pytest.raises(DlrunError) as caught:
        locate("example:forms/train", Place(), "train", folder=True)
    assert caught.value.code == "missing-data" and "`example:shapes.zip`" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("written", "folder", "meant"),
    [
        ("prufung.csv", False, "prüfung.csv"),
        ("tabels/train.csv", False, "tables/train.csv"),
        ("tables/trian.csv", False, "tables/train.csv"),
        ("picturs/train", True, "pictures/train"),
        ("tables/train.csv.d", True, None),  # what is called nearly so is no folder
        ("tabels/trian.csv", False, None),
    ],
)
def test_the_nearest_file_is_named(tmp_path: Path, written: str, folder: bool, meant: str | None) -> None:
    (tmp_path / "pictures" / "train").mkdir(parents=True)
    (tmp_path / "tables").mkdir()
    for name in ("prüfung.csv", "tables/train.csv"):
        (tmp_path / name).touch()
    for name, said in ((written, meant), (str(tmp_path / written), meant and str(tmp_path / meant))):
        with pytest.raises(DlrunError) as caught:
            locate(name, Place(str(tmp_path)), "train", folder=folder)
        assert caught.value.code == "missing-data"
        assert (caught.value.hint or "").startswith(f"Did you mean `{said}`?" if said else "Write the full path")


@pytest.mark.parametrize(
    "source",
    [
        "{name: table, train: a.csv, test: b.csv, target: y}",
        "{name: image_folder, train: a, test: b, size: 8}",
        "{name: npz, train: a.npz, test: b.npz}",
        "{name: idx, train: [a, b], test: [c, d]}",
        "{name: tar_shards, train: a.tar, test: b.tar, size: 8}",
    ],
)
def test_splits_that_are_not_there_are_told_together(tmp_path: Path, source: str) -> None:
    (tmp_path / "recipe.yaml").write_text(f"data:\n  root: {tmp_path}\n  source: {source}\n", "utf-8")
    with pytest.raises(DlrunErrors) as caught:
        _ = compose([f"recipe={tmp_path / 'recipe.yaml'}"]).plan
    missing = [e for e in caught.value.errors if e.code == "missing-data"]
    assert [e.path for e in missing] == [("data", "source", "train"), ("data", "source", "test")]


def test_a_cache_that_cannot_be_written_and_an_archive_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(tmp_path / "data", ".tgz", "")
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DlrunError) as caught:
        locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
    assert caught.value.code == "unwritable-folder" and caught.value.path == ("data", "source", "train")
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")

    def refused(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(DlrunError, match="unreadable-file: `.*flowers.tgz` cannot be read: Permission denied"):
        locate("flowers/train", Place(str(tmp_path / "data")), "train", folder=True)
