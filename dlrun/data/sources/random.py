"""Random samples of any shape, for measuring: no files, no network, nothing to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from dlrun.data.source import Place, Reader, Samples, Signature, Source, Split, sources
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.randomness import derive

Length = Annotated[int, Gt(0)]


@sources("random")
class Random(Source):
    """Random samples and labels that have nothing to do with each other.

    Numbers are normal with mean 0 and standard deviation 1, ids and class ids uniform. Each sample is
    drawn by a counter (Philox) from seed, split and its own number, when it is read; so a data set of
    any size takes no room, and the same seed gives the same samples on every machine.

    Args:
        shape: Shape of a sample, channels last.
        dtype: ``float`` for numbers, ``int`` for ids.
        vocabulary: Ids go up to this number minus one; needed for ``int``.
        lowest: Smallest id drawn, e.g. 1 to leave out a padding id 0.
        classes: Number of classes of the labels; labels are numbers when left out.
        target: Shape of a label; a single value when left out, one per position for ``[height, width]``.
        samples: Training samples.
        test_samples: Test samples.
        seed: Key of every draw; the recipe's own seed plays no part.
    """

    shape: tuple[Length, ...]
    dtype: Literal["float", "int"] = "float"
    vocabulary: Annotated[int, Gt(0)] | None = None
    lowest: Annotated[int, Ge(0)] = 0
    classes: Annotated[int, Gt(0)] | None = None
    target: tuple[Length, ...] = ()
    samples: Annotated[int, Gt(0)] = 1024
    test_samples: Annotated[int, Ge(0)] = 0
    seed: Annotated[int, Ge(0)] = 0

    def signature(self, place: Place) -> Signature:
        self._check()
        sizes = {"train": self.samples, "test": self.test_samples}
        return Signature(
            input=TensorType(self.shape, self.dtype),
            target=TensorType(self.target, "float" if self.classes is None else "int"),
            classes=self.classes,
            class_names=None,
            sizes={split: size for split, size in sizes.items() if size},
            stored_dtype="float32" if self.dtype == "float" else "int64",
            vocabulary=self.vocabulary,
        )

    def load(self, split: Split, place: Place) -> Samples:
        reader = self.open(split, place)
        return Samples(reader.take(np.arange(len(reader))), reader.y)

    def open(self, split: Split, place: Place) -> Reader:
        self._check()
        return Drawn(self, split)

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Refused: no file holds a random sample."""
        raise DlrunError(
            "predict-needs-data",
            f"`{files[0]}` cannot be read: a model of random samples has nothing to say of files.",
            hint="Train on data of your own, e.g. with `source: npz`.",
        )

    def _check(self) -> None:
        if not self.shape:
            raise _wrong("shape", "`shape` is empty; a sample has at least one axis.", "Write e.g. `shape: [16]`.")
        if self.dtype == "float":
            if self.vocabulary is not None:
                raise _wrong(
                    "vocabulary",
                    f"`vocabulary: {self.vocabulary}` counts ids, but samples are numbers.",
                    "Write `dtype: int`, or leave `vocabulary` out.",
                )
        elif self.vocabulary is None:
            raise _wrong("vocabulary", "`dtype: int` needs to know how many ids there are.", "Set `vocabulary`.")
        elif self.lowest >= self.vocabulary:
            raise _wrong(
                "lowest",
                f"`lowest: {self.lowest}` is no id; `vocabulary: {self.vocabulary}` allows 0 to {self.vocabulary - 1}.",
                "Lower `lowest`.",
            )


@dataclass(frozen=True)
class Drawn:
    """A split whose samples are drawn when taken."""

    source: Random
    split: Split

    def __len__(self) -> int:
        return self.source.samples if self.split == "train" else self.source.test_samples

    @cached_property
    def y(self) -> np.ndarray:
        """Every label: (N, *target)."""
        source, shape = self.source, (len(self), *self.source.target)
        generator = self._generator("labels", 0)
        if source.classes is None:
            return generator.standard_normal(shape, np.float32)
        return generator.integers(0, source.classes, shape, np.int64)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Samples by number: rows int64 (n,) -> (n, *shape)."""
        source = self.source
        taken = np.empty((len(rows), *source.shape), np.float32 if source.dtype == "float" else np.int64)
        for i, row in enumerate(rows.tolist()):
            generator = self._generator("samples", row)
            if source.vocabulary is None:
                taken[i] = generator.standard_normal(source.shape, np.float32)
            else:
                taken[i] = generator.integers(source.lowest, source.vocabulary, source.shape, np.int64)
        return taken

    def _generator(self, what: str, row: int) -> np.random.Generator:
        """The stream of one sample: 2**128 numbers away from the next one's."""
        return np.random.Generator(np.random.Philox(key=self._keys[what], counter=[0, 0, row, 0]))

    @cached_property
    def _keys(self) -> dict[str, list[int]]:
        seed = self.source.seed
        return {
            what: [derive(seed, "random", self.split, what, half) for half in ("low", "high")]
            for what in ("samples", "labels")
        }


def _wrong(field: str, message: str, hint: str) -> DlrunError:
    return DlrunError("wrong-source", message, path=("data", "source", field), hint=hint)
