"""A run that makes pictures keeps them, goes on to the bit, and says that it evaluates and predicts nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.errors import DlrunError
from dlrun.run.checkpoint import load
from dlrun.run.evaluate import evaluate
from dlrun.run.predict import predict
from dlrun.run.samples import grid
from dlrun.run.train import train

RECIPE = """\
task: image_generation
data: {source: digits, batch_size: 50, validation: 100}
model: {name: dcgan, size: 16, noise: 6, filters: 4}
optimizer: {name: adam, learning_rate: 2e-3, betas: [0.5, 0.999]}
tracker: none
train:
  limit_batches: 4
  phases:
    - weights: "discriminator.*"
      loss:
        name: weighted_sum
        terms:
          - {loss: adversarial, output: score_real}
          - {loss: {name: adversarial, label: 0}, output: score_generated}
    - {weights: "generator.*", loss: adversarial, output: score_generated}
"""


def test_images_stand_in_rows() -> None:
    images = np.linspace(-2, 1, 5)[:, None, None, None] * np.ones((5, 2, 3, 1))
    whole = grid(images)
    assert whole.shape == (4, 9, 1) and whole.dtype == np.uint8
    assert (whole[:2, :3] == 0).all() and (whole[2:, 3:6] == 255).all() and (whole[2:, 6:] == 0).all()


def test_a_whole_run(tmp_path: Path) -> None:
    recipe = tmp_path / "gan.yaml"
    recipe.write_text(RECIPE)
    words = [f"recipe={recipe}", f"output.root={tmp_path}"]
    whole = train(compose([*words, "train.epochs=2", "output.name=whole"]))
    assert set(whole.metrics) >= {"train_loss"} and not any(k.startswith(("val_", "test_")) for k in whole.metrics)
    pictures = sorted((whole.directory / "samples").iterdir())
    assert [p.name for p in pictures] == ["epoch-0001.png", "epoch-0002.png"]
    assert pictures[0].read_bytes()[:4] == b"\x89PNG" and pictures[0].read_bytes() != pictures[1].read_bytes()

    once = train(compose([*words, "train.epochs=1", "output.name=parts"]))
    gone = train(compose([f"recipe={once.directory / 'recipe.yaml'}", "train.epochs=2"]), resume=once.directory)
    ours, theirs = (load(r.directory / "checkpoints" / "step-00000008").engine for r in (whole, gone))
    for name, value in ours.weights.items():
        np.testing.assert_array_equal(theirs.weights[name], value)
    assert (gone.directory / "samples" / "epoch-0002.png").read_bytes() == pictures[1].read_bytes()

    with pytest.raises(DlrunError, match=r"nothing-to-evaluate: .*`train\.phases`"):
        evaluate(whole.directory)
    with pytest.raises(DlrunError, match="nothing-to-predict: .* makes images out of noise"):
        predict(whole.directory, [pictures[0]])
