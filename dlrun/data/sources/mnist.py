"""MNIST: 70,000 handwritten digits of 28x28 pixels (LeCun, Cortes and Burges, 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlrun.data.idx import parse_idx
from dlrun.data.images import read_images
from dlrun.data.published import PublishedFile, obtain
from dlrun.data.source import Place, Samples, Signature, Source, Split, sources
from dlrun.graph.tensor import TensorType

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
_SIZES = {"train": 60_000, "test": 10_000}


_UNPACKED = {  # MD5 sums of the files after gunzip
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def _file(name: str, size: int, md5: str) -> PublishedFile:
    return PublishedFile("mnist", f"{name}.gz", MIRRORS, size, md5, unpacked_name=name, unpacked_md5=_UNPACKED[name])


_FILES = {
    "train": (
        _file("train-images-idx3-ubyte", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        _file("train-labels-idx1-ubyte", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
    ),
    "test": (
        _file("t10k-images-idx3-ubyte", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        _file("t10k-labels-idx1-ubyte", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
}


@sources("mnist")
class Mnist(Source):
    """Handwritten digits of 28x28 pixels, 60,000 for training and 10,000 for testing.

    The four original IDX files, gzipped or not, are looked for in ``data.root``,
    ``$DLRUN_DATA/mnist``, ``$DLRUN_DATA`` and the user's cache folder, then downloaded.
    """

    def signature(self, place: Place) -> Signature:
        return Signature(
            input=TensorType((28, 28, 1)),
            target=TensorType((), "int"),
            classes=10,
            class_names=tuple("0123456789"),
            sizes=dict(_SIZES),
            scale=1 / 255,
        )

    def load(self, split: Split, place: Place) -> Samples:
        images, labels = (parse_idx(data, str(path)) for data, path in (obtain(f, place) for f in _FILES[split]))
        n = _SIZES[split]
        # The checksums hold, so only a wrong table above could fail here.
        assert images.shape == (n, 28, 28) and labels.shape == (n,)
        return Samples(images[..., np.newaxis], labels.astype(np.int64))

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Grey 28x28 images; light strokes on a dark ground, like the data set. Nothing is inverted."""
        return read_images(files, (28, 28, 1))
