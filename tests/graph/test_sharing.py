"""Layers that share weights, frozen layers, and models with several outputs."""

import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import Graph, TensorType, build_graph, layers
from dlrun.graph.patterns import frozen


def dense(units: int, **fields: object) -> object:
    return layers.get("dense")(units=units, **fields)


def graph(*specs: object, outputs: tuple[str, ...] = ()) -> Graph:
    return build_graph(specs, TensorType((4,)), outputs=outputs)


def test_a_shared_weight_is_counted_once() -> None:
    built = graph(dense(4, name="first"), dense(4, share="first"), dense(4, share="dense_1"))
    assert [name for name, _ in built.weights()] == ["first.kernel", "first.bias"]
    assert [node.shares for node in built.nodes] == [None, "first", "first"]
    assert built.parameters == 20
    assert not built.sequential


@pytest.mark.parametrize(
    ("share", "code", "words"),
    [
        ("frist", "unknown-share", "Did you mean `first`"),
        ("wide", "share-mismatch", "`kernel` (4, 4), `bias` (4,), but `wide` has `kernel` (4, 6)"),
        ("flat", "share-mismatch", "but `flat` has none"),
    ],
)
def test_only_the_same_weights_can_be_shared(share: str, code: str, words: str) -> None:
    first = (dense(4, name="first"), dense(6, name="wide"), layers.get("relu")(name="flat"))
    with pytest.raises(DlrunErrors) as caught:
        graph(*first, dense(4, inputs=("first",), share=share, name="last"), dense(4))
    error = caught.value.errors[0]
    assert error.code == code
    assert words in f"{error.message} {error.hint}"
    assert error.path == ("model", "layers", 3, "dense", "share")


def test_a_frozen_layer_has_no_trainable_weights() -> None:
    built = graph(dense(4, trainable=False), dense(3))
    assert [w.trainable for _, w in built.weights()] == [False, False, True, True]
    assert built.parameters == 15
    block = layers.get("residual")(layers=(dense(4),), trainable=False)
    held = graph(block, dense(3))
    assert [w.trainable for _, w in held.weights()] == [False, False, True, True]
    assert not held.nodes[0].layer.trainable


def test_outputs_are_named_and_need_not_be_last() -> None:
    specs = (dense(4, name="trunk"), dense(2, name="side"), dense(3, name="main", inputs=("trunk",), activation="relu"))
    built = graph(*specs, outputs=("main", "side"))
    assert built.outputs == ("main_relu", "side")
    assert [t.shape for t in built.output_types] == [(3,), (2,)]
    assert built.output.shape == (3,)
    with pytest.raises(DlrunErrors, match="unused-layer"):
        graph(*specs, outputs=("main",))
    with pytest.raises(DlrunErrors, match="unknown-output") as caught:
        graph(*specs, outputs=("main", "sid"))
    assert "Did you mean `side`" in str(caught.value.errors[0].hint)


def held(built: Graph) -> dict[str, bool]:
    """Whether each layer is trained, and all that it reads of shared weights alike."""
    for node in built.nodes:
        assert not node.shared or any(w.trainable for w in node.shared) == node.layer.trainable
    return {node.name: node.layer.trainable for node in built.nodes}


@pytest.mark.parametrize("kind", ["batch_norm", "dense"])
def test_a_layer_that_shares_weights_is_trained_as_their_owner_is(kind: str) -> None:
    def make(**fields: object) -> object:
        return layers.get(kind)(**fields, **({"units": 4} if kind == "dense" else {}))

    two = make(name="first"), make(name="again", share="first")
    assert held(graph(*two)) == {"first": True, "again": True}
    assert held(frozen(graph(*two), ("first.*",))) == {"first": False, "again": False}
    fixed = make(name="first", trainable=False), make(name="again", share="first"), make(name="third", share="again")
    assert set(held(graph(*fixed)).values()) == {False}
    block = layers.get("residual")(layers=(make(name="again", share="first"),), trainable=False)
    assert set(held(graph(make(name="first"), block)).values()) >= {True}
    inside = next(n for n in graph(make(name="first"), block).nodes if n.name.endswith("again"))
    assert inside.layer.trainable  # a held block does not hold what stands outside
    within = layers.get("residual")(name="block", layers=(make(name="first"),), trainable=False)
    outside = graph(within, make(name="again", share="block.first"))
    assert not held(outside)["again"]


def test_what_is_trained_cannot_be_held_where_it_is_shared() -> None:
    with pytest.raises(DlrunErrors) as caught:
        graph(dense(4, name="first"), dense(4, share="first", trainable=False))
    (error,) = caught.value.errors
    assert (error.code, error.path) == ("contradiction", ("model", "layers", 1, "dense", "trainable"))
    assert "those of `first`, which are trained" in error.message and "`first`" in str(error.hint)
    assert set(held(graph(dense(4, name="first", trainable=False), dense(4, share="first", trainable=False))).values())
    table = layers.get("embedding")(name="table", vocabulary=7, units=4)
    head = layers.get("copy_head")(vocabulary=7, share="table", inputs=("table", "table", "input"), trainable=False)
    built = build_graph([table, head], TensorType((5,), "int"))
    trained = [name for name, w in built.weights() if w.trainable]
    assert trained == ["table.table"]


def tower(**fields: object) -> object:
    parts = (dense(4, activation="tanh"), layers.get("batch_norm")(name="norm"))
    return layers.get("sequence")(layers=parts, **fields)


def test_a_layer_made_of_several_shares_part_by_part() -> None:
    attention = layers.get("self_attention")
    built = graph(tower(name="left"), tower(name="right", share="left"), tower(name="third", share="right"))
    assert {name.partition(".")[0] for name, _ in built.weights()} == {"left"}
    assert [node.shares for node in built.nodes if node.name.startswith("right")] == ["left.dense_1", None, "left.norm"]
    assert [node.shares for node in built.nodes if node.name.startswith("third")] == ["left.dense_1", None, "left.norm"]
    assert built.parameters == graph(tower(name="left")).parameters
    two = attention(heads=2, name="a"), attention(heads=2, share="a")
    assert {n.partition(".")[0] for n, _ in build_graph(two, TensorType((5, 6))).weights()} == {"a"}
    rounds = layers.get("repeat")(times=2, layers=(dense(4),), name="r")
    again = layers.get("repeat")(times=2, layers=(dense(4),), share="r")
    assert [n.shares for n in graph(rounds, again).nodes[2:]] == ["r.1.dense_1", "r.2.dense_1"]
    held_tower = graph(tower(name="left", trainable=False), tower(share="left"))
    assert not any(w.trainable for _, w in held_tower.weights())
    assert not any(node.layer.trainable for node in held_tower.nodes if node.shares)


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"share": "nobody"}, "unknown-share", "`nobody` names no earlier layer"),
        ({"share": "one"}, "share-mismatch", "`one` is one layer"),
        ({"share": "left", "layers": (dense(4),)}, "share-mismatch", "`left` has the weights of `norm`, but `right`"),
        (
            {"share": "left", "layers": (dense(4), layers.get("layer_norm")(name="norm"))},
            "share-mismatch",
            "`left.norm`",
        ),
        ({"share": "left", "layers": (layers.get("relu")(),)}, "share-mismatch", "has weights that could be shared"),
        ({"share": "left", "trainable": False}, "contradiction", "which are trained"),
        ({"share": "right"}, "unknown-share", "itself"),
    ],
)
def test_layers_made_of_several_that_do_not_fit_cannot_share(fields: dict[str, object], code: str, words: str) -> None:
    with pytest.raises(DlrunErrors) as caught:
        graph(dense(4, name="one"), tower(name="left"), made(fields))
    (error,) = caught.value.errors
    key = "trainable" if code == "contradiction" else "share"
    assert (error.code, error.path) == (code, ("model", "layers", 2, "sequence", key))
    assert words in error.message


def made(fields: dict[str, object]) -> object:
    parts = (dense(4, activation="tanh"), layers.get("batch_norm")(name="norm"))
    return layers.get("sequence")(**{"name": "right", "layers": parts, **fields})


def test_one_layer_cannot_share_those_of_several() -> None:
    with pytest.raises(DlrunErrors) as caught:
        graph(tower(name="left"), dense(4, share="left"))
    assert [e.code for e in caught.value.errors] == ["share-mismatch"]
    assert "made of several layers" in caught.value.errors[0].message
