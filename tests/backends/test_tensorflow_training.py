"""TensorFlow's updates against numpy: losses, micro-batches, clipping, averages, dropout, formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

# Imports below it (E402): without TensorFlow they fail, and dlrun sets up Keras before TensorFlow comes in.
from dlrun.backends.tensorflow import BACKEND  # noqa: E402
from dlrun.backends.tensorflow.dropout import portable_keep  # noqa: E402

import tensorflow as tf  # noqa: E402  # isort: skip

from dlrun.backends.base import EngineState  # noqa: E402
from dlrun.errors import DlrunError, RunError  # noqa: E402
from dlrun.plan import Plan  # noqa: E402
from dlrun.randomness import derive, keep_mask, step_key  # noqa: E402

MakePlan = Callable[..., Plan]
Draw = Callable[..., tuple[np.ndarray, np.ndarray]]


def test_a_batch_without_weight_costs_nothing(make_plan: MakePlan) -> None:
    loss = {"name": "softmax_cross_entropy", "class_weights": (0.0, 0.0, 1.0)}
    for micro_batches in (1, 2):
        plan = make_plan([{"dense": {"units": 3}}], (4,), classes=3, loss=loss, train={"micro_batches": micro_batches})
        engine = BACKEND.compile(plan)
        before = engine.state().weights
        x = np.ones((8, 4))
        assert engine.train_streamed([(x, np.zeros(8, np.int64))], 0, np.array([0.1])) == [0.0]
        np.testing.assert_array_equal(engine.state().weights["dense_1.kernel"], before["dense_1.kernel"])


def trained(plan: Plan, draw: Draw, steps: int = 3, seed: int = 0) -> tuple[np.ndarray, EngineState]:
    """Losses and state after the first updates of epoch 0."""
    engine = BACKEND.compile(plan)
    engine.attach(*draw(plan, seed=seed))
    order = np.random.default_rng(9).permutation(plan.train_samples)
    return engine.train_resident(order, 0, 0, np.full(steps, 0.05)), engine.state()


MLP: list[Any] = [{"dense": {"units": 6, "activation": "tanh"}}, {"dropout": {"rate": 0.4}}, "dense"]
CNN: list[Any] = [
    {"conv2d": {"filters": 3, "kernel": 3, "padding": "same"}},
    "batch_norm",
    "relu",
    {"max_pool2d": {"size": 2}},
    "flatten",
    {"dropout": {"rate": 0.3}},
    "dense",
]


@pytest.mark.parametrize(
    "loss", ["softmax_cross_entropy", {"name": "softmax_cross_entropy", "class_weights": (0.2, 1.0, 3.0)}], ids=str
)
@pytest.mark.parametrize("parts", [2, 3, 8])
def test_micro_batches_add_up(parts: int, loss: Any, make_plan: MakePlan, draw: Draw) -> None:
    """Dropout included: with portable masks the parts see the pieces of the whole batch's mask."""
    found = []
    for micro_batches in (1, parts):
        train = {"micro_batches": micro_batches, "portable_dropout": True, "clip_norm": 0.05}
        plan = make_plan(MLP, (5,), classes=3, samples=18, loss=loss, optimizer="adam", train=train)  # batches 8, 8, 2
        found.append(trained(plan, draw))
    (whole, state), (split, other) = found
    np.testing.assert_allclose(split, whole, rtol=1e-13)
    for name, w in state.weights.items():
        np.testing.assert_allclose(other.weights[name], w, rtol=0, atol=1e-13)


def numpy_gradients(plan: Plan, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Gradients of the mean squared error of one dense layer."""
    w = plan.initial_weights()
    error = 2 * (x @ w["dense_1.kernel"] + w["dense_1.bias"] - y) / y.size
    return {"dense_1.kernel": x.T @ error, "dense_1.bias": error.sum(0)}


@pytest.mark.parametrize("value", [None, 0.05])
@pytest.mark.parametrize("norm", [None, 0.1, 1e6])
def test_clipping_goes_by_value_then_norm_then_decay(
    value: float | None, norm: float | None, make_plan: MakePlan, draw: Draw
) -> None:
    sgd = {"name": "sgd", "weight_decay": 0.1}
    train = {"clip_value": value, "clip_norm": norm}
    plan = make_plan([{"dense": {"units": 2}}], (3,), target=(2,), samples=8, optimizer=sgd, train=train)
    x, y = draw(plan)
    expected = numpy_gradients(plan, x, y)
    if value is not None:
        expected = {n: np.clip(g, -value, value) for n, g in expected.items()}
    if norm is not None:
        total = np.sqrt(sum((g**2).sum() for g in expected.values()))
        expected = {n: g * min(1, norm / (total + 1e-6)) for n, g in expected.items()}
    engine = BACKEND.compile(plan)
    engine.train_streamed([(x, y)], 0, np.array([0.5]))
    after = engine.state().weights
    for name, w in plan.initial_weights().items():
        np.testing.assert_allclose(after[name], w - 0.5 * (expected[name] + 0.1 * w), rtol=1e-13)


def test_moving_average(make_plan: MakePlan, draw: Draw) -> None:
    plan = make_plan(CNN, (4, 4, 2), classes=3, optimizer="adam", train={"ema": 0.8})
    x, y = draw(plan)
    engine = BACKEND.compile(plan)
    engine.attach(x, y)
    assert engine.state().ema == {}
    plain = engine.infer(x[:4])
    order, average = np.arange(len(x)), {}
    for step in range(3):
        engine.train_resident(order, step, step, np.array([0.05]))
        state = engine.state()
        for name, weight in plan.graph.weights():
            now = state.weights[name]
            if not weight.trainable or step == 0:
                average[name] = now
            else:
                average[name] = 0.8 * average[name] + 0.2 * now
        assert list(state.ema) == list(state.weights)
        for name, mean in average.items():
            np.testing.assert_allclose(state.ema[name], mean, rtol=1e-13, atol=1e-15)
    other = BACKEND.compile(make_plan(CNN, (4, 4, 2), classes=3))
    other.restore(EngineState(average))
    np.testing.assert_allclose(engine.infer(x[:4]), other.infer(x[:4]), rtol=1e-12)
    assert np.abs(engine.infer(x[:4]) - plain).max() > 1e-3
    engine.restore(EngineState(engine.state().weights))
    assert engine.state().ema == {}


@pytest.mark.parametrize("offset", [0, 1000, 2**32 - 5])
def test_portable_masks_have_the_promised_bits(offset: int) -> None:
    key = step_key(derive(3, "dropout", "block.dropout_1"), 7)
    found = portable_keep(tf.constant(key, tf.uint64), tf.constant(offset, tf.int64), tf.constant([5, 7, 3]), 0.3)
    np.testing.assert_array_equal(found.numpy(), keep_mask(key, (5, 7, 3), 0.3, offset))


@pytest.mark.parametrize("parts", [1, 3])
def test_portable_dropout_in_training_is_the_reference(parts: int, make_plan: MakePlan) -> None:
    """Sums of a batch's outputs tell which elements were kept."""
    specs = [{"dropout": {"rate": 0.25}}, {"dense": {"units": 4, "bias": False}}]
    train = {"portable_dropout": True, "micro_batches": parts}
    plan = make_plan(specs, (4,), target=(4,), samples=8, train=train)
    engine = BACKEND.compile(plan)
    engine.restore(EngineState({"dense_1.kernel": np.eye(4)}))
    x = np.random.default_rng(0).standard_normal((8, 4))
    key = step_key(derive(plan.recipe.seed, "dropout", "dropout_1"), 5)
    kept = x * keep_mask(key, (8, 4), 0.25) / 0.75
    found = engine.train_streamed([(x, np.zeros((8, 4)))], 5, np.array([0.1]))
    assert found[0] == pytest.approx((kept**2).mean(), rel=1e-13)
    np.testing.assert_allclose(engine.infer(x), x @ engine.state().weights["dense_1.kernel"])


def test_native_dropout_is_keyed_by_layer_step_and_part(make_plan: MakePlan) -> None:
    specs = [{"dropout": {"rate": 0.5}}, {"dropout": {"rate": 0.5}}, {"dense": {"units": 64, "bias": False}}]
    plan = make_plan(specs, (64,), target=(64,), samples=8, train={"micro_batches": 2}, batch_size=2)
    network = BACKEND.compile(plan)._network
    masks = {}
    x = tf.ones((1, 64), tf.float64)
    for keys, part in (((1, 2), 0), ((1, 2), 1), ((2, 1), 0), ((3, 2), 0), ((1, 2), 0)):
        with network.draws.at(tf.constant(keys, tf.uint64), part, part):
            first, second = (network.model.layers[i](x, training=True).numpy() for i in (1, 2))
        assert set(np.unique(first)) == {0.0, 2.0} and 0.2 < (first > 0).mean() < 0.8
        assert (first != second).any()
        np.testing.assert_array_equal(first, masks.get((keys, part), first))
        masks[keys, part] = first
    assert len({mask.tobytes() for mask in masks.values()}) == 4


@pytest.mark.parametrize("specs", [MLP, CNN], ids=["mlp", "cnn"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float32"])
def test_low_precision_trains(precision: str, specs: list[Any], make_plan: MakePlan, draw: Draw) -> None:
    plan = make_plan(
        specs, (5,) if specs is MLP else (6, 6, 2), classes=3, precision=precision, optimizer="adam", samples=16
    )
    engine = BACKEND.compile(plan)
    x, y = draw(plan)
    engine.attach(x, y)
    order = np.arange(16)
    found = np.concatenate([engine.train_resident(order, 0, 2 * e, np.full(2, 0.03)) for e in range(40)])
    assert found[-8:].mean() < 0.6 * found[:4].mean()
    assert {w.dtype.name for w in engine.state().weights.values()} == {"float32"}
    assert engine.infer(x).dtype == np.float32


def test_loss_scale_skips_an_overflow_and_grows_after_clean_steps(make_plan: MakePlan, draw: Draw) -> None:
    train = {"ema": 0.5, "micro_batches": 2}
    plan = make_plan(
        [{"dense": {"units": 2}}], (3,), target=(2,), precision="float16", optimizer="rmsprop", train=train
    )
    engine = BACKEND.compile(plan)
    batch, rate = draw(plan, n=8), np.array([0.01])
    assert engine.state().scalars == {"loss_scale": 65536.0, "clean_steps": 0.0}
    start = engine.state().weights

    engine.restore(EngineState(start, scalars={"loss_scale": 2.0**40, "clean_steps": 7}))
    engine.train_streamed([batch], 0, rate)
    skipped = engine.state()
    assert skipped.scalars == {"loss_scale": 2.0**39, "clean_steps": 0.0}
    assert skipped.ema == {}
    for name, w in start.items():
        np.testing.assert_array_equal(skipped.weights[name], w)

    engine.restore(EngineState(start, scalars={"loss_scale": 8.0, "clean_steps": 1998}))
    engine.train_streamed([batch], 1, rate)
    assert engine.state().scalars == {"loss_scale": 8.0, "clean_steps": 1999.0}
    engine.train_streamed([batch], 2, rate)
    assert engine.state().scalars == {"loss_scale": 16.0, "clean_steps": 0.0}
    assert np.abs(engine.state().weights["dense_1.kernel"] - start["dense_1.kernel"]).max() > 1e-3


@pytest.mark.parametrize(("samples", "parts"), [(17, 1), (19, 2)])
def test_one_value_to_normalise_is_refused(samples: int, parts: int, make_plan: MakePlan, draw: Draw) -> None:
    """Batches that the recipe does not name: those of a caller."""
    specs = [{"dense": {"units": 4}}, "batch_norm", "dense"]
    plan = make_plan(specs, (5,), classes=3, train={"micro_batches": parts})
    x, y = draw(plan)
    engine = BACKEND.compile(plan)
    engine.attach(x, y)
    rates, small = np.full(2, 0.1), (x[16:samples], y[16:samples])
    for refused in (
        lambda: engine.train_resident(np.arange(samples), 1, 0, rates),
        lambda: engine.train_streamed([(x[:8], y[:8]), small], 0, rates),
        lambda: engine.gradients(small, 0),
    ):
        with pytest.raises(DlrunError, match="one value per channel") as caught:
            refused()
        assert caught.value.code == "batch-too-small" and "`batch_norm_1`" in caught.value.message
    assert np.isfinite(engine.train_resident(np.arange(24), 1, 0, rates)).all()
    assert engine.infer(x[:1]).shape == (1, 3)


def test_a_model_without_weights_has_nothing_to_train(make_plan: MakePlan, draw: Draw) -> None:
    plan = make_plan(["relu"], (3,), target=(3,))
    engine = BACKEND.compile(plan)
    engine.attach(*draw(plan))
    with pytest.raises(RunError) as caught:
        engine.train_resident(np.arange(24), 0, 0, np.full(1, 0.1))
    assert caught.value.code == "nothing-to-train"
