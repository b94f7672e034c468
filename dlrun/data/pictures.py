"""What sources of pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from dlrun.data.images import Fit, read_images
from dlrun.data.source import Place, Samples, Signature, Source, Split
from dlrun.described import described

Positive = Annotated[int, Gt(0)]


@described
class Pictures(Source):
    """A source of pictures: turned as their EXIF orientation says, resized to ``size`` (bilinear), one class each.

    Args:
        size: Height and width, or one number for both.
        channels: 3 for RGB, 1 for grey.
        fit: What becomes of an image of another shape: ``stretch`` resizes each side on its own, ``crop`` scales
            until it covers ``size`` and cuts around its middle, ``pad`` scales until it fits in and adds black.
    """

    size: Positive | tuple[Positive, Positive]
    channels: Literal[1, 3] = 3
    fit: Fit = "stretch"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a sample."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return height, width, self.channels

    def load(self, split: Split, place: Place) -> Samples:
        reader = self.open(split, place)
        return Samples(reader.take(np.arange(len(reader))), reader.y)

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Images converted and resized like the data set's."""
        return read_images(files, self.shape, self.fit)
