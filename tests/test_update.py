"""How each weight is updated: groups, decay, layer decay."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from dlrun.graph import Graph, LayerList, TensorType, build_graph, layers
from dlrun.graph.patterns import Constraint, Regularizer
from dlrun.losses import losses
from dlrun.optimizers import Group, optimizers
from dlrun.recipe import Data, Recipe
from dlrun.schedules import schedules
from dlrun.update import depths, updates


def dense(units: int, **fields: Any) -> Any:
    return layers.get("dense")(units=units, **fields)


SPECS = (dense(3, name="stem"), layers.get("batch_norm")(), dense(3, name="body"), dense(2, name="head"))


@pytest.fixture
def graph() -> Graph:
    return build_graph(SPECS, TensorType((4,)))


def recipe(optimizer: dict[str, Any], **model: Any) -> Recipe:
    fields = dict(optimizer)
    return Recipe(
        name="toy",
        data=Data(source=None),
        model=LayerList(layers=SPECS, **model),
        loss=losses.get("mse")(),
        metrics=(),
        optimizer=optimizers.get(fields.pop("name"))(**fields),
        schedule=schedules.get("constant")(),
    )


def test_everything_is_updated_alike_by_default(graph: Graph) -> None:
    found = updates(recipe({"name": "adamw"}), graph)
    assert list(found) == [name for name, w in graph.weights() if w.trainable]
    assert {(u.multiplier, u.decay) for u in found.values()} == {(1.0, 0.01)}


def test_decay_can_spare_biases_and_norms(graph: Graph) -> None:
    found = updates(recipe({"name": "adamw", "decay_kernels_only": True}), graph)
    assert {name for name, u in found.items() if u.decay} == {"stem.kernel", "body.kernel", "head.kernel"}


def test_groups_by_their_first_match(graph: Graph) -> None:
    groups = (
        Group(match="head.*", learning_rate_multiplier=10.0),
        Group(match="*.bias", learning_rate_multiplier=2.0, weight_decay=0.0),
    )
    found = updates(recipe({"name": "sgd", "weight_decay": 0.1, "groups": groups}), graph)
    assert (found["head.bias"].multiplier, found["head.bias"].decay) == (10.0, 0.1)
    assert (found["stem.bias"].multiplier, found["stem.bias"].decay) == (2.0, 0.0)
    assert (found["stem.kernel"].multiplier, found["stem.kernel"].decay) == (1.0, 0.1)


def test_a_group_s_own_decay_also_reaches_biases(graph: Graph) -> None:
    groups = (Group(match="head.bias", weight_decay=0.3),)
    found = updates(recipe({"name": "adamw", "decay_kernels_only": True, "groups": groups}), graph)
    assert (found["head.bias"].decay, found["body.bias"].decay) == (0.3, 0.0)


def test_layer_decay_counts_back_from_the_last_block(graph: Graph) -> None:
    groups = (Group(match="head.*", learning_rate_multiplier=3.0),)
    found = updates(recipe({"name": "adamw", "layer_decay": 0.5, "groups": groups}), graph)
    rates = {name: u.multiplier for name, u in found.items()}
    assert rates == {
        "stem.kernel": 0.125,
        "stem.bias": 0.125,
        "batch_norm_1.scale": 0.25,
        "batch_norm_1.shift": 0.25,
        "body.kernel": 0.5,
        "body.bias": 0.5,
        "head.kernel": 3.0,
        "head.bias": 3.0,
    }


def test_frozen_weights_are_not_updated(graph: Graph) -> None:
    nodes = [
        dataclasses.replace(n, weights=tuple(dataclasses.replace(w, trainable=False) for w in n.weights))
        if n.name == "stem"
        else n
        for n in graph.nodes
    ]
    found = updates(recipe({"name": "sgd", "layer_decay": 0.5}), dataclasses.replace(graph, nodes=tuple(nodes)))
    assert "stem.kernel" not in found
    assert found["body.kernel"].multiplier == 0.5


def test_penalties_and_limits_by_pattern(graph: Graph) -> None:
    l1, limit = Regularizer(match="*.kernel", l1=0.1), Constraint(match="head.*", max_norm=1.0)
    found = updates(recipe({"name": "sgd"}, regularizers=(l1,), constraints=(limit,)), graph)
    assert (found["head.kernel"].regularizer, found["head.kernel"].constraint) == (l1, limit)
    assert (found["stem.bias"].regularizer, found["stem.bias"].constraint) == (None, None)


BLOCKS = {
    "plain layers": (["a.kernel", "a.bias", "b.scale", "c.kernel"], [0, 0, 1, 2]),
    "the rounds of a repeat": (
        ["stem.kernel", "repeat_1.1.conv.kernel", "repeat_1.1.norm.scale", "repeat_1.2.conv.kernel", "head.kernel"],
        [0, 1, 1, 2, 3],
    ),
    "an encoder's layers and its own norm": (
        [
            "patches.kernel",
            "encoder.layer_1.attention.query",
            "encoder.layer_1.dense_1.kernel",
            "encoder.layer_2.attention.query",
            "encoder.layer_2.dense_1.kernel",
            "encoder.norm.scale",
            "head.kernel",
        ],
        [0, 1, 1, 2, 2, 3, 4],
    ),
    "branches that are no repetition": (
        ["block.residual_1.attention.query", "block.residual_2.dense_1.kernel", "block.residual_2.dense_2.kernel"],
        [0, 0, 0],
    ),
    "stages of blocks, the first with a projection": (
        [
            "stage_1.block_1.conv_1.kernel",
            "stage_1.block_1.conv_2.kernel",
            "stage_1.block_1.shortcut.kernel",
            "stage_1.block_2.conv_1.kernel",
            "stage_1.block_2.conv_2.kernel",
            "stage_2.block_1.conv_1.kernel",
        ],
        [0, 0, 0, 1, 1, 2],
    ),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_blocks_are_counted_from_the_input(case: str) -> None:
    names, expected = BLOCKS[case]
    assert list(depths(names).values()) == expected
