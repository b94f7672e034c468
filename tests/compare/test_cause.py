"""Naming the layer where a difference starts."""

from __future__ import annotations

import pytest

from dlrun.compare.cause import find_cause
from dlrun.compare.differences import Differences

ORDER = ["stem", "relu", "head"]


def found(*, outputs=(0, 0, 0), stem=(0, 0, 0), head=(0, 0, 0), stem_moves=(0, 0, 0), head_moves=(0, 0, 0)):
    return Differences(
        labels=("a", "b"),
        loss=[1e-3] * 3,
        outputs=dict(zip(ORDER, outputs, strict=True)),
        gradients={"stem": list(stem), "head": list(head)},
        updates={"stem": list(stem_moves), "head": list(head_moves)},
    )


@pytest.mark.parametrize(
    ("measured", "first_past", "part", "step", "layer"),
    [
        # a wrong forward pass spoils all that comes after it, and every gradient
        (found(outputs=(0, 1e-3, 1e-2), stem=(1, 1, 1), head=(1, 1, 1)), 1, "forward", 1, "relu"),
        # a wrong backward pass spoils the gradients before it
        (found(stem=(1e-3, 1, 1), stem_moves=(1, 1, 1)), 2, "backward", 1, "stem"),
        (found(stem=(1e-3, 1, 1), head=(1e-3, 1, 1)), 2, "backward", 1, "head"),
        # a wrong update rule is seen in what it adds, and only then in later gradients
        (found(stem=(0, 1, 1), head=(0, 1, 1), head_moves=(1e-2, 1, 1)), 2, "update", 1, "head"),
        (found(), 1, "loss", 1, None),
        (found(stem=(1e-16, 1e-15, 1e-14), head=(1e-16, 1e-16, 1e-13)), 3, "rounding", 3, "head"),
    ],
)
def test_cause(measured, first_past, part, step, layer):
    cause = find_cause(measured, "float64", first_past, ORDER)
    assert (cause.part, cause.step, cause.layer) == (part, step, layer)
    assert layer is None or f"`{layer}`" in str(cause)


def test_another_start_explains_everything():
    measured = found(outputs=(1, 1, 1))
    measured.same_start = False
    assert find_cause(measured, "float32", 1, ORDER).part == "start"


def test_float32_rounding_is_not_blamed():
    measured = found(outputs=(1e-6, 1e-6, 1e-6), stem=(1e-5,) * 3, head=(1e-6,) * 3, stem_moves=(0.1,) * 3)
    assert find_cause(measured, "float32", 3, ORDER).part == "rounding"
    assert find_cause(measured, "float64", 3, ORDER).part == "forward"
    measured = found(outputs=(1e-7,) * 3)
    measured.loss[0] = 1e-6
    assert find_cause(measured, "float32", 1, ORDER).part == "rounding"
