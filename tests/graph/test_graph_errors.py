"""Every mistake in a model: its code, its place, its words; and that they are reported together."""

from __future__ import annotations

from typing import Any

import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import TensorType, build_graph, layers


def layer(kind: str, **fields: Any):
    return layers.get(kind)(**fields)


def mistakes(*specs: Any, shape: tuple[int, ...] = (3,)) -> list[Any]:
    with pytest.raises(DlrunErrors) as caught:
        build_graph(specs, TensorType(shape))
    return list(caught.value.errors)


dense = layer("dense", units=3)
CASES = {
    "empty-model": ((), (3,), ("model", "layers"), "at least one layer"),
    "unused-layer": (
        (dense, layer("dense", units=4, inputs=("input",))),
        (3,),
        ("model", "layers", 0, "dense"),
        "`dense_1` is read by no later layer",
    ),
    "duplicate-name": (
        (layer("dense", units=3, name="a"), layer("dense", units=3, name="a")),
        (3,),
        ("model", "layers", 1, "dense", "name"),
        "two layers are called `a`",
    ),
    "unknown-input": (
        (layer("dense", units=3, name="stem"), layer("add", inputs=("stem", "stme"))),
        (3,),
        ("model", "layers", 1, "add", "inputs", 1),
        "`stme` names no earlier layer",
    ),
    "wrong-input-count": ((layer("add"),), (3,), ("model", "layers", 0, "add"), "at least 2 inputs, got 1"),
    "shape-mismatch": (
        (layer("dense", units=4), layer("add", inputs=("input", "dense_1"))),
        (3,),
        ("model", "layers", 1, "add"),
        "`(N, 3)`, `(N, 4)`",
    ),
    "unknown-activation": (
        (layer("dense", units=3, activation="rleu"),),
        (3,),
        ("model", "layers", 0, "dense", "activation"),
        "`rleu` is not an activation",
    ),
    "wrong-rank": ((dense,), (4, 4, 1), ("model", "layers", 0, "dense"), "(N, features), got (N, 4, 4, 1)"),
    "units-missing": (
        (layer("dense"), dense),
        (3,),
        ("model", "layers", 0, "dense", "units"),
        "only a classifier's last layer",
    ),
    "window-too-large": (
        (layer("max_pool2d", size=5),),
        (4, 9, 1),
        ("model", "layers", 0, "max_pool2d"),
        "spans 5 cells but the input's height is 4",
    ),
    "reshape-size": (
        (layer("reshape", shape=(2, 2)),),
        (3,),
        ("model", "layers", 0, "reshape", "shape"),
        "cannot turn 3 elements (N, 3) into `[2, 2]`",
    ),
    "unknown-initializer": (
        (layer("dense", units=3, kernel_initializer="he_norm"),),
        (3,),
        ("model", "layers", 0, "dense", "kernel_initializer"),
        "`he_norm` is not an initializer",
    ),
    "empty-layers": (
        (layer("repeat", times=2, layers=()),),
        (3,),
        ("model", "layers", 0, "repeat", "layers"),
        "`repeat` needs at least one layer",
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_mistake(code: str) -> None:
    specs, shape, path, words = CASES[code]
    (error,) = mistakes(*specs, shape=shape)
    assert error.code == code
    assert error.path == path
    assert words in error.message
    assert error.exit_code == 2


def test_an_unknown_input_names_the_nearest() -> None:
    specs, shape, _, _ = CASES["unknown-input"]
    assert "Did you mean `stem`" in (mistakes(*specs, shape=shape)[0].hint or "")


def test_mistakes_are_reported_together_and_their_consequences_are_not() -> None:
    found = mistakes(
        layer("dense", units=3, kernel_initializer="nought"),
        layer("dense", units=3),  # reads a layer of unknown shape: nothing to say
        layer("dense", units=3, inputs=("input",), activation="sigmoyd", name="b"),
        layer("add", inputs=("b", "c")),
    )
    assert [e.code for e in found] == ["unknown-initializer", "unknown-activation", "unknown-input"]


def test_a_mistake_inside_a_repeat_is_told_once() -> None:
    bad = layer("dense", units=3, activation="rleu")
    (error,) = mistakes(layer("repeat", times=4, layers=(bad,)))
    assert error.path == ("model", "layers", 0, "repeat", "layers", 0, "dense", "activation")


@pytest.mark.parametrize("activation", ["rleu", "flatten"])
def test_a_residuals_activation_is_element_wise(activation: str) -> None:
    (error,) = mistakes(layer("residual", layers=(dense,), activation=activation))
    assert (error.code, error.path) == ("unknown-activation", ("model", "layers", 0, "residual", "activation"))


def test_two_composites_may_not_share_a_name() -> None:
    block = layer("residual", name="block", layers=(dense,))
    (error,) = mistakes(block, block)
    assert (error.code, error.path) == ("duplicate-name", ("model", "layers", 1, "residual", "name"))


def test_a_composites_name_is_taken_for_layers_too() -> None:
    (error,) = mistakes(layer("repeat", times=1, layers=(dense,), name="x"), layer("dense", units=3, name="x"))
    assert error.code == "duplicate-name"


def test_a_residual_whose_branch_changes_the_shape_needs_a_shortcut() -> None:
    (error,) = mistakes(layer("residual", layers=(layer("dense", units=4),)))
    assert error.code == "shape-mismatch"
    assert error.path == ("model", "layers", 0, "residual")
