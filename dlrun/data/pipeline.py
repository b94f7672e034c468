"""From stored samples to what a model reads: augmentation, preprocessing, mixing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dlrun.data.augmentation import Augmentation, Mixing
from dlrun.data.draws import Draws
from dlrun.data.preprocessing import Preprocessing, apply

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Pipeline:
    """What is done to samples; a pure function of its fields and of what it is given.

    Args:
        seed: The recipe's.
        augment: Random changes to training samples.
        preprocessing: What is done to every value.
        input_dtype: numpy dtype of what the model reads.
        label_dtype: numpy dtype of labels as losses read them.
        mixed: Number of classes where augmentations mix them, else None.
        top: Largest stored value that a sample can have.
    """

    seed: int
    augment: tuple[Augmentation, ...]
    preprocessing: Preprocessing
    input_dtype: str
    label_dtype: str
    mixed: int | None
    top: float

    def training(
        self,
        x: np.ndarray,
        y: np.ndarray,
        keys: np.ndarray,
        epoch: int,
        empty: Callable[[tuple[int, ...], str], np.ndarray] = np.empty,
    ) -> Batch:
        """Training samples as an update reads them.

        Args:
            x: Samples as stored.
            y: Their labels.
            keys: What their draws are keyed by, int64 (N,).
            epoch: Number of the epoch.
            empty: Makes the array for the samples from a shape and a dtype; not called where they are mixed.

        Shapes: x (N, *stored), y (N, *target) -> (N, *input), (N, *target), or (N, classes) where they are mixed.
        """
        x = self.augmented(x, keys, epoch)
        if self.mixed is None:
            out = empty(x.shape, self.input_dtype)
            return apply(x, self.preprocessing, self.input_dtype, out), self.labels(y)
        x = apply(x, self.preprocessing, self.input_dtype)
        shares = np.zeros((len(y), self.mixed), self.label_dtype)
        shares[np.arange(len(y)), y] = 1
        for augmentation, draws in self._chain(keys, epoch):
            if isinstance(augmentation, Mixing):
                x, shares = augmentation.mix(x, shares, draws)
        return x, shares

    def augmented(self, x: np.ndarray, keys: np.ndarray, epoch: int) -> np.ndarray:
        """Stored samples after the random changes that do not mix them: (N, *stored) -> (N, *input)."""
        for augmentation, draws in self._chain(keys, epoch):
            if not augmentation.mixes:
                x = augmentation.apply(x, draws, self.top)
        return x

    def _chain(self, keys: np.ndarray, epoch: int) -> Iterator[tuple[Augmentation, Draws]]:
        for number, augmentation in enumerate(self.augment):
            yield augmentation, Draws(self.seed, epoch, keys, f"{number}.{augmentation.kind}")

    def evaluation(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Samples as evaluation and prediction read them.

        Args:
            x: Samples as stored.
            out: Array to fill, if there is one.

        Shapes: (N, *stored) -> (N, *input).
        """
        for augmentation in self.augment:
            x = augmentation.evaluate(x)
        return apply(x, self.preprocessing, self.input_dtype, out)

    def labels(self, y: np.ndarray) -> np.ndarray:
        """Labels as losses read them: class ids stay int64, numbers get the model's precision."""
        return y if y.dtype.kind in "iu" else y.astype(self.label_dtype)
