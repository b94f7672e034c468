"""The two digit data sets: the embedded one and MNIST's original files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError

OFFLINE = Place(download=False)


def test_digits_are_the_published_ones() -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    digits = sources.get("digits")()
    train, test = digits.load("train", OFFLINE), digits.load("test", OFFLINE)
    assert (len(train), len(test)) == (1500, 297)
    np.testing.assert_array_equal(np.concatenate([train.x, test.x]), x.reshape(-1, 8, 8, 1))
    np.testing.assert_array_equal(np.concatenate([train.y, test.y]), y)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_signature_tells_the_truth(name: str, request: pytest.FixtureRequest) -> None:
    if name == "mnist":
        request.getfixturevalue("data_root")
    source = sources.get(name)()
    signature = source.signature(OFFLINE)
    for split in ("train", "test"):
        samples = source.load(split, OFFLINE)
        assert samples.x.shape == (signature.sizes[split], *signature.input.shape)
        assert samples.x.dtype == signature.stored_dtype
        assert samples.x.max() * signature.scale == 1
        assert samples.y.dtype == np.int64
        assert set(samples.y.tolist()) == set(range(signature.classes or 0))
    assert signature.class_names == tuple("0123456789")


def test_mnist_begins_with_a_five(data_root: Path) -> None:
    samples = sources.get("mnist")().load("train", Place(str(data_root / "mnist"), download=False))
    assert samples.y[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert int(samples.x[0].sum()) == 27525


def test_mnist_signature_needs_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLRUN_DATA", raising=False)
    assert sources.get("mnist")().signature(Place(str(tmp_path), download=False)).sizes["train"] == 60_000


def test_mnist_with_an_altered_file(data_root: Path, tmp_path: Path) -> None:
    altered = bytearray((data_root / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    altered[5000] ^= 1
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(altered)
    with pytest.raises(DlrunError) as caught:
        sources.get("mnist")().load("test", Place(str(tmp_path), download=False))
    assert caught.value.code == "wrong-checksum"
    assert hashlib.md5(altered).hexdigest() in caught.value.message
    assert "9fb629c4189551a2d022fa330f9573f3" in caught.value.message


def test_an_image_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sieben ☃.png"
    pixels = np.zeros((28, 28), np.uint8)
    pixels[3, 4] = 200
    Image.fromarray(pixels).save(path)
    for name, side in (("mnist", 28), ("digits", 8)):
        source = sources.get(name)()
        x = source.read([path, path], source.signature(OFFLINE))
        assert x.shape == (2, side, side, 1)
        assert x.dtype == np.uint8
        if name == "mnist":
            np.testing.assert_array_equal(x[1, ..., 0], pixels)


def test_digits_are_read_in_their_own_range(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "white.png")
    source = sources.get("digits")()
    assert (source.read([tmp_path / "white.png"], source.signature(OFFLINE)) == 16).all()


def test_listing_sources_loads_nothing_heavy() -> None:
    code = (
        "import sys; from dlrun.data.source import Place, sources; import dlrun.data.feed\n"
        "[sources.get(n) for n in sources.names()]; sources.get('digits')().load('train', Place())\n"
        "heavy = ('PIL', 'simplejpeg', 'datasets', 'filelock', 'ssl', 'urllib.request', 'sklearn')\n"
        "heavy += ('torch', 'tensorflow')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
