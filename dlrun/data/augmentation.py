"""What is done at random to training samples. Each module of ``dlrun.data.augment`` registers its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dlrun.data.draws import Draws
from dlrun.data.transforms import OF_THE_SOURCE, transforms
from dlrun.described import described
from dlrun.errors import DlrunError, folded
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry

if TYPE_CHECKING:
    from dlrun.data.source import Signature


@described
class Augmentation:
    """An augmentation's description; registered with ``@augmentations("name")``.

    Samples are as stored: 8-bit images hold 0 to ``top``, others any numbers. What is returned is a new array of
    the same dtype; the one given is not changed. Nothing but ``draws`` may decide, and each sample's outcome may
    depend on itself alone, so that batches and workers do not matter; only a ``mixes`` augmentation reads the others
    of its batch.
    """

    kind: ClassVar[str] = ""
    mixes: ClassVar[bool] = False
    """Whether it mixes samples of a batch and their labels."""
    in_evaluation: ClassVar[str] = ""
    """What ``evaluate`` does where it changes the shape, in words, with ``{height}`` and ``{width}`` of the result."""

    def infer(self, x: TensorType) -> TensorType:
        """The type of samples after it, in training and in evaluation.

        Raises:
            DlrunError: When the samples do not fit.
        """
        return x

    def check(self, signature: Signature) -> None:
        """Raise DlrunError when the data does not fit for another reason than the type of its samples."""

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        """Training samples changed at random: (N, *in) -> (N, *out).

        Args:
            x: Samples as stored.
            draws: Random numbers of these samples.
            top: Largest stored value that a sample can have (255 for 8-bit images).
        """
        raise NotImplementedError

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """What evaluation, prediction and exports see instead: (N, *in) -> (N, *out); the same unless shapes change."""
        return x


@described
class ImageAugmentation(Augmentation):
    """An augmentation of images, (N, height, width, channels)."""

    bands: ClassVar[tuple[int, ...]] = ()
    """Numbers of channels that it knows; any where empty."""
    moves: ClassVar[bool] = False
    """Whether what is at one place may be at another afterwards, so that labels of places would no longer fit."""
    bytes_only: ClassVar[bool] = False
    """Whether it is defined for 8-bit values alone."""

    def infer(self, x: TensorType) -> TensorType:
        if x.rank != 3:
            raise DlrunError("wrong-rank", f"`{self.kind}` needs images (N, height, width, channels), got {x}.")
        if x.dtype != "float":
            raise DlrunError("wrong-dtype", f"`{self.kind}` needs numbers, but samples are ids {x}.")
        if self.bands and x.shape[-1] not in self.bands:
            wanted = " or ".join(map(str, self.bands))
            raise DlrunError("channels-mismatch", f"`{self.kind}` needs images of {wanted} channels, got {x}.")
        return x

    def check(self, signature: Signature) -> None:
        if self.moves and signature.target.rank >= 2:
            raise DlrunError(
                "labels-stay",
                f"`{self.kind}` moves what is seen, but not the labels of places {signature.target}.",
                hint="Use augmentations that leave places where they are, such as `color_jitter`.",
            )
        if self.bytes_only and signature.stored_dtype != "uint8":
            raise DlrunError(
                "needs-bytes",
                f"`{self.kind}` needs 8-bit images, but samples are stored as `{signature.stored_dtype}`.",
                hint="Store the images as uint8, or use other augmentations.",
            )


@described
class Mixing(Augmentation):
    """An augmentation that mixes each sample, and its label's shares, with the one before it in the batch."""

    mixes = True

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype != "float":
            raise DlrunError("wrong-dtype", f"`{self.kind}` mixes numbers, but samples are ids {x}.")
        return x

    def check(self, signature: Signature) -> None:
        require_numbers(self.kind, signature)

    def mix(self, x: np.ndarray, y: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
        """Mixed samples and labels.

        Args:
            x: Preprocessed samples, (N, *shape) floating point.
            y: Share of each class, (N, C) floating point.
            draws: Random numbers of these samples.
        """
        raise NotImplementedError


def require_numbers(kind: str, signature: Signature) -> None:
    """Raise ``wrong-column`` where a column of a table holds ids, which cannot be calculated with."""
    ids = [column.name for column in signature.columns if column.ids]
    if ids:
        raise DlrunError(
            "wrong-column",
            f"`{kind}` calculates with every column, but `{ids[0]}` holds categories ({len(ids)} such columns).",
            hint="Leave it out for tables with categories.",
        )


def _elsewhere(word: str) -> str | None:
    if word in transforms:
        return f"`{word}` is the same in each epoch: it belongs in `data.preprocess`."
    return OF_THE_SOURCE.get(folded(word)) if folded(word) != "grayscale" else None


augmentations: Registry[Augmentation] = Registry("augmentation", home="dlrun.data.augment", elsewhere=_elsewhere)
