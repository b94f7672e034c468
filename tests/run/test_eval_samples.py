"""The samples that a run held out stay those that it is validated on."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.errors import DlrunError
from dlrun.run.evaluate import evaluate
from dlrun.run.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("outputs")
    return train(compose(["recipe=digits", "train.epochs=1", "tracker=none", f"output.root={root}"])).directory


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("override", ["seed=2", "data.validation=1400", "data.validation=0.2"])
def test_another_draw_is_refused(run: Path, split: str, override: str) -> None:
    with pytest.raises(DlrunError) as caught:
        evaluate(run, split=split, overrides=[override])
    key, _, value = override.partition("=")
    assert caught.value.code == "split-changed" and caught.value.exit_code == 2
    assert f"`{key}` is `{value}`, but was `{'0' if key == 'seed' else '0.1'}` in the run" in str(caught.value)


def test_what_draws_alike_is_not(run: Path) -> None:
    expected = evaluate(run, split="validation")
    found = evaluate(run, split="validation", overrides=["seed=0", "data.validation=0.1", "data.eval_batch_size=7"])
    assert found.samples == expected.samples == 150
    assert found.metrics["accuracy"] == expected.metrics["accuracy"]
    assert evaluate(run, overrides=["seed=2", "data.validation=0"]).samples == 297


def test_other_samples_are_refused_but_may_have_moved(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.savez(tmp_path / "t.npz", x=x, y=y)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "task: classification\n"
        "data:\n  batch_size: 8\n  validation: 10\n"
        f"  source: {{name: npz, train: {tmp_path}/a.npz, test: {tmp_path}/t.npz}}\n"
        "model: {layers: [dense]}\n"
        f"output: {{root: {tmp_path}/outputs}}\n"
    )
    found = train(compose([f"recipe={recipe}", "tracker=none"])).directory
    expected = evaluate(found, split="validation").metrics
    shutil.move(tmp_path / "a.npz", tmp_path / "moved.npz")
    moved = f"data.source.train={tmp_path}/moved.npz"
    assert evaluate(found, split="validation", overrides=[moved]).metrics == expected
    np.savez(tmp_path / "b.npz", x=x[::-1], y=y)
    other = f"data.source.train={tmp_path}/b.npz"
    with pytest.raises(DlrunError, match="does not hold the samples") as caught:
        evaluate(found, split="validation", overrides=[other])
    assert caught.value.code == "split-changed"
    assert evaluate(found, overrides=[other]).samples == 40
