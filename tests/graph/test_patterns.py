"""Rules by pattern: which weights they mean, what they do to them, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.graph import Graph, TensorType, build_graph, layers
from dlrun.graph.patterns import (
    Constraint,
    InitializerRule,
    Regularizer,
    first,
    frozen,
    started,
    unmatched,
)
from dlrun.initializers import Constant


def graph_of(*specs: tuple[str, dict[str, Any]]) -> Graph:
    return build_graph([layers.get(kind)(**fields) for kind, fields in specs], TensorType((6, 6, 2)))


@pytest.fixture
def graph() -> Graph:
    return graph_of(
        ("conv2d", {"filters": 3, "kernel": 3, "name": "stem"}),
        ("batch_norm", {}),
        ("flatten", {}),
        ("dense", {"units": 4, "name": "head"}),
    )


def test_the_first_rule_that_matches_counts() -> None:
    rules = (Regularizer(match="stem.*", l1=1.0), Regularizer(match="*.kernel", l2=2.0))
    assert first(rules, "stem.kernel") is rules[0]
    assert first(rules, "head.kernel") is rules[1]
    assert first(rules, "head.bias") is None
    assert first(rules, "block.stem.kernel") is rules[1]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("*.kernl", "Did you mean `*.kernel`"),
        ("stme.*", "Did you mean `stem.*`"),
        ("head", "Did you mean `head.*`"),
        ("Stem.kernel", "Did you mean `stem.kernel`"),
        ("zzz", "Weights: `stem.kernel`, `stem.bias`, `batch_norm_1.scale`"),
    ],
)
def test_a_pattern_that_matches_nothing_names_the_nearest(graph: Graph, pattern: str, hint: str) -> None:
    (error,) = unmatched([("*.bias", ("a",)), (pattern, ("model", "freeze", 1))], graph)
    assert (error.code, error.path) == ("unmatched-pattern", ("model", "freeze", 1))
    assert f"`{pattern}` matches no weight" in error.message
    assert hint in (error.hint or "")


def test_initializers_by_pattern_come_before_the_layers_own(graph: Graph) -> None:
    half = Constant(value=0.5)
    rules = (InitializerRule(match="head.*", initializer=half), InitializerRule(match="*.kernel", initializer="ones"))
    new, errors = started(graph, rules, ("model", "initializers"))
    assert errors == []
    found = {name: w.initializer for name, w in new.weights()}
    assert found["head.kernel"] == found["head.bias"] == half
    assert (found["stem.kernel"], found["stem.bias"], found["batch_norm_1.scale"]) == ("ones", "zeros", "ones")


def test_an_initial_value_that_cannot_be_drawn_has_the_place_it_comes_from() -> None:
    graph = graph_of(("flatten", {}), ("dense", {"units": 2, "bias_initializer": "orthogonal"}))
    _, (error,) = started(graph, (), ("model", "initializers"))
    assert (error.code, error.path[-1]) == ("initializer-shape", "bias_initializer")
    assert "dense_1.bias" in error.message
    _, (error,) = started(graph, (InitializerRule(match="*.bias", initializer="identity"),), ("model", "initializers"))
    assert error.path == ("model", "initializers", 0, "initializer")


def test_freezing_some_weights_and_whole_layers(graph: Graph) -> None:
    new = frozen(graph, ("stem.kernel", "batch_norm_1.*"))
    assert {name for name, w in new.weights() if w.trainable} == {"stem.bias", "head.kernel", "head.bias"}
    assert [node.layer.trainable for node in new.nodes] == [True, False, True, True]
    assert frozen(graph, ()) == graph


def test_max_norm_shortens_what_is_longer() -> None:
    w = np.array([[3.0, 0.3], [4.0, 0.4]])
    limited = Constraint(match="*", max_norm=1.0).limit(w)
    np.testing.assert_allclose(limited, [[0.6, 0.3], [0.8, 0.4]], rtol=1e-15)
    whole = Constraint(match="*", max_norm=2.5, axis=(0, 1)).limit(w)
    np.testing.assert_allclose(whole, w * 2.5 / np.sqrt(25.25), rtol=1e-14)
    np.testing.assert_allclose(Constraint(match="*", max_norm=1.0, axis=-1).limit(w)[0], w[0] / np.hypot(3, 0.3))
    kernel = np.random.default_rng(0).standard_normal((3, 3, 4, 5))
    norms = np.sqrt((Constraint(match="*", max_norm=2.0).limit(kernel) ** 2).sum((0, 1, 2)))
    np.testing.assert_allclose(norms, 2.0, rtol=1e-14)
    np.testing.assert_allclose(Constraint(match="*", max_norm=5.0).limit(np.array([6.0, 8.0])), [3.0, 4.0])


def test_unit_norm_leaves_zeros_and_non_negative_comes_first() -> None:
    w = np.array([[3.0, 0.0, -1.0], [-4.0, 0.0, -1.0]])
    np.testing.assert_allclose(Constraint(match="*", unit_norm=True).limit(w)[:, :2], [[0.6, 0.0], [-0.8, 0.0]])
    both = Constraint(match="*", unit_norm=True, non_negative=True).limit(w)
    np.testing.assert_array_equal(both, [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(Constraint(match="*", non_negative=True).limit(w), np.maximum(w, 0))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Regularizer(match="*"), "empty-rule"),
        (lambda: Constraint(match="*"), "empty-rule"),
        (lambda: Constraint(match="*", max_norm=1.0, unit_norm=True), "contradiction"),
        (lambda: Constraint(match="*", max_norm=1.0, axis=2).axes((3, 4)), "wrong-axis"),
    ],
)
def test_rules_that_make_no_sense(make: Any, code: str) -> None:
    with pytest.raises(DlrunError) as caught:
        make()
    assert caught.value.code == code
