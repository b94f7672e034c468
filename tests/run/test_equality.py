"""One recipe, two frameworks, the same training: measured on real MNIST, in one process."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dlrun.backends import load_backend
from dlrun.backends.base import EngineState
from dlrun.config import compose
from dlrun.data.feed import Feed
from dlrun.data.source import Place


def losses(recipe: str, backend: str, precision: str, steps: int, *extra: str, nudge: int | None = None) -> np.ndarray:
    """Losses of the first updates: the run's own engine, optimizer kernels and data path."""
    overrides = [f"recipe={recipe}", f"backend={backend}", f"precision={precision}", "train.portable_dropout=true"]
    plan = compose([*overrides, "device.threads=2", *extra]).plan
    engine, feed = load_backend(backend).compile(plan), Feed(plan, Place())
    if nudge is not None:
        engine.restore(EngineState(one_ulp_away(plan.initial_weights(), nudge)))
    engine.attach(feed.x, feed.y)
    recipe_ = plan.recipe
    rates = recipe_.schedule.rates(recipe_.optimizer.learning_rate, 0, steps, plan.total_steps, plan.steps_per_epoch)
    return engine.train_resident(feed.order(0), 0, 0, rates)


def one_ulp_away(weights: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Every weight moved to the next floating-point number, up or down at random.

    Zero stays: its neighbour is no rounding of it, and switches on every relu whose input is all zero.
    """
    rng = np.random.default_rng(seed)
    return {
        k: np.where(w == 0, w, np.nextafter(w, np.where(rng.random(w.shape) < 0.5, -np.inf, np.inf).astype(w.dtype)))
        for k, w in weights.items()
    }


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest relative difference up to each step."""
    return np.maximum.accumulate(np.abs(a - b) / np.abs(b))


@pytest.mark.parametrize("recipe", ["mnist", "mnist_mlp"])
def test_first_updates_are_equal(recipe: str, data_root: Path) -> None:
    double = apart(losses(recipe, "torch", "float64", 20), losses(recipe, "tensorflow", "float64", 20))
    single_torch = losses(recipe, "torch", "float32", 50)
    single = apart(losses(recipe, "tensorflow", "float32", 50), single_torch)
    noise = np.max([apart(losses(recipe, "torch", "float32", 50, nudge=s), single_torch) for s in range(3)], axis=0)
    print(
        f"\n{recipe}: float64 20 updates {double[-1]:.2e}; float32 10 updates {single[9]:.2e} (noise {noise[9]:.2e}), "
        f"50 updates {single[-1]:.2e} (noise {noise[-1]:.2e})"
    )
    assert double[-1] <= 1e-12
    assert single[9] <= max(1e-5, 10 * noise[9])
    assert single[-1] <= max(1e-3, 10 * noise[-1])


def train_to(plan_overrides: list[str], backend: str, state: EngineState | None, first: int, steps: int):
    plan = compose([*plan_overrides, f"backend={backend}"]).plan
    engine, feed = load_backend(backend).compile(plan), Feed(plan, Place())
    if state is not None:
        engine.restore(state)
    engine.attach(feed.x, feed.y)
    found, per_epoch = [], plan.steps_per_epoch
    while steps:
        epoch, position = divmod(first, per_epoch)
        n = min(steps, per_epoch - position)
        rates = plan.recipe.schedule.rates(plan.recipe.optimizer.learning_rate, first, n, plan.total_steps, per_epoch)
        found.append(engine.train_resident(feed.order(epoch), position, first, rates))
        first, steps = first + n, steps - n
    return np.concatenate(found), engine.state()


@pytest.mark.parametrize(("precision", "gate"), [("float64", 1e-10), ("float32", 1e-4)])
@pytest.mark.parametrize(("start", "other"), [("torch", "tensorflow"), ("tensorflow", "torch")])
def test_moving_between_frameworks(start: str, other: str, precision: str, gate: float, data_root: Path) -> None:
    recipe = ["recipe=mnist_mlp", f"precision={precision}", "train.portable_dropout=true", "schedule=constant"]
    recipe += ["device.threads=2", "train.epochs=2"]
    epoch = compose(recipe).plan.steps_per_epoch
    _, state = train_to(recipe, start, None, 0, epoch)
    stayed, _ = train_to(recipe, start, state, epoch, 100)
    moved, _ = train_to(recipe, other, state, epoch, 100)
    nudged = dataclasses.replace(state, weights=one_ulp_away(state.weights, 0))
    noise = apart(train_to(recipe, start, nudged, epoch, 100)[0], stayed)[-1]
    worst = apart(moved, stayed)[-1]
    print(f"\n{start} -> {other} {precision}: {worst:.2e} over 100 updates (noise {noise:.2e})")
    assert worst <= (gate if precision == "float64" else max(gate, 10 * noise))


def test_checkpoint_evaluates_alike_on_the_other_backend(data_root: Path) -> None:
    recipe = ["recipe=mnist_mlp", "device.threads=2"]
    _, state = train_to(recipe, "torch", None, 0, 430)
    outputs = {}
    for backend in ("torch", "tensorflow"):
        plan = compose([*recipe, f"backend={backend}"]).plan
        engine, feed = load_backend(backend).compile(plan), Feed(plan, Place())
        engine.restore(state)
        pairs = [(engine.infer(x), y) for x, y in feed.eval_batches("test")]
        outputs[backend] = np.concatenate([o for o, _ in pairs])
        labels = np.concatenate([y for _, y in pairs])
    a, b = outputs["torch"], outputs["tensorflow"]
    scale = np.abs(a).max()
    assert np.abs(a - b).max() <= 5e-6 * scale
    top = np.sort(a, axis=1)
    clear = (top[:, -1] - top[:, -2]) > 5e-6 * scale
    assert (a.argmax(1) == b.argmax(1))[clear].all()
    assert (a.argmax(1) == labels).mean() == (b.argmax(1) == labels).mean()
