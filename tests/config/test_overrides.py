"""What overrides do to a recipe, and what ``compose`` makes of it."""

from __future__ import annotations

import dataclasses

import pytest

from dlrun.config import compose, dump

PLAIN = "data: {source: digits}\nmodel: {layers: [flatten, dense]}\n"


def test_the_default_recipe_needs_no_word():
    composed = compose([])
    assert composed.recipe.name == "digits" and composed.plan.signature.classes == 10


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("train.epochs=7", lambda r: r.train.epochs, 7),
        ("train.clip_norm=1", lambda r: r.train.clip_norm, 1.0),  # not written in the recipe
        ("train.early_stopping.patience=3", lambda r: r.train.early_stopping.patience, 3),
        ("train.early_stopping={}", lambda r: r.train.early_stopping.patience, 5),
        ("train.checkpoints.keep=5", lambda r: r.train.checkpoints.keep, 5),
        ("+train.ema=0.9", lambda r: r.train.ema, 0.9),
        ("++seed=5", lambda r: r.seed, 5),
        ("data.validation=0.25", lambda r: r.data.validation, 0.25),
        ("data.root=some/folder", lambda r: r.data.root, "some/folder"),
        ("device=cuda:1", lambda r: (r.device.name, r.device.index), ("cuda", 1)),
        ("device.threads=2", lambda r: r.device.threads, 2),
        ("backend=tensorflow", lambda r: r.backend.name, "tensorflow"),
        ("backend.compile=true", lambda r: r.backend.compile, True),
        ("loss.label_smoothing=0.1", lambda r: r.loss.label_smoothing, 0.1),
        ("optimizer.betas=[0.5,0.6]", lambda r: r.optimizer.betas, (0.5, 0.6)),
        ("optimizer.betas.1=0.6", lambda r: r.optimizer.betas, (0.8, 0.6)),
        ("optimizer={learning_rate: 0.5}", lambda r: (r.optimizer.kind, r.optimizer.learning_rate), ("adam", 0.5)),
        ("schedule=cosine", lambda r: r.schedule.kind, "cosine"),
        ("schedule={name: step, every_epochs: 2}", lambda r: r.schedule.every_epochs, 2),
        ("metrics=[{top_k: {k: 3}}]", lambda r: (r.metrics[0].kind, r.metrics[0].k), ("top_k", 3)),
        ("data.preprocess=[{rescale: {multiplier: 2}}]", lambda r: r.data.preprocess[0].multiplier, 2.0),
        ("tracker=none", lambda r: r.tracker.name, "none"),
        ("seed=${train.epochs}", lambda r: r.seed, 2),
        ("seed=${train.checkpoints.keep}", lambda r: r.seed, 2),  # left at its default
        ("output.name='a b'", lambda r: r.output.name, "a b"),
        ("precision=bfloat16", lambda r: r.precision, "bfloat16"),
    ],
)
def test_every_field_can_be_set(recipe, override, read, value):
    composed = compose([recipe(), override])
    assert read(composed.recipe) == value
    assert any(override in origin for origin in composed.origins.values()) or override == "train.early_stopping={}"


@pytest.mark.parametrize(
    ("override", "index", "field", "value"),
    [
        ("model.layers.0.filters=9", 0, "filters", 9),
        ("model.layers[0].filters=9", 0, "filters", 9),
        ("model.layers.0.conv2d.filters=9", 0, "filters", 9),
        ("model.layers.conv2d_1.filters=9", 0, "filters", 9),
        ("model.layers.conv2d_2.filters=9", 2, "filters", 9),
        ("model.layers.conv2d_2.conv2d.padding=same", 2, "padding", "same"),
        ("model.layers.hidden.units=9", 4, "units", 9),
        ("model.layers.hidden.activation=relu", 4, "activation", "relu"),
        ("model.layers.dense_1.units=10", 6, "units", 10),  # `hidden` has a name of its own, so this is the first
        ("model.layers.dropout_1.rate=0", 5, "rate", 0.0),
        ("model.layers.2.kernel=[2,3]", 2, "kernel", (2, 3)),
    ],
)
def test_a_layer_is_found_by_index_or_name(recipe, override, index, field, value):
    assert getattr(compose([recipe(), override]).recipe.model.layers[index], field) == value


def test_names_are_those_of_the_graph(recipe):
    composed = compose([recipe()])
    for node in composed.plan.graph.nodes:
        if node.layer.kind == "conv2d":
            changed = compose([recipe(), f"model.layers.{node.name}.filters=5"])
            assert {n.name: n for n in changed.plan.graph.nodes}[node.name].layer.filters == 5


NESTED = """\
data: {source: digits}
model:
  layers:
    - residual:
        name: block
        layers:
          - conv2d: {filters: 1, kernel: 3, padding: same}
          - relu
          - conv2d: {filters: 1, kernel: 3, padding: same}
        shortcut:
          - conv2d: {filters: 1, kernel: 1}
    - repeat: {times: 2, layers: [{dropout: {rate: 0.1}}]}
    - flatten
    - dense
"""


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("model.layers.block.layers.conv2d_2.kernel=5", lambda m: m.layers[0].layers[2].kernel, 5),
        ("model.layers.block.conv2d_2.kernel=5", lambda m: m.layers[0].layers[2].kernel, 5),
        ("model.layers.0.residual.layers.0.kernel=5", lambda m: m.layers[0].layers[0].kernel, 5),
        ("model.layers.block.shortcut.0.bias=false", lambda m: m.layers[0].shortcut[0].bias, False),
        ("model.layers.repeat_1.times=3", lambda m: m.layers[1].times, 3),
        ("model.layers.repeat_1.layers.0.rate=0.2", lambda m: m.layers[1].layers[0].rate, 0.2),
        ("model.layers.repeat_1.layers.0={dropout: {rate: 0.3}}", lambda m: m.layers[1].layers[0].rate, 0.3),
        ("~model.layers.block.layers.1", lambda m: len(m.layers[0].layers), 2),
        ("~model.layers.block.shortcut", lambda m: m.layers[0].shortcut, None),
    ],
)
def test_a_layer_inside_a_layer(recipe, override, read, value):
    assert read(compose([recipe(NESTED), override]).recipe.model) == value


def test_a_layer_is_replaced_whole(recipe):
    composed = compose([recipe(), "model.layers.hidden={dense: {units: 5}}"])
    layer = composed.recipe.model.layers[4]
    assert (layer.units, layer.name) == (5, None)
    assert compose([recipe(), "model.layers.5=relu"]).recipe.model.layers[5].kind == "relu"


def test_deleting_layers_keeps_the_indices_of_the_others(recipe):
    composed = compose([recipe(), "~model.layers.1", "~model.layers.5", "model.layers.4.units=33"])
    assert [layer.kind for layer in composed.recipe.model.layers] == ["conv2d", "conv2d", "flatten", "dense", "dense"]
    assert composed.recipe.model.layers[3].units == 33


def test_names_mean_the_recipe_as_written(recipe):
    composed = compose(
        [recipe(), "model.layers.0={conv2d: {filters: 3, kernel: 3, name: own}}", "model.layers.conv2d_2.filters=8"]
    )
    assert [layer.filters for layer in composed.recipe.model.layers if layer.kind == "conv2d"] == [3, 8]


def test_a_replaced_layer_can_be_changed_further(recipe):
    nested = "model.layers.2={residual: {layers: [{conv2d: {filters: 4, kernel: 3, padding: same}}]}}"
    composed = compose([recipe(), nested, "model.layers.2.layers.0.bias=false", "model.layers.conv2d_2.name=block"])
    block = composed.recipe.model.layers[2]
    assert (block.kind, block.name, block.layers[0].bias) == ("residual", "block", False)


def test_replacing_a_section_whole_says_what_is_lost(recipe):
    composed = compose([recipe(), "optimizer={learning_rate: 0.5}", "train={clip_norm: 1}"])
    assert composed.recipe.optimizer.betas == (0.9, 0.999) and composed.recipe.train.epochs == 1
    assert composed.notes == (
        "`optimizer={learning_rate: 0.5}` replaces `optimizer` whole and drops betas=[0.8, 0.99] (small.yaml:11:46).",
        "`train={clip_norm: 1}` replaces `train` whole and drops epochs=2 (small.yaml:12:9).",
    )


def test_deleting_a_key_brings_its_default_back(recipe):
    composed = compose([recipe(), "~train.epochs", "~train.clip_norm"])
    assert composed.recipe.train.epochs == 1
    assert composed.notes == ("`~train.clip_norm` changes nothing: `train.clip_norm` is not set.",)


def test_switching_a_group_drops_the_recipes_fields_and_says_so(recipe):
    composed = compose([recipe(), "optimizer=sgd"])
    assert (composed.recipe.optimizer.kind, composed.recipe.optimizer.learning_rate) == ("sgd", 0.01)
    assert composed.notes == (
        "`optimizer=sgd` replaces `adam` and drops what was written for it: "
        "learning_rate=0.003 (small.yaml:11:25), betas=[0.8, 0.99] (small.yaml:11:46).",
    )


@pytest.mark.parametrize("choice", ["optimizer=sgd", "optimizer.name=sgd", "optimizer={name: sgd}"])
def test_fields_of_the_command_line_stay(recipe, choice):
    for overrides in ([choice, "optimizer.learning_rate=0.05"], ["optimizer.learning_rate=0.05", choice]):
        optimizer = compose([recipe(), *overrides]).recipe.optimizer
        assert (optimizer.kind, optimizer.learning_rate) == ("sgd", 0.05)


def test_choosing_what_the_recipe_chose_drops_nothing(recipe):
    composed = compose([recipe(), "optimizer=adam"])
    assert composed.recipe.optimizer.betas == (0.8, 0.99) and composed.notes == ()


@pytest.mark.parametrize(
    ("section", "override", "kept", "lost"),
    [
        (
            "schedule: {name: cosine, final: 0.1}",
            "schedule=constant",
            lambda r: r.schedule.kind == "constant",
            "final=0.1",
        ),
        ("device: {name: cpu, threads: 2}", "device=cuda", lambda r: r.device.threads is None, "threads=2"),
        ("backend: {name: torch, eager: true}", "backend=tensorflow", lambda r: not r.backend.eager, "eager=true"),
        (
            "loss: {name: softmax_cross_entropy, label_smoothing: 0.1}",
            "loss=binary_cross_entropy",
            None,
            "label_smoothing=0.1",
        ),
        ("train: {epochs: 9, ema: 0.9}", "train=smoke", lambda r: r.train.epochs == 1, "epochs=9"),
    ],
)
def test_every_choice_drops_what_was_written_for_another(recipe, mistakes, section, override, kept, lost):
    text = PLAIN + section + "\n"
    if kept is None:  # ten classes are too many for it, which is found after the switch
        assert [e.code for e in mistakes(recipe(text), override)] == ["output-shape"]
        return
    composed = compose([recipe(text), override])
    assert kept(composed.recipe) and lost in composed.notes[0]


def test_a_dropped_field_that_keeps_its_value_is_not_worth_a_note(recipe):
    text = PLAIN + "backend: {name: torch, compile: false, eager: false}\n"
    assert compose([recipe(text), "backend=tensorflow"]).notes == ()


def test_another_source_drops_the_fields_of_the_first(folder, recipe):
    text = "data: {source: {name: npz, train: x.npz}}\nmodel: {layers: [flatten, dense]}\n"
    composed = compose([recipe(text), "data.source=digits"])
    assert composed.recipe.data.source.kind == "digits"
    assert (
        "`data.source=digits` replaces `npz`" in composed.notes[0]
        and "train=x.npz (small.yaml:1:28)" in composed.notes[0]
    )


@pytest.mark.parametrize("written", ["cuda:1", "{name: 'cuda:1'}", "{name: cuda, index: 1}"])
def test_a_device_with_its_index(recipe, written):
    device = compose([recipe(PLAIN + f"device: {written}\n")]).recipe.device
    assert (device.name, device.index) == ("cuda", 1)
    assert compose([recipe(PLAIN + f"device: {written}\n"), "device=cpu"]).recipe.device.index is None


def test_a_dry_run(recipe):
    train = compose([recipe()], smoke=True).recipe.train
    assert (train.epochs, train.limit_batches) == (1, 8)
    train = compose([recipe(), "train.epochs=2", "train.limit_batches=3"], smoke=True).recipe.train
    assert (train.epochs, train.limit_batches) == (2, 3)
    assert compose([recipe(), "data.validation=1000"], smoke=True).recipe.data.validation == 1000
    text = "data: {source: digits, validation: 900}\nmodel: {layers: [flatten, dense]}\n"
    composed = compose([recipe(text)], smoke=True)
    assert composed.recipe.data.validation == 256
    assert composed.origins["train.epochs"] == "command line `--smoke`"


def test_values_are_a_complete_recipe_that_reads_back_equal(recipe, folder):
    for text in (None, NESTED):
        given = recipe() if text is None else recipe(text)
        composed = compose([given, "seed=3", "output.root='${oc.env:HOME}x'", "train.clip_norm=1e-5"])
        saved = folder / "run" / "recipe.yaml"
        saved.parent.mkdir(exist_ok=True)
        saved.write_text(dump(composed.values), encoding="utf-8")
        again = compose([f"recipe={saved}"])
        assert again.recipe == composed.recipe
        assert again.values == composed.values
        assert again.recipe.name == "small"
        assert "default" not in again.origins.values()


def test_text_that_looks_like_something_else_survives(recipe, folder):
    for name in ("1e-3", "true", "null", "12", "a: b", "${seed}", "Überläufe", "#x"):
        composed = compose(
            [
                recipe(
                    f"name: '{name}'\n".replace("${", "\\${")
                    + "data: {source: digits}\nmodel: {layers: [flatten, dense]}\n"
                )
            ]
        )
        assert composed.recipe.name == name
        (folder / "again.yaml").write_text(dump(composed.values), encoding="utf-8")
        assert compose(["recipe=./again.yaml"]).recipe.name == name


def test_origins_say_where_each_value_was_written(recipe):
    composed = compose([recipe(), "optimizer=sgd", "seed=4", "model.layers.hidden.units=7"])
    origins = composed.origins
    assert origins["data.batch_size"] == "small.yaml:1"
    assert origins["model.layers[0].conv2d.filters"] == "small.yaml:4"
    assert origins["model.layers[4].dense.units"] == "command line `model.layers.hidden.units=7`"
    assert origins["optimizer.name"] == "command line `optimizer=sgd`"
    assert origins["optimizer.momentum"] == "default"
    assert origins["seed"] == "command line `seed=4`"
    assert origins["loss.name"] == "default of the task"
    assert origins["backend.name"].endswith("conf/backend/torch.yaml:2")
    assert set(origins.values()) >= {"default", "small.yaml:12"}
    assert composed.file == "small.yaml"


def test_task_defaults(recipe):
    composed = compose([recipe(PLAIN)])
    assert composed.recipe.loss.kind == "softmax_cross_entropy"
    assert [m.kind for m in composed.recipe.metrics] == ["accuracy"]
    assert composed.recipe.model.layers[-1].units is None  # filled in from the data
    assert composed.plan.graph.output.shape == (10,)


def test_values_of_the_data(recipe):
    layers = "[{reshape: {shape: ['${data.input_shape.0}', -1]}}, flatten, {dense: {units: '${data.classes}'}}]"
    text = f"data: {{source: digits}}\nmodel: {{layers: {layers}}}\n"
    composed = compose([recipe(text)])
    assert composed.recipe.model.layers[0].shape == (8, -1)
    assert composed.values["model"]["layers"][2]["dense"]["units"] == 10


def test_environment_variables(recipe, monkeypatch):
    monkeypatch.setenv("MY_SEED", "12")
    composed = compose([recipe(), "seed=${oc.env:MY_SEED}", "output.name=${oc.env:MY_SEED}"])
    assert (composed.recipe.seed, composed.recipe.output.name) == (12, "12")
    assert compose([recipe(), "output.root=${oc.env:NOT_SET_AT_ALL,fallback}"]).recipe.output.root == "fallback"


def test_composing_changes_nothing_that_is_shared(recipe):
    first = compose([recipe()])
    compose([recipe(), "optimizer=sgd", "train.epochs=9", "~model.layers.1"])
    again = compose([recipe()])
    assert dataclasses.asdict(first.recipe) == dataclasses.asdict(again.recipe)


def test_an_environment_variable_of_the_wrong_type(recipe, mistakes, monkeypatch):
    monkeypatch.setenv("MY_SEED", "twelve")
    (error,) = mistakes(recipe(), "seed=${oc.env:MY_SEED}")
    assert error.code == "wrong-type" and "`twelve`" in str(error)
