"""Small plans for backend tests, made directly from the typed recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlrun.data.source import Place, Signature, Source
from dlrun.graph import Layer, LayerList, TensorType, layers
from dlrun.losses import losses
from dlrun.optimizers import optimizers
from dlrun.plan import Plan
from dlrun.recipe import BackendChoice, Data, Device, Recipe, Train
from dlrun.registry import Registry
from dlrun.resolve import resolve
from dlrun.schedules import schedules

PlanMaker = Callable[..., Plan]
_toys: Registry[Source] = Registry("toy")


@_toys("toy")
class Toy(Source):
    """Samples that exist only as a signature; tests draw the arrays themselves."""

    input: tuple[int, ...]
    target: tuple[int, ...]
    classes: int | None
    samples: int

    def signature(self, place: Place) -> Signature:
        target = TensorType(self.target, "float" if self.classes is None else "int")
        return Signature(
            TensorType(self.input), target, self.classes, None, {"train": self.samples}, stored_dtype="float32"
        )


def _layer(spec: str | Layer | dict[str, Any]) -> Layer:
    if isinstance(spec, Layer):
        return spec
    kind, fields = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    nested = {k: tuple(map(_layer, v)) if k in ("layers", "shortcut") else v for k, v in fields.items()}
    return layers.get(kind)(**nested)


def plan_of(
    specs: list[str | Layer | dict[str, Any]],
    input: tuple[int, ...],
    *,
    target: tuple[int, ...] = (),
    classes: int | None = None,
    samples: int = 24,
    batch_size: int = 8,
    loss: str | dict[str, Any] | None = None,
    optimizer: str | dict[str, Any] = "sgd",
    precision: str = "float64",
    seed: int = 3,
    train: dict[str, Any] | None = None,
    backend: dict[str, Any] | None = None,
    device: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
) -> Plan:
    """A plan from layers, losses and optimizers written as a recipe writes them."""

    def pick(registry: Registry[Any], choice: str | dict[str, Any]) -> Any:
        fields = {"name": choice} if isinstance(choice, str) else dict(choice)
        return registry.get(fields.pop("name"))(**fields)

    task = "regression" if classes is None else "classification"
    recipe = Recipe(
        name="toy",
        task=task,
        data=Data(source=Toy(input=input, target=target, classes=classes, samples=samples), batch_size=batch_size),
        model=LayerList(layers=tuple(map(_layer, specs)), **(model or {})),
        loss=pick(losses, loss or ("mse" if classes is None else "softmax_cross_entropy")),
        metrics=(),
        optimizer=pick(optimizers, optimizer),
        schedule=schedules.get("constant")(),
        train=Train(**(train or {})),
        backend=BackendChoice(**(backend or {})),
        device=Device(**{"name": "cpu", **(device or {})}),
        precision=precision,
        seed=seed,
    )
    return resolve(recipe)


@pytest.fixture(scope="session")
def make_plan() -> PlanMaker:
    """Builds a plan: see ``plan_of``."""
    return plan_of


@pytest.fixture(scope="session")
def draw() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Draws (x, y) for a plan: normal samples, uniform class ids or normal targets."""

    def samples_for(plan: Plan, n: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng, s = np.random.default_rng(seed), plan.signature
        n = n or plan.train_samples
        x = rng.standard_normal((n, *s.input.shape)).astype(plan.array_dtype)
        if s.classes is not None:
            return x, rng.integers(0, s.classes, (n, *s.target.shape))
        return x, rng.standard_normal((n, *s.target.shape)).astype(np.float32)

    return samples_for
