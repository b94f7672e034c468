"""Initializers, and rules over weights by pattern, as a recipe writes them."""

from __future__ import annotations

import pytest

DATA = "data: {source: digits}\n"
MODEL = "model:\n  layers:\n    - flatten\n    - dense: {units: 8, name: body}\n    - dense\n"

CASES = {
    # id: (recipe, code, place in small.yaml, path, words)
    "unknown initializer in a mapping": (
        DATA + "model:\n  layers: [flatten, {dense: {kernel_initializer: {name: he_norm}}}]\n",
        "unknown-initializer",
        "3:51",
        "model.layers[1].dense.kernel_initializer.name",
        ["`he_norm` is not an initializer", "`he_normal`"],
    ),
    "unknown field of an initializer": (
        DATA + "model:\n  layers: [flatten, {dense: {kernel_initializer: {name: normal, stddev: 1}}}]\n",
        "unknown-key",
        "3:65",
        "model.layers[1].dense.kernel_initializer.stddev",
        ["`stddev` is not a key of `normal`", "`std`"],
    ),
    "initializer that needs a field": (
        DATA + "model:\n  layers: [flatten, {dense: {bias_initializer: constant}}]\n",
        "missing-key",
        "3:30",
        "model.layers[1].dense.bias_initializer.value",
        ["`constant` needs `value`"],
    ),
    "initializer out of range": (
        DATA + MODEL + "  initializers: [{match: '*.kernel', initializer: {name: normal, std: 0}}]\n",
        "out-of-range",
        "7:66",
        "model.initializers[0].initializer.std",
        ["a number above 0"],
    ),
    "initializer for another shape": (
        DATA + MODEL + "  initializers: [{match: 'body.*', initializer: orthogonal}]\n",
        "initializer-shape",
        "7:36",
        "model.initializers[0].initializer",
        ["body.bias", "two axes"],
    ),
    "rule without a pattern": (
        DATA + MODEL + "  initializers: [{initializer: zeros}]\n",
        "missing-key",
        "7:18",
        "model.initializers[0].match",
        ["`initializers` needs `match`"],
    ),
    "pattern of initializers that matches nothing": (
        DATA + MODEL + "  initializers: [{match: '*.kernl', initializer: zeros}]\n",
        "unmatched-pattern",
        "7:19",
        "model.initializers[0].match",
        ["`*.kernl` matches no weight", "Did you mean `*.kernel`"],
    ),
    "pattern of freeze that matches nothing": (
        DATA + MODEL + "  freeze: [body.*, bdy.*]\n",
        "unmatched-pattern",
        "7:20",
        "model.freeze[1]",
        ["Did you mean `body.*`"],
    ),
    "pattern of groups that matches nothing": (
        DATA + MODEL + "optimizer: {groups: [{match: heads.bias, weight_decay: 0}]}\n",
        "unmatched-pattern",
        "7:23",
        "optimizer.groups[0].match",
        ["`heads.bias`"],
    ),
    "penalty of nothing": (
        DATA + MODEL + "  regularizers: [{match: '*.kernel', l1: 0}]\n",
        "empty-rule",
        "7:18",
        "model.regularizers[0]",
        ["neither `l1` nor `l2`"],
    ),
    "axis that is not there": (
        DATA + MODEL + "  constraints: [{match: '*.kernel', max_norm: 3, axis: 2}]\n",
        "wrong-axis",
        "7:50",
        "model.constraints[0].axis",
        ["body.kernel", "`2` is not an axis", "0 to 1"],
    ),
    "two norms at once": (
        DATA + MODEL + "  constraints: [{match: '*.kernel', max_norm: 3, unit_norm: true}]\n",
        "contradiction",
        "7:50",
        "model.constraints[0].unit_norm",
        ["exclude each other"],
    ),
    "rules that are no list": (
        DATA + MODEL + "  constraints: {match: '*.kernel', max_norm: 3}\n",
        "wrong-type",
        "7:3",
        "model.constraints",
        ["must be a list of mappings", "`max_norm`"],
    ),
    "a rule that is no mapping": (
        DATA + MODEL + "  regularizers: ['*.kernel']\n",
        "wrong-type",
        "7:18",
        "model.regularizers[0]",
        ["an item of `regularizers` must be a mapping", "`match`"],
    ),
    "key of a rule": (
        DATA + MODEL + "optimizer: {groups: [{match: body.*, lr: 2}]}\n",
        "unknown-key",
        "7:38",
        "optimizer.groups[0].lr",
        ["`lr` is not a key of `groups`", "`learning_rate_multiplier`"],
    ),
    "layer decay above one": (
        DATA + MODEL + "optimizer: {layer_decay: 1.5}\n",
        "out-of-range",
        "7:13",
        "optimizer.layer_decay",
        ["above 0 and of at most 1"],
    ),
    "schedule that needs validation": (
        DATA + MODEL + "schedule: reduce_on_plateau\n",
        "contradiction",
        "7:1",
        "schedule.name",
        ["`reduce_on_plateau` needs validation samples", "0.1"],
    ),
    "plateau without a fall": (
        DATA + MODEL + "schedule: {name: reduce_on_plateau, gamma: 1}\n",
        "out-of-range",
        "7:37",
        "schedule.gamma",
        ["above 0 and below 1"],
    ),
    "milestones in no order": (
        DATA + MODEL + "schedule: {name: multi_step, milestones: [6, 3]}\n",
        "milestones-order",
        "7:30",
        "schedule.milestones",
        ["rising order"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_mistake_is_reported_once_with_code_place_and_words(check, case):
    check(*case)


RULES = """\
data: {source: digits, validation: 100}
model:
  layers:
    - conv2d: {filters: 4, kernel: 3, name: stem, kernel_initializer: he_normal}
    - flatten
    - dense: {units: 8, name: body, kernel_initializer: {name: truncated_normal, std: 0.1}}
    - dense: {kernel_initializer: {name: normal}}
  initializers:
    - {match: body.bias, initializer: {name: constant, value: 0.5}}
    - {match: "*.bias", initializer: ones}
  regularizers:
    - {match: "*.kernel", l2: 1e-4}
  constraints:
    - {match: body.kernel, max_norm: 3}
  freeze: [stem.kernel]
optimizer:
  name: adamw
  layer_decay: 0.75
  groups:
    - {match: "*.bias", learning_rate_multiplier: 2, weight_decay: 0}
schedule: {name: reduce_on_plateau, patience: 2}
"""


def test_rules_arrive_in_the_plan(recipe):
    from dlrun.config import compose
    from dlrun.initializers import Constant, TruncatedNormal

    plan = compose([recipe(RULES)]).plan
    found = dict(plan.graph.weights())
    assert found["stem.kernel"].initializer == "he_normal" and not found["stem.kernel"].trainable
    assert found["body.kernel"].initializer == TruncatedNormal(std=0.1)
    assert found["dense_1.kernel"].initializer == "normal"  # without fields of its own it stays a name
    assert found["body.bias"].initializer == Constant(value=0.5)
    assert found["dense_1.bias"].initializer == "ones"
    assert set(plan.initial_weights()["body.bias"].ravel()) == {0.5}
    updates = plan.updates()
    assert (updates["dense_1.bias"].multiplier, updates["body.bias"].multiplier) == (2.0, 1.5)
    assert updates["body.kernel"].regularizer.l2 == 1e-4
    assert updates["body.kernel"].constraint.max_norm == 3


def test_a_resolved_recipe_is_the_same_recipe(recipe):
    from dlrun.config import compose, dump

    first = compose([recipe(RULES)])
    second = compose([recipe(dump(first.values), "again.yaml")])
    assert second.values == {**first.values, "name": second.values["name"]}
    assert second.recipe.model == first.recipe.model
    assert second.recipe.optimizer == first.recipe.optimizer


def test_rules_and_initializers_can_be_overridden(recipe):
    from dlrun.config import compose

    composed = compose(
        [
            recipe(RULES),
            "optimizer.groups.0.weight_decay=0.5",
            "model.layers.body.kernel_initializer.std=0.3",
            "model.layers.stem.kernel_initializer=zeros",
            "model.freeze=[body.*]",
            'model.constraints=[{match: "*.kernel", unit_norm: true}]',
        ]
    )
    model, optimizer = composed.recipe.model, composed.recipe.optimizer
    assert optimizer.groups[0].weight_decay == 0.5
    assert model.layers[2].kernel_initializer.std == 0.3
    assert model.layers[0].kernel_initializer == "zeros"
    assert model.freeze == ("body.*",)
    assert model.constraints[0].unit_norm


def test_an_index_that_is_not_there(recipe, mistakes):
    (error,) = mistakes(recipe(RULES), "optimizer.groups.1.weight_decay=0.5")
    assert error.code == "unknown-item" and "has 1 items" in error.message


def test_every_initializer_field_of_a_layer_takes_fields_of_its_own():
    """`kernel_initializer: {name: normal, std: 0.1}` must work wherever `he_normal` does."""
    from dlrun.config.language import Choice, fields
    from dlrun.graph import layers, models

    plain = [
        f"{registry.role} {kind}.{name}"
        for registry in (layers, models)
        for kind in registry
        for name, field in fields(registry.get(kind)).items()
        if name.endswith("initializer") and not (isinstance(field.form, Choice) and field.form.inline)
    ]
    assert not plain, f"declare these as `Initial`: {plain}"
