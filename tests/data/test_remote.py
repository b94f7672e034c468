"""Files named by URL: fetched from a real server, checked, unpacked, found again, and refused with reasons."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlrun.data import remote
from dlrun.data.remote import RemoteFile, fetch_files, marker_of
from dlrun.errors import DlrunError, DlrunErrors

TABLE = os.urandom(200_000)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FLOWERS = {"train/rose/1.txt": b"red" * 9000, "train/tulip/größe.txt": b"yellow"}


def packed(files: dict[str, bytes], kind: str) -> bytes:
    """An archive of files as ``shutil.make_archive`` makes it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, "files", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return Path(shutil.make_archive(f"{folder}/packed", kind, f"{folder}/files")).read_bytes()


FILES = {
    "table.csv": TABLE,
    "flowers.tar.gz": packed(FLOWERS, "gztar"),
    "flowers.tar": packed(FLOWERS, "tar"),
    "flowers.tar.xz": packed(FLOWERS, "xztar"),
    "flowers.zip": packed(FLOWERS, "zip"),
    "page.tar.gz": b"<!DOCTYPE html><style>x{}</style><title>Please  log in</title><p>to go on",
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def server(mirror: Callable[..., Any]) -> Any:
    return mirror(dict(FILES))


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "root").mkdir()
    return str(tmp_path / "root")


def file(server: Any, name: str, behaviour: str = "good", **fields: Any) -> RemoteFile:
    return RemoteFile(url=server.url(behaviour) + name, **fields)


def error_of(files: list[RemoteFile], root: str | None, *, download: bool = True) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        fetch_files(files, root, download)
    return caught.value


def visible(folder: str) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file() and p.name[0] != ".")


def test_a_file_is_fetched_once(server: Any, root: str) -> None:
    wanted = [file(server, "table.csv", sha256=sha(TABLE))]
    for download in (True, False):
        assert fetch_files(wanted, root, download) == remote.Fetched(root)
        assert (Path(root) / "table.csv").read_bytes() == TABLE
    assert server.requests == [("/good/table.csv", None)]
    assert sorted(p.name for p in Path(root).iterdir()) == [
        ".table.csv.fetched.json",
        ".table.csv.lock",
        "table.csv",
    ]


def test_without_files_nothing_changes() -> None:
    assert fetch_files([], "here", False) == remote.Fetched("here")
    assert fetch_files([], None, False) == remote.Fetched(None)


def test_the_cache_has_a_folder_for_each_list(server: Any, tmp_path: Path) -> None:
    one = [file(server, "table.csv", sha256=sha(TABLE), to="data/a.csv")]
    first = fetch_files(one, None, True).root
    assert first is not None and Path(first).parent == tmp_path / "cache" / "dlrun" / "files"
    assert visible(first) == ["data/a.csv"]
    assert fetch_files(one, None, False).root == first
    other = fetch_files([file(server, "table.csv", to="data/a.csv")], None, True).root
    assert other != first


def test_the_checksum_is_told_where_the_recipe_has_none(server: Any, root: str) -> None:
    wanted = [file(server, "table.csv"), file(server, "flowers.zip", unpack=True)]
    for download in (True, False):
        notes = fetch_files(wanted, root, download).notes
        assert [f"`{sha(FILES[name])}`" in note for name, note in zip(("table.csv", "flowers.zip"), notes, strict=True)]
        assert wanted[0].url in notes[0]
    (Path(root) / "own.csv").write_bytes(b"put there by hand")
    assert fetch_files([file(server, "table.csv", to="own.csv")], root, True).notes == ()


def test_file_urls(tmp_path: Path, root: str) -> None:
    (tmp_path / "größe 1.csv").write_bytes(TABLE)
    url = (tmp_path / "größe 1.csv").as_uri()
    fetch_files([RemoteFile(url=url, sha256=sha(TABLE).upper())], root, True)
    assert visible(root) == ["größe 1.csv"]
    error = error_of([RemoteFile(url=url + "x")], root)
    assert (error.code, error.exit_code) == ("download-failed", 1)
    assert "No such file" in error.message


@pytest.mark.parametrize("name", ["flowers.tar.gz", "flowers.tar", "flowers.tar.xz", "flowers.zip"])
@pytest.mark.parametrize("to", [None, "deep/er"])
def test_archives_become_folders(server: Any, root: str, name: str, to: str | None) -> None:
    wanted = [file(server, name, sha256=sha(FILES[name]), unpack=True, to=to)]
    for download in (True, False):
        fetch_files(wanted, root, download)
    folder = to or "flowers"
    assert visible(root) == [f"{folder}/{member}" for member in FLOWERS]
    for member, data in FLOWERS.items():
        assert (Path(root) / folder / member).read_bytes() == data
    assert len(server.requests) == 1
    assert not list(Path(root).rglob("*.part")) and not list(Path(root).rglob("*.tmp"))


def test_what_broke_off_goes_on(server: Any, root: str) -> None:
    fetch_files([file(server, "table.csv", "cut", sha256=sha(TABLE))], root, True)
    assert (Path(root) / "table.csv").read_bytes() == TABLE
    asked = [a for _, a in server.requests]
    assert asked[:3] == [None, "bytes=100000-", "bytes=150000-"]


@pytest.mark.parametrize("begun", [TABLE[:1234], TABLE, TABLE + b"more", b"x" * 5000])
def test_what_an_earlier_attempt_left_is_used_or_thrown_away(server: Any, root: str, begun: bytes) -> None:
    (Path(root) / ".table.csv.part").write_bytes(begun)
    fetch_files([file(server, "table.csv", "strict", sha256=sha(TABLE))], root, True)
    assert (Path(root) / "table.csv").read_bytes() == TABLE
    assert server.requests[0][1] == f"bytes={len(begun)}-"
    assert len(server.requests) == (1 if TABLE.startswith(begun) else 2)


def test_without_a_checksum_nothing_is_continued(server: Any, root: str) -> None:
    (Path(root) / ".table.csv.part").write_bytes(b"x" * 5000)
    fetch_files([file(server, "table.csv")], root, True)
    assert (Path(root) / "table.csv").read_bytes() == TABLE


def test_a_server_that_names_no_size(server: Any, root: str) -> None:
    fetch_files([file(server, "table.csv", "no-length")], root, True)
    assert (Path(root) / "table.csv").read_bytes() == TABLE


@pytest.mark.parametrize("fields", [{"unpack": True}, {"unpack": True, "sha256": "0" * 64}, {}])
def test_a_page_instead_of_the_file(server: Any, root: str, fields: dict[str, Any]) -> None:
    error = error_of([file(server, "page.tar.gz", **fields)], root)
    assert (error.code, error.path) == ("page-instead-of-file", ("data", "files", 0, "url"))
    assert error.message == (
        f"`{server.url('good')}page.tar.gz` answers with a web page, not with a file: "
        f"{len(FILES['page.tar.gz'])} bytes that begin with `Please log in to go on`."
    )
    assert visible(root) == []
    assert not list(Path(root).glob("*.part"))


def test_a_page_that_was_asked_for(server: Any, root: str) -> None:
    fetch_files([file(server, "page.tar.gz", to="page.html")], root, True)
    assert visible(root) == ["page.html"]


def test_a_wrong_checksum(server: Any, root: str) -> None:
    error = error_of([file(server, "table.csv", sha256="ab" * 32)], root)
    assert (error.code, error.path) == ("wrong-checksum", ("data", "files", 0, "sha256"))
    assert f"has the SHA-256 `{sha(TABLE)}`, but the recipe says {'ab' * 32}; 200,000 bytes" in error.message
    assert f"begin with `{TABLE[:8].hex(' ')}` arrived" in error.message
    assert len(server.requests) == 1 and visible(root) == []


def test_a_file_that_is_there_is_compared(server: Any, root: str) -> None:
    wanted = [file(server, "table.csv", sha256=sha(TABLE))]
    target = Path(root) / "table.csv"
    target.write_bytes(TABLE)
    fetch_files(wanted, root, False)
    assert server.requests == [] and marker_of(target).exists()
    target.write_bytes(TABLE[:-1])
    error = error_of(wanted, root)
    assert error.code == "wrong-checksum"
    assert error.message.startswith(f"`{target}` has the SHA-256 `{sha(TABLE[:-1])}`, but the recipe says")
    assert "Delete it" in (error.hint or "")


def test_a_file_is_not_read_again_while_it_stays_the_same(
    server: Any, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [file(server, "table.csv", sha256=sha(TABLE))]
    fetch_files(wanted, root, True)
    monkeypatch.setattr("dlrun.data.download.digest", None)
    fetch_files(wanted, root, False)


def test_a_folder_of_another_archive(server: Any, root: str) -> None:
    fetch_files([file(server, "flowers.tar", unpack=True, sha256=sha(FILES["flowers.tar"]))], root, True)
    error = error_of([file(server, "flowers.zip", unpack=True, sha256=sha(FILES["flowers.zip"]))], root)
    assert error.code == "wrong-checksum"
    assert f"was unpacked from an archive with the SHA-256 `{sha(FILES['flowers.tar'])}`" in error.message
    error = error_of([file(server, "table.csv", to="flowers")], root)
    assert (error.code, "is a folder" in error.message) == ("wrong-place", True)


def test_a_folder_put_there_by_hand_is_taken(server: Any, root: str) -> None:
    (Path(root) / "flowers").mkdir()
    archive = file(server, "flowers.zip", unpack=True, sha256="0" * 64)
    (note,) = fetch_files([archive], root, True).notes
    assert server.requests == []
    assert note == f"`{root}/flowers` was not unpacked here: `sha256` of `{archive.url}` was not compared."
    assert fetch_files([file(server, "flowers.zip", unpack=True)], root, True).notes == ()


def test_downloading_is_off(server: Any, root: str) -> None:
    error = error_of([file(server, "table.csv")], root, download=False)
    assert (error.code, error.exit_code, server.requests) == ("missing-data", 2, [])
    assert f"`{Path(root) / 'table.csv'}` is not there, and downloading is off" in error.message
    assert "data.download=true" in (error.hint or "")


def test_nothing_there(server: Any, root: str) -> None:
    error = error_of([file(server, "table.csv", "none")], root)
    assert (error.code, error.exit_code, error.path) == ("download-failed", 1, ("data", "files", 0, "url"))
    assert f"`{server.url('none')}table.csv` could not be downloaded: HTTP 404 Not Found" in error.message
    error = error_of([RemoteFile(url="http://127.0.0.1:9/a.csv")], root)
    assert "Connection refused" in error.message
    assert error.path == ("data", "files", 0, "url")


def test_what_is_no_archive(server: Any, root: str) -> None:
    error = error_of([file(server, "table.csv", unpack=True, to="x")], root)
    assert (error.code, error.path) == ("not-an-archive", ("data", "files", 0, "unpack"))
    assert "is neither a zip nor a tar archive: 200,000 bytes" in error.message


def test_a_folder_that_cannot_be_made(server: Any, root: str) -> None:
    (Path(root) / "a").write_text("in the way")
    error = error_of([file(server, "table.csv", to="a/b")], root)
    assert (error.code, error.path) == ("unwritable-folder", ("data", "root"))


def test_two_processes_fetch_once(server: Any, root: str) -> None:
    code = (
        "import sys; from dlrun.data.remote import RemoteFile, fetch_files;"
        "fetch_files([RemoteFile(url=sys.argv[1], unpack=True)], sys.argv[2], True)"
    )
    command = [sys.executable, "-c", code, server.url("good") + "flowers.tar.gz", root]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [p.wait(60) for p in both] == [0, 0]
    assert len(server.requests) == 1
    assert visible(root) == [f"flowers/{name}" for name in FLOWERS]


def test_mistakes_are_told_together(server: Any, root: str) -> None:
    files = [
        RemoteFile(url="ftp://a/b.csv"),
        RemoteFile(url="flowers.zip"),
        RemoteFile(url="http:///b.csv"),
        file(server, "table.csv", sha256="123"),
        file(server, "table.csv", to="../b"),
        file(server, "table.csv", to="/b"),
        RemoteFile(url="http://127.0.0.1:9"),
        file(server, "table.csv", to="./table.csv"),
        RemoteFile(url="htps://a/b.csv"),
    ]
    with pytest.raises(DlrunErrors) as caught:
        fetch_files(files, root, True)
    said = [(e.code, e.path[2:], e.message) for e in caught.value.errors]
    assert said == [
        ("invalid-url", (0, "url"), "`ftp://a/b.csv` is no https, http or file URL."),
        ("invalid-url", (1, "url"), "`flowers.zip` is no https, http or file URL."),
        ("invalid-url", (2, "url"), "`http:///b.csv` is no https, http or file URL."),
        ("invalid-checksum", (3, "sha256"), "`123` is no SHA-256; it has 64 hexadecimal digits."),
        ("invalid-place", (4, "to"), "`../b` names no place below `data.root`."),
        ("invalid-place", (5, "to"), "`/b` names no place below `data.root`."),
        ("invalid-place", (6, "url"), "`` names no place below `data.root`."),
        ("invalid-place", (7, "to"), "`./table.csv` is where `data.files[3]` goes already."),
        ("invalid-url", (8, "url"), "`htps://a/b.csv` is no https, http or file URL."),
    ]
    assert "`https`" in (caught.value.errors[-1].hint or "")
    assert server.requests == []


def test_a_recipe_fetches_before_its_source_looks(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source looks in the cache's folder, the feed in the same; what is wrong is told at its place."""
    import numpy as np

    from dlrun.config import compose
    from dlrun.data.feed import Feed

    monkeypatch.chdir(tmp_path)
    np.savez("made.npz", x=np.ones((20, 3)), y=np.arange(20) % 2)
    server.files["made.zip"] = packed({"in/train.npz": Path("made.npz").read_bytes()}, "zip")
    recipe = f"""\
task: classification
data:
  files:
    - url: {server.url("good")}made.zip
      unpack: true
  source: {{name: npz, train: made/in/train.npz}}
  batch_size: 5
model: {{layers: [dense]}}
"""
    (tmp_path / "r.yaml").write_text(recipe)
    plan = compose(["recipe=./r.yaml"]).plan
    assert plan.signature.sizes == {"train": 20}
    assert sha(server.files["made.zip"]) in plan.signature.notes[0]
    assert len(list(Feed(plan).batches(0))) == 4
    assert len(server.requests) == 1
    with pytest.raises(DlrunError) as caught:
        compose(["recipe=./r.yaml", "data.download=false", "data.root=."])
    assert "missing-data: `made` is not there, and downloading is off." in str(caught.value)
    assert "r.yaml:4:7" in str(caught.value)


def test_what_came_from_another_address_is_not_taken_for_the_new_one(server: Any, root: str) -> None:
    fetch_files([file(server, "table.csv"), file(server, "flowers.zip", unpack=True)], root, True)
    for name, unpack in (("table.csv", False), ("flowers.zip", True)):
        other = file(server, name, "strict", unpack=unpack)
        error = error_of([other], root)
        assert (error.code, error.path) == ("wrong-place", ("data", "files", 0, "url"))
        assert server.url("good") + name in error.message and other.url in error.message
    known = file(server, "table.csv", "strict", sha256=sha(TABLE))
    assert fetch_files([known], root, False).notes == (), "a checksum says more than an address"
    (Path(root) / "table.csv").write_bytes(b"put there by hand")
    assert fetch_files([file(server, "table.csv", "strict")], root, False).notes == ()


def test_a_file_within_an_unpacked_folder(server: Any, root: str) -> None:
    inner = file(server, "table.csv", sha256=sha(TABLE), to="flowers/table.csv")
    fetch_files([inner, file(server, "flowers.zip", unpack=True, sha256=sha(FILES["flowers.zip"]))], root, True)
    assert visible(root) == ["flowers/table.csv", *(f"flowers/{name}" for name in sorted(FLOWERS))]
