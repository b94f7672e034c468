"""What is wrong with phases is said with its place, all at once; nothing here loads a framework."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlrun.config import compose
from dlrun.errors import DlrunErrors, dotted

HEAD = """\
task: image_generation
data: {source: digits, batch_size: 32}
model: {name: dcgan, size: 8, noise: 6, filters: 4}
optimizer: adam
"""
BOTH = """\
train:
  phases:
    - weights: "discriminator.*"
      loss: {name: weighted_sum, terms: [{loss: adversarial, output: score_real}]}
    - {weights: "generator.*", loss: adversarial, output: score_generated}
"""


def mistakes(tmp_path: Path, text: str) -> set[tuple[str, str]]:
    recipe = tmp_path / "gan.yaml"
    recipe.write_text(text)
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={recipe}"])
    for error in caught.value.errors:
        assert error.where is None or error.where.line > 0
    return {(error.code, dotted(error.path)) for error in caught.value.errors}


CASES = [
    (HEAD, {("missing-key", "loss")}),
    (HEAD + "loss: mse\n" + BOTH, {("contradiction", "loss")}),
    (HEAD + "precision: float16\n" + BOTH, {("contradiction", "precision")}),
    (
        HEAD + BOTH.replace('"generator', '"generater'),
        {("unmatched-pattern", "train.phases[1].weights"), ("untrained-weights", "train.phases")},
    ),
    (
        HEAD + BOTH.replace("output: score_real", "output: score"),
        {("unknown-output", "train.phases[0].loss.terms[0].output")},
    ),
    (HEAD + BOTH.replace("output: score_generated", "output: score"), {("unknown-output", "train.phases[1].output")}),
    (HEAD + BOTH.replace("score_generated", "score_real"), {("unread-output", "train.phases")}),
    (
        HEAD + BOTH.replace("terms: [", "terms: [{loss: mse}, "),
        {("output-shape", "train.phases[0].loss.terms[0].loss")},
    ),
    (HEAD.replace("4}", "4, freeze: ['generator.*']}") + BOTH, {("nothing-to-train", "train.phases[1].weights")}),
    (HEAD + BOTH + "  monitor: loss\n", {("contradiction", "train.monitor")}),
    (HEAD.replace("size: 8", "size: 12") + BOTH, {("wrong-size", "model.size")}),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_mistakes_are_located(text: str, expected: set[tuple[str, str]], tmp_path: Path) -> None:
    assert mistakes(tmp_path, text) == expected


def test_a_sum_names_its_outputs_itself(tmp_path: Path) -> None:
    text = HEAD + BOTH.replace("output: score_real}]}", "output: score_real}]}\n      output: score_real")
    assert mistakes(tmp_path, text) == {("contradiction", "train.phases[0].output")}


def test_nothing_is_wrong_with_this(tmp_path: Path) -> None:
    recipe = tmp_path / "gan.yaml"
    recipe.write_text(HEAD + BOTH)
    plan = compose([f"recipe={recipe}"]).plan
    assert plan.recipe.loss is None and plan.outputs[1:] == ("score_real", "score_generated")
    discriminator, generator = plan.recipe.train.phases
    assert discriminator.reads(plan.outputs) == (1,) and generator.reads(plan.outputs) == (2,)
