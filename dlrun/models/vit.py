"""Vision transformer."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.errors import DlrunError
from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, Positive, require_input
from dlrun.models.start import NARROW, start
from dlrun.models.transformer import first_step

_VARIANTS = {
    "tiny": (192, 12, 3, 768),
    "small": (384, 12, 6, 1536),
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
    "huge": (1280, 32, 16, 5120),
}
"""Units, depth, heads and units of the feed-forward layers."""


@models("vit")
class ViT(Classifier):
    """Vision transformer: a transformer encoder over the patches of an image.

    Each patch is projected to ``units`` numbers; a class token is put in front, learned positions are added; ``depth``
    encoder blocks with the norms first, a last norm, and the logits from the class token or the mean over the patches.

    Args:
        variant: ``tiny``, ``small``, ``base``, ``large`` or ``huge``: the four sizes below.
        patch: Side of a patch in cells; divides the image's sides.
        units: Width; the variant's when left out.
        depth: Blocks; the variant's when left out.
        heads: Attention heads; the variant's when left out.
        feedforward_units: Width inside the feed-forward layers; the variant's, or four times ``units``, when left out.
        pool: ``class`` token, or ``mean`` over the patches; then there is no token.
        epsilon: That of the norms.
        dropout: Share zeroed after the positions and at the end of each branch, in training.
        attention_dropout: Share of the attention zeroed in training.

    Shapes: (N, H, W, C) -> (N, classes).
    Weights: ``patches.*``, ``token.token``, ``positions.table``, ``encoder.block<i>.*``,
        ``encoder.final_norm.*``, ``logits.*``. For 224x224x3 and
        1000 classes: 5,717,416 (tiny), 22,050,664 (small), 86,567,656 (base), 304,326,632 (large), all with patches of
        16; 88,224,232 (base) and 306,535,400 (large) with patches of 32; 632,045,800 (huge) with patches of 14.
    Errors: classes-missing, wrong-input, patch-not-dividing, heads-not-dividing.
    Differs: the biases of the feed-forward layers start at 0, not normally in 1e-6; torch packs query, key and value.
    Source: Dosovitskiy et al. 2020; tiny and small: Touvron et al. 2020.
    """

    variant: Literal["tiny", "small", "base", "large", "huge"] = "base"
    patch: Positive = 16
    units: Positive | None = None
    depth: Positive | None = None
    heads: Positive | None = None
    feedforward_units: Positive | None = None
    pool: Literal["class", "mean"] = "class"
    epsilon: Annotated[float, Gt(0)] = 1e-6
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    attention_dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        height, width, _ = require_input(self.kind, sub, x, IMAGE).shape
        units, depth, heads, feedforward = self._sizes()
        if height % self.patch or width % self.patch:
            fitting = ", ".join(f"`{d}`" for d in self._divisors(height, width))
            raise DlrunError(
                "patch-not-dividing",
                f"`patch: {self.patch}` does not divide the image's sides, {height} and {width}.",
                path=("patch",),
                hint=f"Use a common divisor of both: {fitting}.",
            )
        patches = start("variance_scaling", scale=1.0, mode="fan_in", distribution="normal")
        x = sub.add(
            "conv2d", x, name="patches", filters=units, kernel=self.patch, stride=self.patch, kernel_initializer=patches
        )
        x = sub.add("reshape", x, name="sequence", shape=(height * width // self.patch**2, units))
        if self.pool == "class":
            x = sub.add("class_token", x, name="token")
        x = sub.add("learned_position", x, name="positions", initializer=NARROW)
        if self.dropout:
            x = sub.add("dropout", x, name="dropout", rate=self.dropout)
        x = sub.add(
            "transformer_encoder",
            x,
            name="encoder",
            layers=depth,
            final_norm=True,
            heads=heads,
            feedforward_units=feedforward,
            norm="first",
            activation="gelu",
            epsilon=self.epsilon,
            dropout=self.dropout,
            feedforward_dropout=self.dropout,
            attention_dropout=self.attention_dropout,
        )
        x = first_step(sub, x) if self.pool == "class" else sub.add("global_avg_pool1d", x, name="mean")
        logits: str = sub.add("dense", x, name="logits", units=count, kernel_initializer="zeros")
        return logits

    def _divisors(self, height: int, width: int) -> list[int]:
        """Sides of patches that fit, the nearest ones."""
        sides = math.gcd(height, width)
        found = [n for n in range(1, sides + 1) if sides % n == 0]
        return sorted(sorted(found, key=lambda n: abs(n - self.patch))[:6])

    def _sizes(self) -> tuple[int, int, int, int]:
        units, depth, heads, feedforward = _VARIANTS[self.variant]
        if self.units is not None:
            units, feedforward = self.units, 4 * self.units
        return units, self.depth or depth, self.heads or heads, self.feedforward_units or feedforward
