"""Inception v3."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from dlrun.errors import DlrunError
from dlrun.graph.architecture import models
from dlrun.graph.tensor import TensorType
from dlrun.models.classifier import IMAGE, Classifier, require_input
from dlrun.models.convolution import conv_norm
from dlrun.models.start import start

_Step = tuple[Any, ...]
"""Filters and kernel of a convolution; a third entry 2 halves the maps, ``both`` puts 1x3 and 3x1 side by side."""
_Branches = dict[str, tuple[_Step, ...]]


def _square(pool: int) -> _Branches:
    """The module for the largest maps."""
    return {
        "single": ((64, 1),),
        "five": ((48, 1), (64, 5)),
        "three": ((64, 1), (96, 3), (96, 3)),
        "average": ((pool, 1),),
    }


def _factorised(middle: int) -> _Branches:
    """The module whose 7x7 windows are a row and a column."""
    row, column = (1, 7), (7, 1)
    return {
        "single": ((192, 1),),
        "seven": ((middle, 1), (middle, row), (192, column)),
        "double": ((middle, 1), (middle, column), (middle, row), (middle, column), (192, row)),
        "average": ((192, 1),),
    }


_HALVE_FIRST: _Branches = {"three": ((384, 3, 2),), "double": ((64, 1), (96, 3), (96, 3, 2)), "maximum": ()}
_HALVE_SECOND: _Branches = {
    "three": ((192, 1), (320, 3, 2)),
    "seven": ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
    "maximum": (),
}
_WIDE: _Branches = {
    "single": ((320, 1),),
    "three": ((384, 1), (384, "both")),
    "double": ((448, 1), (384, 3), (384, "both")),
    "average": ((192, 1),),
}
_MODULES = (
    *(_square(pool) for pool in (32, 64, 64)),
    _HALVE_FIRST,
    *(_factorised(middle) for middle in (128, 160, 160, 192)),
    _HALVE_SECOND,
    _WIDE,
    _WIDE,
)
_LEAST, _LEAST_WITH_AUXILIARY = 75, 299
"""Smallest side of an image that still fills every window."""
_READ_BY_AUXILIARY = 7
"""The last module before the second halving, counted from 0."""

_EPSILON = 1e-3
_START = start("truncated_normal", std=0.1)
_START_AUXILIARY = start("truncated_normal", std=0.01)
_START_LAST = start("truncated_normal", std=0.001)


@models("inception")
class Inception(Classifier):
    """Inception v3: modules of parallel branches of convolutions, joined along the channels.

    Every convolution is batch-normalised and rectified. Three modules with 5x5 and twice 3x3 branches, a halving, four
    modules with 7x7 windows factorised into 1x7 and 7x1, a halving, two modules that end in 1x3 and 3x1 side by side;
    the mean over the last maps, dropout, logits. The auxiliary classifier reads the maps before the second halving.

    Args:
        auxiliary: Whether the second output, the auxiliary classifier's logits, is there; a loss can read it.
        width: Factor of every number of filters.
        dropout: Share of the last features zeroed in training.

    Shapes: (N, H, W, C) -> (N, classes), twice with the auxiliary classifier; H and W at least 75, or 299 with it.
    Weights: ``stem.conv<i>.kernel``, ``mixed<i>.<branch>.conv<j>.kernel``, ``auxiliary.*``, ``logits.*`` and the
        normalisations beside them. For three channels and 1000 classes 23,834,568, and 27,161,264 with the auxiliary
        classifier.
    Errors: classes-missing, wrong-input, input-too-small.
    Differs: torchvision's average pooling counts padded cells; here, as in TensorFlow's, it does not. torchvision cuts
        the initial normal draws at 2, not at two deviations.
    Source: Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2015.
    """

    auxiliary: bool = False
    width: Annotated[float, Gt(0)] = 1.0
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5

    @property
    def further_outputs(self) -> tuple[str, ...]:
        return ("auxiliary.logits",) if self.auxiliary else ()

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        self._require_size(require_input(self.kind, sub, x, IMAGE))
        with sub.scope("stem"):
            x = self._conv(sub, x, 32, 3, 1, stride=2)
            x = self._conv(sub, x, 32, 3, 2)
            x = self._conv(sub, x, 64, 3, 3, padding="same")
            x = sub.add("max_pool2d", x, name="pool1", size=3, stride=2)
            x = self._conv(sub, x, 80, 1, 4)
            x = self._conv(sub, x, 192, 3, 5)
            x = sub.add("max_pool2d", x, name="pool2", size=3, stride=2)
        for i, branches in enumerate(_MODULES):
            with sub.scope(f"mixed{i}"):
                x = self._module(sub, x, branches)
            if self.auxiliary and i == _READ_BY_AUXILIARY:
                with sub.scope("auxiliary"):
                    self._auxiliary(sub, x, count)
        x = sub.add("global_avg_pool2d", x, name="pool")
        x = sub.add("dropout", x, name="dropout", rate=self.dropout)
        logits: str = sub.add("dense", x, name="logits", units=count, kernel_initializer=_START)
        return logits

    def _require_size(self, x: TensorType) -> None:
        least = _LEAST_WITH_AUXILIARY if self.auxiliary else _LEAST
        if min(x.shape[:2]) < least:
            raise DlrunError(
                "input-too-small",
                f"`inception` needs images of {least} cells a side or more"
                + (" for its auxiliary classifier" if self.auxiliary else "")
                + f", got `{x}`.",
                path=("auxiliary" if self.auxiliary else "name",),
                hint="Enlarge them with `resize` in `data.preprocess`"
                + (", or leave `auxiliary` out." if self.auxiliary else "."),
            )

    def _conv(self, sub: Any, x: str, filters: int, kernel: Any, number: int | str, **fields: Any) -> str:
        fields = {"padding": "valid", "initializer": _START, **fields}
        filters = max(1, round(filters * self.width))
        return conv_norm(sub, x, filters, kernel, suffix=str(number), norm={"epsilon": _EPSILON}, **fields)

    def _module(self, sub: Any, x: str, branches: _Branches) -> str:
        made = []
        for name, steps in branches.items():
            with sub.scope(name):
                made.append(self._branch(sub, x, name, steps))
        joined: str = sub.add("concat", *made, name="concat")
        return joined

    def _branch(self, sub: Any, x: str, name: str, steps: tuple[_Step, ...]) -> str:
        if name == "average":
            x = sub.add("avg_pool2d", x, name="pool", size=3, stride=1, padding="same")
        elif name == "maximum":
            x = sub.add("max_pool2d", x, name="pool", size=3, stride=2)
        for i, (filters, kernel, *halves) in enumerate(steps, 1):
            if kernel == "both":
                row = self._conv(sub, x, filters, (1, 3), f"{i}a", padding="same")
                column = self._conv(sub, x, filters, (3, 1), f"{i}b", padding="same")
                x = sub.add("concat", row, column, name="concat")
            elif halves:
                x = self._conv(sub, x, filters, kernel, i, stride=2)
            else:
                x = self._conv(sub, x, filters, kernel, i, padding="same")
        return x

    def _auxiliary(self, sub: Any, x: str, count: int) -> None:
        x = sub.add("avg_pool2d", x, name="pool", size=5, stride=3)
        x = self._conv(sub, x, 128, 1, 1)
        x = self._conv(sub, x, 768, 5, 2, initializer=_START_AUXILIARY)
        x = sub.add("global_avg_pool2d", x, name="mean")
        sub.add("dense", x, name="logits", units=count, kernel_initializer=_START_LAST)
