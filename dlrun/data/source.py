"""What a data set must provide. Each module of ``dlrun.data.sources`` registers its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np

from dlrun.described import described
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Signature:
    """What is known of a data set without loading it.

    Args:
        input: Type of one sample, channels last, as the source stores it.
        target: Type of one label: ``()`` int for class ids, ``(H, W)`` int for one per place, ``(K,)`` float for
            vectors.
        classes: Number of classes, or None.
        class_names: One per class, or None.
        sizes: Samples per split; a split without samples is absent.
        scale: Factor that brings stored values to the unit range (1/255 for 8-bit images).
        stored_dtype: numpy dtype of stored samples (``uint8``, ``float32``; ``int64`` for ids).
        ignore_label: The label of places that belong to no class, or None.
        vocabulary: How many ids there are, where samples are ids, or None.
    """

    input: TensorType
    target: TensorType
    classes: int | None
    class_names: tuple[str, ...] | None
    sizes: dict[str, int]
    scale: float = 1.0
    stored_dtype: str = "uint8"
    ignore_label: int | None = None
    vocabulary: int | None = None


class Reader(Protocol):
    """A split whose samples are got by number; what is not in memory is read then."""

    @property
    def y(self) -> np.ndarray:
        """Every label: (N, *target.shape), int64 or float32."""
        ...

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Stored samples: rows int64 (n,) -> (n, *input.shape)."""
        ...


@dataclass(frozen=True)
class Samples:
    """A split in memory, as stored.

    Args:
        x: (N, *input.shape) of ``stored_dtype``.
        y: (N, *target.shape), int64 or float32.
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Stored samples by number: rows int64 (n,) -> (n, *input.shape)."""
        taken: np.ndarray = self.x[rows]
        return taken


@dataclass(frozen=True)
class Place:
    """Where a source may look and whether it may fetch.

    Args:
        root: The recipe's ``data.root``, or None.
        download: Whether the network may be used.
    """

    root: str | None = None
    download: bool = True


@described
class Source:
    """A data set's description; registered with ``@sources("name")``."""

    kind: ClassVar[str] = ""

    def signature(self, place: Place) -> Signature:
        """Shapes, classes and sizes, read from headers only.

        Raises:
            DlrunError: When files are missing, corrupt or do not fit together.
        """
        raise NotImplementedError

    def load(self, split: Split, place: Place) -> Samples:
        """One split, fetched first if need be and allowed.

        Raises:
            DlrunError: When files are missing, corrupt or truncated.
        """
        raise NotImplementedError

    def open(self, split: Split, place: Place) -> Reader:
        """One split, its samples read when taken where the files allow it; else loaded whole.

        Raises:
            DlrunError: When files are missing, corrupt or truncated.
        """
        return self.load(split, place)

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Image files as this data set's stored samples, (len(files), *input.shape), for prediction.

        Raises:
            DlrunError: When a file is not a readable image.
        """
        raise NotImplementedError


sources: Registry[Source] = Registry("data source", home="dlrun.data.sources")
