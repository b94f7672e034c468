"""Trains the first updates of a recipe one by one and keeps what each layer did in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dlrun.backends.base import EngineState
from dlrun.compare.steps import Recording, Step
from dlrun.compare.training import Training
from dlrun.plan import Plan
from dlrun.randomness import stream

Tell = Callable[[str, int, int], None]
"""Told what is being done, how many updates of it are done, and how many there are."""
_AT_ONCE = 8


def record(plan: Plan, recording: Recording, steps: int, seeds: int, tell: Tell) -> None:
    """Record a training, then repeat its losses from neighbouring weights.

    Args:
        plan: The resolved recipe.
        recording: What to fill.
        steps: Updates.
        seeds: Repetitions.
        tell: Told how far it is.
    """
    training = Training(plan)
    engine = training.engine
    recording.write(Step(0, weights=engine.state().weights))
    losses: list[float] = []
    made = training.run(0, steps, 1)
    for step in range(steps):
        batch = training.batch(step)
        outputs = engine.outputs(batch, step) if step == 0 else {}
        gradients = engine.gradients(batch, step)
        losses += next(made).tolist()
        recording.write(Step(step + 1, outputs=outputs, gradients=gradients, weights=engine.state().weights))
        tell("updates", step + 1, steps)
    noise = [_repeat(training, steps, seed, seeds, tell) for seed in range(seeds)]
    recording.finish(losses, noise)


def _repeat(training: Training, steps: int, seed: int, seeds: int, tell: Tell) -> list[float]:
    training.engine.restore(EngineState(neighbours(training.plan, training.weights, seed)))
    losses: list[float] = []
    for found in training.run(0, steps, _AT_ONCE):
        losses += found.tolist()
        tell("noise", seed * steps + len(losses), seeds * steps)
    return losses


def neighbours(plan: Plan, weights: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """The weights, each trainable one moved to the next floating-point number, up or down at random.

    Zeros stay: their next number is smaller than any rounding, and yet could switch a relu on whose
    inputs are all zero, as on the empty border of an image.
    """
    trainable = {name for name, w in plan.graph.weights() if w.trainable}
    return {name: _moved(w, plan.recipe.seed, seed, name) if name in trainable else w for name, w in weights.items()}


def _moved(w: np.ndarray, seed: int, repetition: int, name: str) -> np.ndarray:
    up = stream(seed, "neighbour", repetition, name).random(w.shape) < 0.5
    moved = np.nextafter(w, np.where(up, np.inf, -np.inf).astype(w.dtype))
    return np.where(w == 0, w, moved)
