"""Names of very many files in little memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np


class Names:
    """File names as one block of bytes and where each ends: a dozen bytes beside a name's own."""

    def __init__(self, names: Iterable[str]) -> None:
        self._text = b"\0".join(map(os.fsencode, names)) + b"\0"
        ends = np.flatnonzero(np.frombuffer(self._text, np.uint8) == 0)
        self._ends = ends if self._text != b"\0" else ends[:0]

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> str:
        begin = self._ends[number - 1] + 1 if number else 0
        return os.fsdecode(self._text[begin : self._ends[number]])

    def kept(self, keep: np.ndarray) -> Names:
        """Those of a mask, bool (N,)."""
        return Names(self[int(i)] for i in np.flatnonzero(keep))


class Files:
    """Files of several folders, counted through.

    Args:
        folders: Path of each folder.
        names: Names of its files.
    """

    def __init__(self, folders: Sequence[str], names: Sequence[Names]) -> None:
        self.folders = tuple(folders)
        self.names = tuple(names)
        self.counts = np.array([len(n) for n in names], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self.counts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def path(self, number: int) -> str:
        """Path of a file by its number, 0 to N - 1."""
        folder = int(np.searchsorted(self._starts, number, "right")) - 1
        return os.path.join(self.folders[folder], self.names[folder][number - int(self._starts[folder])])

    def kept(self, keep: np.ndarray) -> Files:
        """Those of a mask, bool (N,); folders stay, be they empty."""
        parts = [keep[begin:end] for begin, end in pairwise(self._starts)]
        return Files(self.folders, [n if k.all() else n.kept(k) for n, k in zip(self.names, parts, strict=True)])
