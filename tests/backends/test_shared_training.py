"""Shared weights together with all else that training does to weights; alike on both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlrun.backends import load_backend
from dlrun.backends.base import Engine, EngineState
from dlrun.errors import DlrunError
from dlrun.graph import Layer, TensorType
from dlrun.graph.layer import Weight
from dlrun.plan import Plan
from dlrun.registry import Registry

BACKENDS = ("torch", "tensorflow")
Specs = list[dict[str, Any]]


def dense(name: str, units: int = 4, **fields: Any) -> dict[str, Any]:
    return {"dense": {"name": name, "units": units, **fields}}


def norm(**fields: Any) -> dict[str, Any]:
    return {"batch_norm": fields}


def normed(first: dict[str, Any]) -> Specs:
    return [dense("a"), first, dense("b"), norm(name="again", share="n"), dense("c", 2)]


RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((24, 4)), RNG.standard_normal((24, 2))
HELD: dict[str, tuple[Specs, dict[str, Any]]] = {
    "dense": ([dense("a", trainable=False), dense("b", share="a"), dense("c", 2)], {}),
    "norm": (normed(norm(name="n", trainable=False)), {}),
    "norm-by-pattern": (normed(norm(name="n")), {"freeze": ("n.*",)}),
    "both-by-pattern": (normed(norm(name="n")), {"freeze": ("n.*", "a.*")}),
}


def trained(plan: Plan, steps: int = 3, first: int = 0, engine: Engine | None = None) -> tuple[np.ndarray, Engine]:
    engine = engine or load_backend(plan.recipe.backend.name).compile(plan)
    engine.attach(X, Y)
    return engine.train_resident(np.arange(24), first, first, np.full(steps, 0.1)), engine


@pytest.fixture
def plan(make_plan: Callable[..., Plan]) -> Callable[..., Plan]:
    def planned(backend: str, specs: Specs, **fields: Any) -> Plan:
        return make_plan(specs, (4,), target=(2,), backend={"name": backend}, **fields)

    return planned


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], atol: float = 1e-13) -> None:
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("case", HELD)
@pytest.mark.parametrize("ema", [None, 0.5])
def test_what_is_not_trained_stays_where_it_is_shared(case: str, ema: float | None, plan: Callable[..., Plan]) -> None:
    specs, model = HELD[case]
    engines, losses = {}, {}
    for backend in BACKENDS:
        made = plan(backend, specs, model=model, train={"ema": ema})
        held = [n for n, w in made.graph.weights() if n.startswith("n.") or (n.startswith("a.") and not w.trainable)]
        start = load_backend(backend).compile(made)
        before = start.state()
        rng = np.random.default_rng(1)  # as a checkpoint or pretrained weights would
        for name in held:
            before.weights[name] = before.weights[name] + rng.uniform(0.1, 0.3, before.weights[name].shape)
        start.restore(before)
        losses[backend], engines[backend] = trained(made, engine=start)
        after = start.state().weights
        for name in held:
            np.testing.assert_array_equal(after[name], before.weights[name])
    ours, theirs = (engines[b].state() for b in BACKENDS)
    np.testing.assert_allclose(losses["torch"], losses["tensorflow"], rtol=1e-13)
    assert_same(ours.weights, theirs.weights)
    assert_same(ours.ema, theirs.ema)
    np.testing.assert_allclose(engines["torch"].infer(X), engines["tensorflow"].infer(X), rtol=0, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_through_a_held_norm_that_is_shared_are_those_of_its_loss(
    backend: str, plan: Callable[..., Plan]
) -> None:
    made = plan(backend, HELD["norm"][0], batch_size=24)
    engine = load_backend(backend).compile(made)
    state, found = engine.state(), engine.gradients((X, Y), 0)["a.kernel"]
    losses = []
    for step in (1e-6, -1e-6):
        moved = {**state.weights, "a.kernel": state.weights["a.kernel"].copy()}
        moved["a.kernel"][0, 0] += step
        engine.restore(EngineState(moved))
        engine.attach(X, Y)
        losses.append(engine.train_resident(np.arange(24), 0, 0, np.zeros(1))[0])
    assert found[0, 0] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", ["live-norm", *HELD])
def test_a_moving_average_of_shared_weights_goes_on_to_the_bit(
    backend: str, case: str, plan: Callable[..., Plan]
) -> None:
    """Evaluation by the average is evaluation of a model that has the averages, before and after a restart."""
    specs, model = HELD.get(case, (normed(norm(name="n")), {}))
    made = plan(backend, specs, model=model, train={"ema": 0.5})
    whole, through = trained(made)
    begun, half = trained(made, 2)
    fresh = load_backend(backend).compile(made)
    fresh.restore(half.state())
    np.testing.assert_array_equal(fresh.infer(X), half.infer(X))
    ended, again = trained(made, 1, 2, fresh)
    np.testing.assert_array_equal(np.concatenate([begun, ended]), whole)
    np.testing.assert_array_equal(again.infer(X), through.infer(X))
    plain = load_backend(backend).compile(plan(backend, specs, model=model))
    plain.restore(EngineState(through.state().ema))
    np.testing.assert_allclose(plain.infer(X), through.infer(X), rtol=0, atol=1e-14)
    if case == "live-norm":  # running statistics are those of the trained weights
        state = through.state()
        np.testing.assert_array_equal(state.ema["n.mean"], state.weights["n.mean"])
        assert np.abs(state.weights["n.mean"]).max() > 0


@Registry("own")("half")
class Half(Layer):
    """A layer of one's own with a weight that it reads in some updates only."""

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        return Weight("used", (4,), "ones"), Weight("idle", (4,), "ones")

    def forward_torch(self, x: Any, used: Any, idle: Any) -> Any:
        return x * used * idle if len(x) == 4 else x * used

    def forward_tensorflow(self, x: Any, used: Any, idle: Any) -> Any:
        return x * used


def test_code_of_ones_own_may_leave_out_a_weight_in_any_update(make_plan: Callable[..., Plan]) -> None:
    """A batch of four reaches the idle weight, the others only decay it, whichever comes first."""
    for sizes in ((4, 8, 8), (8, 4, 8)):
        found = {}
        for backend in BACKENDS:
            optimizer = {"name": "sgd", "weight_decay": 0.5}
            specs: Any = [Half(name="h"), dense("c", 2)]
            made = make_plan(specs, (4,), target=(2,), optimizer=optimizer, backend={"name": backend})
            engine = load_backend(backend).compile(made)
            for step, size in enumerate(sizes):
                before = engine.state().weights["h.idle"]
                engine.train_streamed([(X[:size], Y[:size])], step, np.array([0.1]))
                found[backend, step] = (engine.state().weights["h.idle"], before)
        for (backend, step), (after, before) in found.items():
            decayed = np.allclose(after, before * 0.95, rtol=1e-14, atol=0)
            assert decayed == (backend == "tensorflow" or sizes[step] != 4), (backend, step)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("loss", "target", "labels", "named"),
    [
        ("ctc", (2,), [[1, 9]], "9"),
        ("ctc", (2,), [[1, 4]], "4"),
        ("softmax_cross_entropy", (6,), [[0, 1, 2, 3, 4, 0]], "4"),
        ("softmax_cross_entropy", (6,), [[0, 1, 2, 3, -1, 0]], "-1"),
        ({"name": "softmax_cross_entropy", "label_smoothing": 0.1}, (6,), [[0, 1, 2, 3, 7, 0]], "7"),
        ("softmax_focal", (6,), [[0, 1, 2, 3, 4, 0]], "4"),
        ("dice", (6,), [[0, 1, 2, 3, 4, 0]], "4"),
    ],
)
def test_an_id_that_the_output_has_not_is_refused(
    backend: str, loss: Any, target: tuple[int, ...], labels: list[list[int]], named: str, make_plan: Any
) -> None:
    made = make_plan(["relu", dense("last")], (6, 3), target=target, classes=4, loss=loss, backend={"name": backend})
    engine = load_backend(backend).compile(made)
    x, y = np.zeros((1, 6, 3)), np.array(labels)
    for give in (lambda: engine.attach(x, y), lambda: engine.train_streamed([(x, y)], 0, np.zeros(1))):
        with pytest.raises(DlrunError) as caught:
            give()
        assert caught.value.code == "label-out-of-range"
        assert f"`{named}`" in caught.value.message and "0 to 3" in caught.value.message
    assert np.isfinite(engine.train_streamed([(x, np.clip(y, 0, 3))], 0, np.zeros(1))).all()
