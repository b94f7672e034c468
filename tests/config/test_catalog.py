"""Where groups and recipes are found: the user's own first, by name and by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlrun.config import compose, recipes
from dlrun.config.resources import resource_dir

TEXT = "# A recipe of mine.\n# In two lines.\n\ndata: {source: digits}\nmodel: {layers: [flatten, dense]}\nseed: %d\n"


def write(path: Path, seed: int = 0, text: str = TEXT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("%d", str(seed)), encoding="utf-8")
    return path


def test_own_recipes_come_first(folder):
    assert compose(["recipe=digits"]).recipe.seed == 0
    write(folder / "recipes" / "digits.yaml", 1)
    assert compose(["recipe=digits"]).recipe.seed == 1
    assert compose([]).recipe.seed == 1
    for place, seed in (("mine/recipes", 2), ("mine/recipe", 3), ("mine", 4)):
        write(folder / place / "digits.yaml", seed)
        assert compose(["recipe=digits"], config_dir="mine").recipe.seed == seed
    assert compose(["recipe=digits"]).recipe.seed == 1


@pytest.mark.parametrize(
    "name",
    [
        "./other.yaml",
        "sub/other.yaml",
        "sub/other",
        "./a b (1), it's.yaml",
        "übung/größe.yaml",
        "x=y.yaml",
        "~/home.yaml",
    ],
)
def test_a_recipe_by_path(folder, monkeypatch, name):
    monkeypatch.setenv("HOME", str(folder / "home"))
    path = Path(name).expanduser()
    write(folder / (path if path.suffix else path.with_suffix(".yaml")), 5)
    composed = compose([f"recipe={name}"])
    assert composed.recipe.seed == 5 and composed.recipe.name == path.stem
    full = folder / path.with_suffix(".yaml")
    assert compose([f"recipe={full}"]).recipe == composed.recipe


def test_recipes_are_listed_with_what_they_say(folder):
    listed = {name: (path, description, header) for name, path, description, header in recipes()}
    assert set(listed) >= {"digits", "mnist", "mnist_mlp"}
    assert listed["mnist"][0].is_file()
    assert any(line.startswith("dlrun train") for line in listed["mnist"][2])
    assert listed["mnist"][1] and "dlrun train" not in listed["mnist"][1] and "schema" not in listed["mnist"][1]
    write(folder / "recipes" / "mine.yaml")
    write(folder / "lab" / "yours.yaml")
    listed = {name: description for name, _, description, _ in recipes("lab")}
    assert listed["mine"] == listed["yours"] == "A recipe of mine. In two lines."


def test_own_groups_come_first_and_add_options(folder):
    write(folder / "lab" / "optimizer" / "heavy.yaml", text="name: sgd\nmomentum: 0.95\nlearning_rate: 0.2\n")
    write(folder / "lab" / "optimizer" / "adam.yaml", text="name: adam\nepsilon: 1e-7\n")
    write(folder / "small.yaml")
    optimizer = compose(["recipe=./small.yaml", "optimizer=heavy"], config_dir="lab").recipe.optimizer
    assert (optimizer.kind, optimizer.momentum, optimizer.learning_rate) == ("sgd", 0.95, 0.2)
    composed = compose(["recipe=./small.yaml"], config_dir="lab")
    assert composed.recipe.optimizer.epsilon == 1e-7
    assert composed.origins["optimizer.epsilon"] == "lab/optimizer/adam.yaml:2"
    write(
        folder / "by_name.yaml",
        text="data: {source: digits}\nmodel: {layers: [flatten, dense]}\noptimizer: heavy\n",
    )
    assert compose(["recipe=./by_name.yaml"], config_dir="lab").recipe.optimizer.momentum == 0.95


def test_a_recipe_chooses_in_its_defaults_or_in_its_body(folder):
    body = "data: {source: digits}\nmodel: {layers: [flatten, dense]}\n"
    write(folder / "a.yaml", text="defaults:\n  - override /optimizer: sgd\n" + body + "optimizer: {momentum: 0.5}\n")
    write(folder / "b.yaml", text=body + "optimizer: {name: sgd, momentum: 0.5}\n")
    write(folder / "c.yaml", text=body + "optimizer: sgd\n")
    first, second, third = (compose([f"recipe=./{n}.yaml"]).recipe.optimizer for n in "abc")
    assert first == second and first.momentum == 0.5 and third.kind == "sgd"


def test_a_recipe_can_start_from_another(folder):
    write(
        folder / "recipes" / "mine.yaml",
        text="defaults: [digits]\ntrain: {epochs: 2}\noptimizer: {name: sgd, momentum: 0.5}\nseed: 9\n",
    )
    recipe = compose(["recipe=mine"]).recipe
    base = compose(["recipe=digits"]).recipe
    assert recipe.model == base.model and recipe.data == base.data and recipe.name == "mine"
    assert (recipe.train.epochs, recipe.seed, recipe.optimizer.kind) == (2, 9, "sgd")
    assert recipe.optimizer.learning_rate == 0.01  # adam's rate in the first recipe means nothing to sgd


def test_a_choice_is_inherited_with_its_options_file(folder):
    write(folder / "lab" / "optimizer" / "heavy.yaml", text="name: sgd\nmomentum: 0.95\n")
    write(folder / "lab" / "base.yaml", text=TEXT + "optimizer: {name: heavy, learning_rate: 0.3}\n")
    write(folder / "lab" / "child.yaml", text="defaults: [base]\nseed: 4\n")
    optimizer = compose(["recipe=child"], config_dir="lab").recipe.optimizer
    assert (optimizer.kind, optimizer.momentum, optimizer.learning_rate) == ("sgd", 0.95, 0.3)


def test_further_groups_of_the_user(folder):
    write(folder / "lab" / "experiment" / "long.yaml", text="# @package _global_\ntrain: {epochs: 50}\n")
    write(folder / "small.yaml")
    assert compose(["recipe=./small.yaml", "+experiment=long"], config_dir="lab").recipe.train.epochs == 50


def test_a_group_file_with_a_mistake_is_located(folder, mistakes):
    write(folder / "lab" / "optimizer" / "mine.yaml", text="name: sgd\nmomentun: 0.9\n")
    (error,) = mistakes("recipe=digits", "optimizer=mine", config_dir="lab")
    assert error.code == "unknown-key" and str(error.where) == "lab/optimizer/mine.yaml:2:1"
    assert "`momentum`?" in str(error)


def test_an_unknown_further_group(folder, mistakes):
    (folder / "lab" / "experiment").mkdir(parents=True)
    write(folder / "lab" / "experiment" / "long.yaml", text="seed: 1\n")
    (error,) = mistakes("recipe=digits", "experiment=long", config_dir="lab")
    assert error.code == "unknown-group" and "`+experiment=long`" in str(error)
    (error,) = mistakes("recipe=digits", "+experiment=longer", config_dir="lab")
    assert error.code == "unknown-experiment" and "`long`" in str(error)


def test_own_defaults_need_every_group(folder, mistakes):
    write(folder / "lab" / "config.yaml", text="defaults: [{optimizer: sgd}]\n")
    (error,) = mistakes("recipe=digits", config_dir="lab")
    assert error.code == "bad-defaults" and str(error.where) == "lab/config.yaml" and "`backend`" in str(error)
    own = (resource_dir("conf") / "config.yaml").read_text(encoding="utf-8")
    write(folder / "lab" / "config.yaml", text=own.replace("backend: torch", "backend: tensorflow"))
    assert compose(["recipe=digits"], config_dir="lab", check_installed=False).recipe.backend.name == "tensorflow"


def test_folders_without_options_are_no_groups(folder):
    (folder / "seed").mkdir()
    assert compose(["recipe=digits", "seed=3"], config_dir=".").recipe.seed == 3


def test_resources_are_there():
    assert (resource_dir("conf") / "config.yaml").is_file()
    assert (resource_dir("recipes") / "digits.yaml").is_file()


def test_every_option_of_every_group_composes():
    from dlrun.config.catalog import CHOICES, Catalog

    needed = {
        "step": "schedule.every_epochs=1",
        "multi_step": "schedule.milestones=[1,2]",
        "cosine_restarts": "schedule.period_epochs=1",
    }
    for group in CHOICES:
        for option in Catalog().options(group):
            extra = [needed[option]] if option in needed else []
            compose(["recipe=digits", f"{group}={option}", *extra], check_installed=False)
