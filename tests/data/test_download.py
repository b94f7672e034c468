"""Downloads against a real server that breaks off, ignores Range, sends the wrong thing or nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlrun.data.download import fetch
from dlrun.data.published import PublishedFile, obtain
from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError, RunError

CONTENT = gzip.compress(os.urandom(300_000))


def published(*urls: str, content: bytes = CONTENT) -> PublishedFile:
    plain = gzip.decompress(content)
    md5 = [hashlib.md5(data).hexdigest() for data in (content, plain)]
    return PublishedFile("letters", "a.gz", urls, len(content), md5[0], "a", md5[1])


@pytest.fixture
def server(mirror: Callable[..., Any]) -> Any:
    return mirror({"a.gz": CONTENT})


def test_whole_file(server: Any, tmp_path: Path) -> None:
    path = fetch(published(server.url("good")), tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert sorted(p.name for p in path.parent.iterdir() if not p.name.startswith(".")) == ["a.gz"]


def test_a_broken_transfer_goes_on_where_it_stopped(server: Any, tmp_path: Path) -> None:
    path = fetch(published(server.url("cut")), tmp_path)
    assert path.read_bytes() == CONTENT
    ranges = [asked for _, asked in server.requests]
    half = (len(CONTENT) + 1) // 2
    assert ranges[0] is None
    assert ranges[1] == f"bytes={half}-"
    assert len(ranges) > 3


def test_a_part_left_behind_is_used(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(CONTENT[:1234])
    assert fetch(published(server.url("good")), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/good/a.gz", "bytes=1234-")]


def test_a_server_without_range_starts_over(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(b"x" * 5000)
    assert fetch(published(server.url("no-range")), tmp_path).read_bytes() == CONTENT


def test_a_wrong_part_is_thrown_away(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(b"x" * 5000)
    assert fetch(published(server.url("good")), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["bytes=5000-", None]


@pytest.mark.parametrize("bad", ["none", "page", "garbage", "cut-no-range"])
def test_the_next_mirror_is_tried(server: Any, tmp_path: Path, bad: str) -> None:
    path = fetch(published(server.url(bad), server.url("good")), tmp_path)
    assert path.read_bytes() == CONTENT


def test_every_reason_is_told(server: Any, tmp_path: Path) -> None:
    file = published(*(server.url(b) for b in ("none", "page", "garbage", "cut-no-range")), "http://127.0.0.1:9/")
    with pytest.raises(RunError) as caught:
        fetch(file, tmp_path)
    error = caught.value
    assert (error.code, error.exit_code) == ("download-failed", 1)
    for words in (
        "`a.gz` of letters",
        "/none/a.gz: HTTP 404",
        f"/page/a.gz: the file there has 26 bytes, expected {len(CONTENT)}",
        f"/garbage/a.gz: wrong checksum, expected {file.md5}, got ",
        f"/cut-no-range/a.gz: it broke off after {(len(CONTENT) + 1) // 2} of {len(CONTENT)} bytes",
        "http://127.0.0.1:9/a.gz: Connection refused",
    ):
        assert words in error.message
    assert f"`{tmp_path}`" in (error.hint or "")
    assert not (tmp_path / "a.gz").exists()


def test_own_mirror_comes_first(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLRUN_MIRROR", server.url("good").rstrip("/"))
    fetch(published(server.url("no-range")), tmp_path)
    assert server.requests == [("/good/letters/a.gz", None)]


def test_two_processes_fetch_once(server: Any, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dlrun.data.download import fetch;"
        "from dlrun.data.published import PublishedFile;"
        "url, size, md5, folder = sys.argv[1:];"
        "fetch(PublishedFile('letters', 'a.gz', (url,), int(size), md5, 'a', ''), Path(folder))"
    )
    file = published()
    command = [sys.executable, "-c", code, server.url("good"), str(file.size), file.md5, str(tmp_path)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [p.wait(60) for p in both] == [0, 0]
    assert len(server.requests) == 1


def test_folder_that_cannot_be_made(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DlrunError) as caught:
        fetch(published(server.url("good")), tmp_path / "file" / "cache")
    assert caught.value.code == "unwritable-folder"
    assert caught.value.path == ("data", "root")


def test_full_disk_stops_with_what_to_do(server: Any, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from dlrun.data.download import fetch;"
        "from dlrun.data.published import PublishedFile; from dlrun.errors import RunError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: fetch(PublishedFile('letters', 'a.gz', (sys.argv[1],), 300_000, '', 'a', ''), Path(sys.argv[2]))\n"
        "except RunError as e: print(e)"
    )
    server.files["a.gz"] = CONTENT[:300_000]
    done = subprocess.run(
        [sys.executable, "-c", code, server.url("good"), str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("disk-full: `")
    assert "data.root" in done.stdout
    assert not (tmp_path / "a.gz").exists()


class TestLocalCopies:
    """Where files are looked for, and what is made of damaged ones."""

    @pytest.fixture(autouse=True)
    def _places(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DLRUN_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    @pytest.mark.parametrize("place", ["root/letters", "root", "data/letters", "data", "cache/dlrun/letters"])
    @pytest.mark.parametrize("name", ["a.gz", "a"])
    def test_found(self, tmp_path: Path, place: str, name: str) -> None:
        target = tmp_path / place / name
        target.parent.mkdir(parents=True)
        target.write_bytes(CONTENT if name == "a.gz" else gzip.decompress(CONTENT))
        data, path = obtain(published(), Place(str(tmp_path / "root"), download=False))
        assert path == target
        assert data == target.read_bytes()

    def test_downloads_go_to_the_root_or_the_cache(self, server: Any, tmp_path: Path) -> None:
        file = published(server.url("good"))
        assert obtain(file, Place())[1] == tmp_path / "cache" / "dlrun" / "letters" / "a.gz"
        (tmp_path / "cache" / "dlrun" / "letters" / "a.gz").unlink()
        assert obtain(file, Place(str(tmp_path / "root")))[1] == tmp_path / "root" / "a.gz"

    def test_missing_and_not_to_be_downloaded(self, tmp_path: Path) -> None:
        with pytest.raises(DlrunError) as caught:
            obtain(published("http://127.0.0.1:9/"), Place(str(tmp_path / "root"), download=False))
        assert (caught.value.code, caught.value.exit_code) == ("missing-data", 2)
        assert f"`{tmp_path / 'cache' / 'dlrun' / 'letters'}`" in caught.value.message
        assert "data.download=true" in (caught.value.hint or "")

    def test_truncated(self, tmp_path: Path) -> None:
        (tmp_path / "a.gz").write_bytes(CONTENT[:-10])
        with pytest.raises(DlrunError) as caught:
            obtain(published(), Place(str(tmp_path)))
        assert caught.value.code == "truncated-file"
        assert f"`{tmp_path / 'a.gz'}` is cut off: {len(CONTENT) - 10} of {len(CONTENT)} bytes" in caught.value.message

    @pytest.mark.parametrize("name", ["a.gz", "a"])
    def test_wrong_checksum(self, tmp_path: Path, name: str) -> None:
        wrong = bytes(len(CONTENT))
        (tmp_path / name).write_bytes(wrong)
        file = published()
        with pytest.raises(DlrunError) as caught:
            obtain(file, Place(str(tmp_path)))
        assert caught.value.code == "wrong-checksum"
        for words in (
            str(tmp_path / name),
            hashlib.md5(wrong).hexdigest(),
            file.md5 if name == "a.gz" else file.unpacked_md5,
        ):
            assert words in caught.value.message
        assert "Delete it" in (caught.value.hint or "")


def test_mnist_from_a_mirror(mirror: Callable[..., Any], data_root: Path, tmp_path: Path, monkeypatch: Any) -> None:
    names = [f"t10k-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
    server = mirror({name: (data_root / "mnist" / name).read_bytes() for name in names})
    monkeypatch.setenv("DLRUN_MIRROR", server.url("cut"))
    monkeypatch.delenv("DLRUN_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    samples = sources.get("mnist")().load("test", Place())
    assert samples.x.shape == (10_000, 28, 28, 1)
    assert sorted(p.name for p in (tmp_path / "dlrun" / "mnist").glob("t10k*")) == names
