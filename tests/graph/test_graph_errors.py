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


def test_a_layer_that_stands_below_is_said_to() -> None:
    later, own, first = mistakes(
        layer("dense", units=3, inputs=("b",)),
        layer("dense", units=3, name="b", inputs=("b",)),
        layer("dense", units=3, name="c"),
        layer("dense", units=3, name="c"),
    )
    assert "`b` is defined later, at `model.layers[1].dense`; a layer reads earlier ones only." in later.message
    assert (later.code, "`b` reads itself" in own.message) == ("unknown-input", True)
    assert (first.code, "`model.layers[2].dense`" in str(first.hint)) == ("duplicate-name", True)


def test_the_datas_name_is_no_layers() -> None:
    (error,) = mistakes(layer("dense", units=3, name="input"), layer("dense", units=3))
    assert error.code == "invalid-name" and "the model's data" in error.message


def test_an_unused_layer_is_told_beside_other_mistakes() -> None:
    wrong = layer("dense", units=3, inputs=("a",), activation="rleu")
    found = mistakes(layer("dense", units=3, name="a"), layer("dense", units=3, name="b"), wrong)
    assert [e.code for e in found] == ["unknown-activation", "unused-layer"]
    assert "`model.outputs`" in str(found[1].hint)


def test_parts_of_a_layer_of_unknown_input_can_be_named() -> None:
    bad = layer("dense", units=3, activation="rleu", kernel_initializer="nought")
    block = layer("sequence", name="block", layers=(layer("dense", units=3, name="inner", inputs=("nobody",)),))
    attention = layer("self_attention", heads=1, name="att")
    found = mistakes(
        bad,
        block,
        attention,
        layer("dense", units=3, inputs=("block.inner",)),
        layer("add", inputs=("att.query", "block")),
    )
    assert [e.code for e in found] == ["unknown-initializer", "unknown-activation", "unknown-input"]
