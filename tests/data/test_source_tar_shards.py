"""Images in tar files: read by offset from anywhere, and everything that a shard can lack."""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import json
import lzma
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlrun.data import shards, unreadable
from dlrun.data.shards import expanded, indexed
from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError

Members = list[tuple[str, bytes]]


def png(value: int, size: tuple[int, int] = (4, 6)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size[1], size[0]), (value, value, value)).save(out, "PNG")
    return out.getvalue()


def write(path: Path, members: Members, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def samples(values: range) -> Members:
    """An image and a label for each value; every third has its label as JSON."""
    members: Members = []
    for v in values:
        label = ("json", json.dumps({"label": v % 4}).encode()) if v % 3 == 0 else ("cls", b"%d\n" % (v % 4))
        members += [(f"part/{v:04}.png", png(v)), (f"part/{v:04}.{label[0]}", label[1])]
    return members


def source(**fields: Any) -> Any:
    return sources.get("tar_shards")(**{"train": "train-{00..02}.tar", "size": (4, 6), **fields})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three shards of 20, 1 and 30 samples, and one for testing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base = tmp_path / "größe [1]"
    for number, values in enumerate((range(20), range(20, 21), range(21, 51))):
        write(base / f"train-{number:02}.tar", samples(values))
    write(base / "test.tar", samples(range(60, 70)))
    return base


def error_of(base: Path, **fields: Any) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        source(**fields).signature(Place(str(base)))
    assert caught.value.exit_code == 2
    return caught.value


def test_signature(root: Path) -> None:
    signature = source(test="test.tar").signature(Place(str(root)))
    assert (signature.input.shape, signature.classes, signature.class_names) == ((4, 6, 3), 4, None)
    assert (signature.sizes, signature.scale, signature.notes) == ({"train": 51, "test": 10}, 1 / 255, ())
    named = source(classes=("a", "b", "c", "d", "e"), channels=1, size=5).signature(Place(str(root)))
    assert (named.classes, named.class_names, named.input.shape) == (5, ("a", "b", "c", "d", "e"), (5, 5, 1))
    assert source(classes=7).signature(Place(str(root))).classes == 7
    known = Place(str(root), known=source(classes=9).signature(Place(str(root))))
    assert source().signature(known).classes == 9


def test_samples_from_anywhere(root: Path) -> None:
    reader = source().open("train", Place(str(root)))
    assert reader.y.tolist() == [v % 4 for v in range(51)]
    rows = np.random.default_rng(0).permutation(51)
    for chosen in (rows, rows[:3], np.array([50, 0, 50, 20]), rows[:0]):
        assert reader.take(chosen)[:, 3, 5, 2].tolist() == chosen.tolist()
    whole = source().load("train", Place(str(root)))
    assert (whole.x[:, 0, 0, 0].tolist(), whole.y.tolist()) == (list(range(51)), reader.y.tolist())
    assert reader.name(20) == f"{root / 'train-01.tar'}:part/0020.png"


def test_fit_and_prediction(root: Path) -> None:
    write(root / "wide.tar", [("a.png", png(200, (2, 12))), ("a.cls", b"0")])
    (root / "wide.png").write_bytes(png(200, (2, 12)))
    for fit, corner in (("stretch", 200), ("crop", 200), ("pad", 0)):
        wide = source(train="wide.tar", fit=fit)
        x = wide.load("train", Place(str(root))).x
        assert x[0, 0, 0, 0] == corner
        np.testing.assert_array_equal(wide.read([root / "wide.png"], None), x)


@pytest.mark.parametrize(
    ("patterns", "count"),
    [
        ("train-0[01].tar", 21),
        ("train-??.tar", 51),
        (("train-00.tar", "train-02.tar"), 50),
        ("train-{00,02}.tar", 50),
        ("tr{ain,ain}-{01..01}.ta?", 2),
        ("{root}/train-*.tar", 51),
    ],
)
def test_names_of_shards(root: Path, patterns: Any, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if "root" in patterns:
        patterns = patterns.replace("{root}", glob.escape(str(root)))
    assert source(train=patterns).signature(Place(str(root))).sizes["train"] == count
    monkeypatch.chdir(root)
    if "root" not in patterns:
        assert source(train=patterns).signature(Place()).sizes["train"] == count


def test_braces() -> None:
    assert expanded("a-{8..11}.tar") == ["a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{000..002}") == ["000", "001", "002"]
    assert expanded("{0..10}") == [str(i) for i in range(11)]
    assert expanded("{8..010}") == ["008", "009", "010"]
    assert expanded("{a,b}{0..1}") == ["a0", "a1", "b0", "b1"]
    assert expanded("a{b}c") == ["a{b}c"]
    assert expanded("{2..1}") == []


def test_missing_shards(root: Path) -> None:
    error = error_of(root, train="train-{00..09}.tar")
    assert (error.code, error.path) == ("missing-data", ("data", "source", "train"))
    assert f"`{root / 'train-03.tar'}`" in error.message
    error = error_of(root, test="{test,none}-*.tar")
    assert (error.code, error.path) == ("missing-data", ("data", "source", "test"))
    assert "no file matches `test-*.tar`" in error.message
    for nothing in ((), "train-{2..1}.tar"):
        error = error_of(root, train=nothing)
        assert (error.code, "names no file" in error.message) == ("missing-data", True)
    write(root / "empty.tar", [])
    assert error_of(root, train="empty.tar").code == "empty-data"
    path = write(root / "texts.tar", [("a.txt", b"a rose"), ("b.txt", b"")])
    error = error_of(root, train="texts.tar", unreadable="skip")
    assert error.code == "empty-data"
    assert error.message == (
        "the shards of `texts.tar` hold no samples. The train shards have 2 samples without a label (`.cls` or "
        f"`.json`): in `{path}`. The train shards have 2 `.txt` members, which are passed over: in `{path}`. The train "
        f"shards have 2 samples without an image (`.jpg`, `.png`, `.webp`, `.bmp`): in `{path}`."
    )


def test_headers_are_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = shards._read
    monkeypatch.setattr(shards, "_read", lambda path, key: read.append(path.name) or original(path, key))
    first = source().signature(Place(str(root)))
    assert len(read) == 3
    assert source().signature(Place(str(root))) == first
    assert len(read) == 3
    write(root / "train-01.tar", samples(range(20, 25)))
    assert source().signature(Place(str(root))).sizes == {"train": 55}
    assert read[3:] == ["train-01.tar"]
    for kept in (root.parent / "cache" / "dlrun" / "shards").iterdir():
        kept.write_bytes(kept.read_bytes()[:90])
    assert source().signature(Place(str(root))).sizes == {"train": 55}
    with pytest.raises(DlrunError):
        source(label="other").signature(Place(str(root)))


def test_a_cache_that_cannot_be_written(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root.parent / "cache").write_text("in the way")
    assert source().signature(Place(str(root))).sizes == {"train": 51}
    assert "cannot be written" in caplog.text


def test_long_names_and_other_formats(root: Path) -> None:
    deep = "folder/" * 30
    members = [(f"{deep}größe.v2.png", b"text"), (f"{deep}größe.png", png(7)), (f"{deep}größe.CLS", b" 3 ")]
    for number, form in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)):
        write(root / f"long{number}.tar", members, format=form)
        x = source(train=f"long{number}.tar").load("train", Place(str(root)))
        assert (x.x[:, 0, 0, 0].tolist(), x.y.tolist()) == ([7], [3])


def test_labels_by_name(root: Path) -> None:
    members = [("a.png", png(1)), ("a.cls", b"dog"), ("b.png", png(2)), ("b.json", b'{"label": "cat"}')]
    write(root / "named.tar", members)
    assert source(train="named.tar", classes=("cat", "dog")).load("train", Place(str(root))).y.tolist() == [1, 0]
    error = error_of(root, train="named.tar")
    assert (error.code, "`dog`" in error.message) == ("wrong-label", True)
    assert "`classes`" in (error.hint or "")
    error = error_of(root, train="named.tar", classes=("cats", "dogs"))
    assert "Did you mean `dogs`?" in (error.hint or "")
    error = error_of(root, classes=3)
    assert (error.code, "`3`" in error.message) == ("label-out-of-range", True)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("b.png", png(9))], "1 sample without a label (`.cls` or `.json`)"),
        ([("b.cls", b"1")], "1 sample without an image"),
        ([("b.png", png(9)), ("b.json", b'{"class": 1}')], "1 `.json` member without `label`"),
        ([("b.png", png(9)), ("b.json", b"{")], "1 `.cls` or `.json` member that cannot be read"),
        ([("b.png", png(9)), ("b.json", b"[1]")], "1 `.cls` or `.json` member that cannot be read"),
        ([("b.png", png(9)), ("b.cls", b"\xff")], "1 `.cls` or `.json` member that cannot be read"),
        ([("b.png", png(9)), ("b.json", b'{"label": 1.5}')], "whose `label` is neither a number nor text"),
        ([("b.png", png(9)), ("b.cls", b"0"), ("b.CLS", b"1")], "1 sample with more than one `.cls` member"),
        ([("b.png", png(8)), ("b.png", png(9)), ("b.cls", b"0")], "1 sample with more than one `.png` member"),
        ([("b.png", png(8)), ("b.bmp", png(9)), ("b.cls", b"0")], "1 sample with more than one image (`.jpg`, "),
    ],
)
def test_incomplete_samples(root: Path, members: Members, words: str) -> None:
    path = write(root / "odd.tar", [("a.png", png(1)), ("a.cls", b"0"), *members, ("c.png", png(2)), ("c.cls", b"1")])
    error = error_of(root, train="odd.tar")
    assert (error.code, error.path) == ("incomplete-shard", ("data", "source", "train"))
    assert words in error.message and f"`{path}`" in error.message
    assert "`unreadable: skip`" in (error.hint or "")
    left = source(train="odd.tar", unreadable="skip")
    assert words in left.signature(Place(str(root))).notes[0]
    (named,) = left.open("train", Place(str(root))).left_out
    assert named.startswith(f"`{path}:b`: 1 ")
    assert words in named
    assert left.load("train", Place(str(root))).x[:, 0, 0, 0].tolist() == [1, 2]


def test_other_members_are_counted(root: Path) -> None:
    members: Members = [("._a.png", b"x"), ("a.png", png(1)), ("a.txt", b"a rose"), ("a.cls", b"0"), ("b.txt", b"")]
    for name in ("odd0.tar", "odd1.tar"):
        write(root / name, members[:4])
    signature = source(train="odd?.tar").signature(Place(str(root)))
    assert signature.notes == (
        f"The train shards have 2 `.txt` members, which are passed over: in `{root}/odd0.tar`, `{root}/odd1.tar`.",
    )


def test_links_are_counted(root: Path) -> None:
    path = write(root / "links.tar", samples(range(3)))
    with tarfile.open(path, "a") as archive:
        for name, kind in (("9.png", tarfile.SYMTYPE), ("9.cls", tarfile.LNKTYPE), ("folder", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "part/0000.png"
            archive.addfile(info)
    signature = source(train="links.tar").signature(Place(str(root)))
    assert signature.sizes == {"train": 3}
    assert signature.notes == (
        f"The train shards have 2 members other than files (links, devices), which are passed over: in `{path}`.",
    )


@pytest.mark.parametrize("left", [0, 100, 700, 5 * 1024, 20 * 1024 + 1, 20 * 2048])
def test_a_shard_cut_short(root: Path, left: int) -> None:
    path = root / "train-02.tar"
    data = path.read_bytes()
    path.write_bytes(data[:left])
    error = error_of(root)
    assert error.code == "incomplete-shard"
    assert f"1 file cut off or damaged: in `{path}` after byte " in error.message
    assert f" of {left:,}." in error.message
    reader = source(unreadable="skip").open("train", Place(str(root)))
    assert len(reader) == 21 + max(0, left // 2048), "a sample takes 2 KiB"
    assert reader.take(np.arange(len(reader)))[:, 0, 0, 0].tolist() == list(range(len(reader)))


def test_an_image_cut_short_is_no_sample(root: Path) -> None:
    path = write(root / "last.tar", [("a.cls", b"0"), ("a.png", png(1)), ("b.cls", b"1"), ("b.png", png(2))])
    path.write_bytes(path.read_bytes()[: 3 * 1024 + 512 + 30])
    reader = source(train="last.tar", unreadable="skip").open("train", Place(str(root)))
    assert reader.y.tolist() == [0]


def test_a_shard_damaged_inside(root: Path) -> None:
    path = root / "train-00.tar"
    data = bytearray(path.read_bytes())
    data[2048 * 3 : 2048 * 3 + 512] = b"?" * 512
    path.write_bytes(data)
    assert f"`{path}` after byte 6,144 of " in error_of(root).message
    data[2048 * 3 : 2048 * 3 + 512] = bytes(512)  # looks like the end of the file
    path.write_bytes(data)
    assert f"`{path}` after byte 6,144 of " in error_of(root).message


def test_a_shard_cut_while_it_is_read(root: Path) -> None:
    reader = source().open("train", Place(str(root)))
    path = root / "train-02.tar"
    path.write_bytes(path.read_bytes()[: 2048 + 550])
    with pytest.raises(DlrunError) as caught:
        reader.take(np.arange(23))
    assert caught.value.code == "truncated-file"
    assert f"`{path}` is cut off: of `part/0022.png`, {len(png(22))} bytes at offset 2,560, 38 are" in str(caught.value)
    path.unlink()
    with pytest.raises(DlrunError, match="unreadable-file: `.*train-02.tar` cannot be read: No such file"):
        reader.take(np.arange(51))


def test_an_image_that_cannot_be_read(root: Path) -> None:
    write(root / "bad.tar", [("a.png", png(1)), ("a.cls", b"0"), ("b.jpg", b"text"), ("b.cls", b"1")])
    with pytest.raises(DlrunError) as caught:
        source(train="bad.tar").load("train", Place(str(root)))
    assert caught.value.code == "unreadable-image"
    assert caught.value.message.startswith(f"`{root / 'bad.tar'}:b.jpg` is not a readable image: it has no known")


def test_images_that_cannot_be_read_are_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [b"text", b"", png(9)[:50]]
    members: Members = [(f"{i}.png", png(i)) for i in range(5)]
    members[1:4] = [(f"{i}.png", data) for i, data in enumerate(bad, 1)]
    first = write(root / "bad0.tar", [m for image in members for m in (image, (image[0][0] + ".cls", b"%d" % 1))])
    write(root / "bad1.tar", [("7.jpg", b"?"), ("7.cls", b"0"), ("8.png", png(8)), ("8.cls", b"0")])
    left = source(train="bad{0,1}.tar", unreadable="skip")
    signature = left.signature(Place(str(root)))
    assert signature.sizes == {"train": 3}
    assert signature.notes == (
        f"4 of 7 train images are left out as unreadable: `{first}:1.png` (it has no known image format), "
        f"`{first}:2.png` (the file is empty), `{first}:3.png` (image file is truncated) and 1 more.",
    )
    reader = left.open("train", Place(str(root)))
    assert reader.take(np.arange(3))[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert reader.y.tolist() == [1, 1, 0]
    assert [text.split(":")[1] for text in reader.left_out] == ["1.png`", "2.png`", "3.png`", "7.jpg`"]
    looked: list[bytes] = []
    monkeypatch.setattr(unreadable, "why_undecodable", looked.append)
    assert len(left.open("train", Place(str(root)))) == 3
    assert looked == bad, "only for the reasons"


def test_a_shard_that_changed_is_looked_at_again(root: Path) -> None:
    left = source(train="bad.tar", unreadable="skip")
    for data, count in ((b"text", 1), (png(2), 2), (b"else", 1)):
        write(root / "bad.tar", [("a.png", png(1)), ("a.cls", b"0"), ("b.png", data), ("b.cls", b"0")])
        os.utime(root / "bad.tar", ns=(count, len(data)))
        assert len(left.open("train", Place(str(root)))) == count


@pytest.mark.parametrize(
    ("suffix", "pack", "name"),
    [("gz", gzip.compress, "gzip"), ("xz", lzma.compress, "xz"), ("bz2", bz2.compress, "bzip2")],
)
def test_compressed_shards_are_refused(root: Path, suffix: str, pack: Any, name: str) -> None:
    (root / f"test.tar.{suffix}").write_bytes(pack((root / "test.tar").read_bytes()))
    error = error_of(root, train=f"test.tar.{suffix}")
    assert error.code == "compressed-shard"
    assert f"is compressed with {name}" in error.message
    assert "Decompress" in (error.hint or "")


@pytest.mark.parametrize("start", ["BZ", "BZh9"])
def test_a_shard_may_begin_with_any_name(root: Path, start: str) -> None:
    write(root / "odd.tar", [(f"{start}.png", png(1)), (f"{start}.cls", b"0")])
    assert source(train="odd.tar").signature(Place(str(root))).sizes == {"train": 1}


def test_an_index_is_small(root: Path) -> None:
    write(root / "many.tar", [(f"{i}.{end}", b"1") for i in range(3000) for end in ("png", "cls")])
    shard = indexed(root / "many.tar", "label")
    assert len(shard.offset) == 3000
    assert shard.offset.nbytes + shard.size.nbytes + shard.label.nbytes == 3000 * 20


PAGE = b"<!doctype html><title>Log in</title><p>Please log in to go on." + b" " * 600


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PAGE, "`Log in Please log in to go on.`"),
        (PAGE[:62], "`Log in"),
        (png(3, (90, 90)), "`89 50 4e 47 0d 0a 1a 0a`"),
    ],
)
def test_what_is_no_tar_file_is_refused_whatever_the_policy(root: Path, data: bytes, words: str) -> None:
    path = root / "train-01.tar"
    path.write_bytes(data)
    for policy in ("stop", "skip"):
        error = error_of(root, unreadable=policy)
        assert (error.code, error.path) == ("not-a-tar", ("data", "source"))
        assert error.message.startswith(f"`{path}` is no tar file: it begins with {words}")
        assert "skip" not in (error.hint or "")


def test_a_damaged_first_header_is_damage(root: Path) -> None:
    path = root / "train-01.tar"
    data = bytearray(path.read_bytes())
    data[:100] = b"?" * 100
    path.write_bytes(data)
    assert error_of(root).code == "incomplete-shard"
