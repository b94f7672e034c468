"""What a recipe's `defaults` choose wins over what it inherits, and says what that drops."""

from __future__ import annotations

import pytest

from dlrun.config import compose

BASE = "data: {source: digits}\nmodel: {layers: [flatten, dense]}\n"


@pytest.fixture
def compose_child(recipe):
    """Compose the last of some recipes in `recipes`, by name."""

    def run(*words, **texts):
        for name, text in texts.items():
            recipe(text, f"recipes/{name}.yaml")
        return compose([f"recipe={list(texts)[-1]}", *words])

    return run


def test_an_override_wins_over_an_inherited_section(compose_child):
    composed = compose_child(
        base=BASE + "optimizer: {name: adam, learning_rate: 0.5, betas: [0.7, 0.8]}\n",
        child="defaults: [base, {override /optimizer: sgd}]\n",
    )
    assert composed.recipe.optimizer.kind == "sgd" and composed.recipe.optimizer.learning_rate != 0.5
    (note,) = composed.notes
    assert "`override /optimizer: sgd` replaces `adam`" in note
    assert "learning_rate=0.5 (recipes/base.yaml:3:" in note and "betas=[0.7, 0.8]" in note


def test_an_override_of_the_same_option_keeps_what_is_inherited(compose_child):
    composed = compose_child(
        base=BASE + "optimizer: {learning_rate: 0.5}\n", child="defaults: [base, {override /optimizer: adam}]\n"
    )
    assert (composed.recipe.optimizer.kind, composed.recipe.optimizer.learning_rate) == ("adam", 0.5)
    assert composed.notes == ()


def test_an_override_drops_fields_written_for_the_default(compose_child):
    composed = compose_child(
        base=BASE + "optimizer: {betas: [0.7, 0.8]}\n", child="defaults: [base, {override /optimizer: sgd}]\n"
    )
    assert composed.recipe.optimizer.kind == "sgd" and "`adam`" in composed.notes[0]


def test_fields_beside_an_override_stay(compose_child):
    composed = compose_child(
        base=BASE + "optimizer: {name: adam, learning_rate: 0.5}\n",
        child="defaults: [base, {override /optimizer: sgd}]\noptimizer: {momentum: 0.9}\n",
    )
    assert (composed.recipe.optimizer.kind, composed.recipe.optimizer.momentum) == ("sgd", 0.9)


def test_the_nearest_recipe_decides(compose_child):
    texts = {
        "base": BASE + "optimizer: {name: adam, learning_rate: 0.5}\n",
        "middle": "defaults: [base, {override /optimizer: sgd}]\n",
    }
    assert compose_child(**texts, child="defaults: [middle]\n").recipe.optimizer.kind == "sgd"
    named = compose_child(**texts, child="defaults: [middle]\noptimizer: {name: adamw}\n")
    assert named.recipe.optimizer.kind == "adamw"
    again = compose_child(**texts, child="defaults: [middle, {override /optimizer: lion}]\n")
    assert again.recipe.optimizer.kind == "lion"
    over = compose_child("optimizer=rmsprop", **texts, child="defaults: [middle]\n")
    assert over.recipe.optimizer.kind == "rmsprop"


def test_other_groups_too(compose_child):
    composed = compose_child(
        base=BASE + "train: {epochs: 7, clip_norm: 1}\ndevice: {name: cuda, threads: 2}\nschedule: cosine\n",
        child="defaults: [base, {override /train: smoke}, {override /device: cpu}, {override /schedule: constant}]\n",
    )
    recipe = composed.recipe
    assert (recipe.train.epochs, recipe.train.clip_norm) == (1, None)
    assert (recipe.device.name, recipe.device.threads, recipe.schedule.kind) == ("cpu", None, "constant")
    assert any("clip_norm=1" in note for note in composed.notes) and any("threads=2" in n for n in composed.notes)


@pytest.mark.parametrize("option", ["[sgd, adamw]", "null", "3", "{a: 1}", "[]"])
def test_a_group_of_one_option_takes_no_other(recipe, mistakes, option):
    (error,) = mistakes(recipe(f"defaults: [digits, {{override /optimizer: {option}}}]\n"))
    assert error.code == "bad-defaults" and "takes the name of one option" in error.message
    assert str(error.where) == "small.yaml:1:20"


def test_a_recipe_is_not_inherited_by_override(recipe, mistakes):
    (error,) = mistakes(recipe("defaults: [digits, {override /recipe: mnist}]\n"))
    assert error.code == "bad-defaults" and "- mnist" in str(error)


@pytest.mark.parametrize(
    "texts", [{"a": "a"}, {"a": "b", "b": "a"}, {"mnist": "mnist"}, {"a": "b", "b": "c", "c": "b"}], ids=str
)
def test_a_recipe_cannot_inherit_from_itself(recipe, mistakes, texts):
    for name, inherited in texts.items():
        recipe(f"defaults: [{inherited}]\n", f"recipes/{name}.yaml")
    (error,) = mistakes(f"recipe={next(iter(texts))}")
    assert error.code == "bad-defaults" and "inherits from itself" in error.message
    assert error.where.line == 1 and error.where.file.startswith("recipes/")


def test_a_group_cannot_inherit_from_itself(recipe, mistakes, folder):
    recipe("defaults: [mine]\nname: sgd\n", "lab/optimizer/mine.yaml")
    (error,) = mistakes("recipe=digits", "optimizer=mine", config_dir="lab")
    assert error.code == "bad-defaults" and "inherits from itself" in error.message


def test_two_recipes_may_inherit_from_one(compose_child):
    composed = compose_child(
        base=BASE, left="defaults: [base]\n", right="defaults: [base]\nseed: 3\n", child="defaults: [left, right]\n"
    )
    assert composed.recipe.seed == 3


@pytest.mark.parametrize(
    ("section", "code", "told"),
    [
        ("3", "wrong-type", "`hydra` must be a mapping"),
        ("{run: {dri: x}}", "unknown-key", "`dri` is not a setting of `hydra.run`"),
        ("{nonsense: 3}", "unknown-key", "`nonsense`"),
        ("{job: {chdir: [1]}}", "wrong-type", "`hydra.job.chdir`"),
        ("{sweep: 3}", "wrong-type", "`hydra.sweep`"),
    ],
)
def test_settings_of_hydra_in_a_recipe_are_checked(recipe, mistakes, section, code, told):
    (error,) = mistakes(recipe(BASE + f"hydra: {section}\n"))
    assert error.code == code and told in str(error) and str(error.where).startswith("small.yaml:3:")


def test_right_settings_of_hydra_stay(recipe):
    text = "hydra: {sweep: {dir: 'x/${now:%Y}'}, job: {chdir: false}, sweeper: {params: {seed: '1,2'}}, verbose: [a]}\n"
    assert compose([recipe(BASE + text)]).recipe.name == "small"


@pytest.mark.parametrize(
    ("entry", "code", "told"),
    [
        ("override /hydra/launcher: jobli", "unknown-launcher", "`joblib`"),
        ("override /hydra/lancher: joblib", "unknown-group", "`hydra/lancher`"),
        ("/hydra/launcher: joblib", "bad-defaults", "- override /hydra/launcher: joblib"),
    ],
)
def test_groups_of_hydra_in_defaults_are_checked(recipe, mistakes, entry, code, told):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (error,) = mistakes(recipe(f"defaults: [digits, {{{entry}}}]\n"))
    assert error.code == code and told in str(error)
    assert str(error.where) == "small.yaml:1:20"


def test_a_recipe_can_choose_its_launcher(recipe):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    assert compose([recipe("defaults: [digits, {override /hydra/launcher: joblib}]\n")]).recipe.name == "small"
