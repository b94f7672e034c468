"""Archives that are damaged, reach out of their folder, or need more room than there is: refused, nothing left."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlrun.data.remote import RemoteFile, fetch_files
from dlrun.errors import DlrunError


def tar_of(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


FLOWERS = {"train/rose/1.txt": b"red" * 9000, "train/tulip/größe.txt": b"yellow"}
GZ, TAR, XZ, ZIP = (*(tar_of(FLOWERS, mode) for mode in ("w:gz", "w", "w:xz")), zip_of(FLOWERS))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def refused(root: Path, data: bytes, to: str = "bad", sha256: str | None = None) -> DlrunError:
    """What is said of an archive that is to be unpacked."""
    (root.parent / "archive").write_bytes(data)
    with pytest.raises(DlrunError) as caught:
        fetch_files(
            [RemoteFile(url=(root.parent / "archive").as_uri(), unpack=True, to=to, sha256=sha256)], str(root), True
        )
    return caught.value


def left(root: Path) -> list[str]:
    """Files below the folder, hidden ones too."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(20) + data[middle + 20 :]


@pytest.mark.parametrize(
    "data",
    [
        GZ[:-30],
        TAR[:20_000],
        TAR[: 512 + 27136],  # at the border of two members
        TAR[: 512 + 27136] + b"?" * 512 + TAR[512 + 27136 + 512 :],
        damaged(ZIP),
        damaged(XZ),
    ],
)
def test_damaged_archives_leave_nothing(root: Path, data: bytes) -> None:
    error = refused(root, data, sha256=hashlib.sha256(data).hexdigest())
    assert error.code == "corrupt-archive"
    assert f"{root.parent.name}/archive` cannot be unpacked: " in error.message
    assert left(root) == [".bad.lock"]


def special(kind: bytes, name: str = "x", target: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return out.getvalue()


def zip_link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tar_of({"../outside.txt": b"x"}), "outside the destination"),
        (special(tarfile.SYMTYPE, target="/etc/passwd"), "absolute path"),
        (special(tarfile.SYMTYPE, target="../../x"), "outside the destination"),
        (special(tarfile.LNKTYPE, target="../../x"), "outside the destination"),
        (special(tarfile.FIFOTYPE), "special file"),
        (special(tarfile.CHRTYPE), "special file"),
        (zip_of({"a/../../outside.txt": b"x"}), "outside the folder"),
        (zip_of({"..\\outside.txt": b"x"}), "outside the folder"),
        (zip_of({"/outside.txt": b"x"}), "outside the folder"),
        (zip_link(), "is a link"),
    ],
)
def test_archives_that_reach_out_are_refused(root: Path, data: bytes, words: str) -> None:
    error = refused(root, data, to="in/side")
    assert (error.code, error.exit_code) == ("unsafe-archive", 2)
    assert words in error.message
    assert left(root.parent) == ["archive", "root/in/.side.lock"]


@pytest.mark.parametrize("data", [TAR, ZIP])
def test_no_room(root: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=20_000))
    error = refused(root, data)
    assert (error.code, error.exit_code) == ("disk-full", 1)
    assert "has room for 20,000" in error.message
    assert not (root / "bad").exists()
