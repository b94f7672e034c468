"""The embedded data set: 1,797 handwritten digits of 8x8 pixels, no network needed.

``digits.npz`` holds the test part of the UCI "Optical Recognition of Handwritten Digits" data set
(E. Alpaydin and C. Kaynak, 1998, https://doi.org/10.24432/C50P49), licensed CC BY 4.0; the same
arrays as ``sklearn.datasets.load_digits()``, stored as 8-bit integers 0..16 in the original order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlrun.data.images import read_images
from dlrun.data.source import Place, Samples, Signature, Source, Split, sources
from dlrun.graph.tensor import TensorType

_TRAIN, _TEST = 1500, 297
_FILE = Path(__file__).with_suffix(".npz")


@sources("digits")
class Digits(Source):
    """Handwritten digits of 8x8 pixels, 1,500 for training and the last 297 for testing."""

    def signature(self, place: Place) -> Signature:
        return Signature(
            input=TensorType((8, 8, 1)),
            target=TensorType((), "int"),
            classes=10,
            class_names=tuple("0123456789"),
            sizes={"train": _TRAIN, "test": _TEST},
            scale=1 / 16,
        )

    def load(self, split: Split, place: Place) -> Samples:
        part = slice(None, _TRAIN) if split == "train" else slice(_TRAIN, None)
        with np.load(_FILE, allow_pickle=False) as arrays:
            return Samples(arrays["x"][part], arrays["y"][part].astype(np.int64))

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Images as 8x8 values 0..16; light strokes on a dark ground, like the data set."""
        grey = read_images(files, (8, 8, 1))
        return np.rint(grey * (16 / 255)).astype(np.uint8)
