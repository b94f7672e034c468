"""Wiring: names, branches, composites, counts."""

from __future__ import annotations

from typing import Any

import pytest

from dlrun.graph import Graph, TensorType, build_graph, layers


def layer(kind: str, **fields: Any):
    return layers.get(kind)(**fields)


def build(*specs: Any, shape: tuple[int, ...] = (8, 8, 3)) -> Graph:
    return build_graph(specs, TensorType(shape))


def names(graph: Graph) -> list[str]:
    return [n.name for n in graph.nodes]


def test_layers_follow_one_another_and_are_numbered_by_kind() -> None:
    graph = build(
        layer("conv2d", filters=4, kernel=3), layer("flatten"), layer("dense", units=5), layer("dense", units=2)
    )
    assert names(graph) == ["conv2d_1", "flatten_1", "dense_1", "dense_2"]
    assert graph.sequential
    assert graph.output == TensorType((2,))


def test_counts_by_hand() -> None:
    graph = build(layer("conv2d", filters=4, kernel=3), layer("flatten"), layer("dense", units=5))
    conv, dense = 3 * 3 * 3 * 4 + 4, 6 * 6 * 4 * 5 + 5
    assert graph.parameters == conv + dense
    assert graph.flops == 6 * 6 * 4 * (2 * 27 + 1) + 2 * 144 * 5 + 5


def test_running_statistics_are_weights_but_no_parameters() -> None:
    graph = build(layer("batch_norm"))
    assert graph.parameters == 6
    assert [name for name, _ in graph.weights()] == [
        "batch_norm_1.scale",
        "batch_norm_1.shift",
        "batch_norm_1.mean",
        "batch_norm_1.variance",
    ]


def test_an_activation_becomes_a_layer_that_others_read() -> None:
    graph = build(
        layer("dense", units=4, activation="relu", name="stem"),
        layer("dense", units=4),
        layer("add", inputs=("stem", "dense_1")),
        shape=(3,),
    )
    assert names(graph) == ["stem", "stem_relu", "dense_1", "add_1"]
    assert graph.nodes[2].inputs == ("stem_relu",)
    assert graph.nodes[3].inputs == ("stem_relu", "dense_1")
    assert not graph.sequential


def test_branches_read_by_name_and_the_input_has_one() -> None:
    graph = build(
        layer("dense", units=4, name="left"),
        layer("dense", units=6, inputs=("input",), name="right"),
        layer("concat", inputs=("left", "right")),
        shape=(3,),
    )
    assert graph.nodes[1].inputs == ("input",)
    assert graph.output == TensorType((10,))


def test_a_residual_adds_its_input() -> None:
    graph = build(layer("residual", layers=(layer("dense", units=3),), activation="relu"), shape=(3,))
    assert names(graph) == ["residual_1.dense_1", "residual_1.add_1", "residual_1.add_1_relu"]
    assert graph.nodes[1].inputs == ("residual_1.dense_1", "input")


def test_a_shortcut_has_a_scope_of_its_own() -> None:
    block = layer("residual", name="block", layers=(layer("dense", units=5),), shortcut=(layer("dense", units=5),))
    graph = build(block, shape=(3,))
    assert names(graph) == ["block.dense_1", "block.shortcut.dense_1", "block.add_1"]


def test_repeat_has_weights_of_its_own_each_round() -> None:
    graph = build(layer("repeat", times=3, layers=(layer("dense", units=4),)), shape=(2,))
    assert names(graph) == ["repeat_1.1.dense_1", "repeat_1.2.dense_1", "repeat_1.3.dense_1"]
    assert [n.weights[0].shape for n in graph.nodes] == [(2, 4), (4, 4), (4, 4)]


def test_composites_nest_and_are_read_by_their_own_name() -> None:
    block = layer("residual", layers=(layer("dense", units=3, activation="tanh"),))
    graph = build(
        layer("repeat", times=2, layers=(block,), name="body"),
        layer("dense", units=3),
        layer("add", inputs=("body", "dense_1")),
        shape=(3,),
    )
    assert names(graph)[:3] == [
        "body.1.residual_1.dense_1",
        "body.1.residual_1.dense_1_tanh",
        "body.1.residual_1.add_1",
    ]
    assert graph.nodes[-1].inputs == ("body.2.residual_1.add_1", "dense_1")


def test_a_layer_inside_a_composite_reads_its_neighbours_first() -> None:
    inner = (layer("dense", units=3, name="a"), layer("dense", units=3), layer("add", inputs=("a", "dense_1")))
    graph = build(layer("dense", units=3, name="a"), layer("residual", layers=inner, name="r"), shape=(3,))
    assert graph.nodes[3].inputs == ("r.a", "r.dense_1")


def test_automatic_names_give_way_to_the_users() -> None:
    graph = build(layer("dense", units=2, name="dense_1"), layer("dense", units=2), shape=(2,))
    assert names(graph) == ["dense_1", "dense_2"]


def test_every_node_knows_its_place() -> None:
    block = layer("residual", layers=(layer("dense", units=3, activation="relu"),))
    graph = build(layer("flatten"), block, shape=(3,))
    assert graph.nodes[0].path == ("model", "layers", 0, "flatten")
    place = ("model", "layers", 1, "residual", "layers", 0, "dense")
    assert graph.nodes[1].path == place
    assert graph.nodes[2].path == (*place, "activation")


@pytest.mark.parametrize("kind", [k for k in layers if layers.get(k).elementwise])
def test_every_elementwise_layer_is_an_activation(kind: str) -> None:
    assert names(build(layer("dense", units=2, activation=kind), shape=(2,))) == ["dense_1", f"dense_1_{kind}"]
