"""Bare words and overrides, in any order."""

from __future__ import annotations

import pytest

from dlrun.cli.arguments import is_override, one_target, take, with_recipe
from dlrun.errors import DlrunError


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("train.epochs=3", True),
        ("hydra/launcher=joblib", True),
        ("+x=1", True),
        ("~train.ema", True),
        ("mnist", False),
        ("./a=b.yaml", False),
        ("/tmp/a=b/r.yaml", False),
        ("~/r.yaml", False),
        ("image.png", False),
    ],
)
def test_what_is_an_override(word, expected):
    assert is_override(word) is expected


def test_the_recipe_may_stand_anywhere():
    assert with_recipe(["train.epochs=3", "mnist", "seed=1"]) == ["recipe=mnist", "train.epochs=3", "seed=1"]
    assert with_recipe(None) == []


def test_a_run_directory_stands_for_its_recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_text("task: x\n")
    assert with_recipe([str(tmp_path)]) == [f"recipe={tmp_path}/recipe.yaml"]


def test_one_target_and_take():
    run, words = one_target("split=test", ["outputs/x", "backend=torch"], "eval")
    assert run == "outputs/x"
    assert take(words, "split") == ("test", ["backend=torch"])
    with pytest.raises(DlrunError, match="already `a`"):
        one_target("a", ["b"], "eval")
