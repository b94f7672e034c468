"""What a data set must provide. Each module of ``dlrun.data.sources`` registers its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np

from dlrun.described import described
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Column:
    """One column of a table, as an entry of a sample's last axis.

    Args:
        name: As the file has it.
        categories: What its ids mean: id i stands for ``categories[i - 1]``, 0 for anything else and for nothing.
            None where the entry is a number, NaN where there is none.
        buckets: Where ids are hashes, how many there are: 1 to this number, 0 for nothing. There are no
            ``categories`` then; else 0.
    """

    name: str
    categories: tuple[str, ...] | None = None
    buckets: int = 0

    @property
    def ids(self) -> int:
        """How many ids there are, 0 for a number."""
        return 0 if self.categories is None else (self.buckets or len(self.categories)) + 1


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
        columns: What the last axis of samples holds, where they are rows of a table.
        notes: What a user should know of the data, such as files left out; one sentence each.
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
    columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def numbers(self) -> np.ndarray:
        """Which entries of the last axis are numbers, bool; the others are ids of categories."""
        return np.array([c.categories is None for c in self.columns] or [True] * self.input.shape[-1])

    @property
    def top(self) -> float:
        """The largest stored value that a sample can have; of numbers of any size that which stands for 1."""
        if self.stored_dtype == "uint8":  # no byte reaches further, whatever its scale
            return 255.0 if self.scale == 1 else min(255.0, 1 / self.scale)
        return 1 / self.scale


class Reader(Protocol):
    """A split whose samples are got by number; what is not in memory is read then."""

    @property
    def y(self) -> np.ndarray:
        """Every label: (N, *target.shape), int64 or float32."""
        ...

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Stored samples: rows int64 (n,) -> (n, *input.shape).

        Where samples have names of their own, such as files, there is also ``name(row: int) -> str``; where they are
        pictures in files, ``encoded(row: int) -> bytes`` gives a file as it is. What was left out of the split may
        stand in ``left_out``, as in ``Samples``.
        """
        ...


@dataclass(frozen=True)
class Samples:
    """A split in memory, as stored.

    Args:
        x: (N, *input.shape) of ``stored_dtype``.
        y: (N, *target.shape), int64 or float32.
        left_out: What was left out of the split, each with the reason.
        unknown: How many values of each column of categories training did not know.
    """

    x: np.ndarray
    y: np.ndarray
    left_out: Sequence[str] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)

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
        known: What a run found in its training data. Lists of classes and categories are taken from it, so that ids
            mean what they meant.
    """

    root: str | None = None
    download: bool = True
    known: Signature | None = None

    @property
    def classes(self) -> int | None:
        """How many classes the run knows, if there is one and its data has classes."""
        return None if self.known is None else self.known.classes


@described
class Source:
    """A data set's description; registered with ``@sources("name")``."""

    kind: ClassVar[str] = ""
    known_as: ClassVar[tuple[str, ...]] = ()
    """Other words for it, such as an ending of its files, in lower case."""

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

    def read_counted(self, files: Sequence[Path], signature: Signature) -> tuple[np.ndarray, Counter[tuple[str, str]]]:
        """As ``read``, and how often each column had each value of a category that training did not know.

        Raises:
            DlrunError: As ``read``.
        """
        return self.read(files, signature), Counter()


sources: Registry[Source] = Registry("data source", home="dlrun.data.sources")
