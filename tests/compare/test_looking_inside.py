"""``Engine.gradients`` and ``Engine.outputs``: right, alike on both backends, and without a trace."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.backends import BACKENDS, load_backend
from dlrun.config import compose
from dlrun.data.feed import Feed

RECIPE = """\
task: image_classification
data: {source: {name: random, shape: [6, 6, 1], classes: 3, samples: 40}, batch_size: 10}
model:
  layers:
    - conv2d: {filters: 4, kernel: 3, activation: tanh}
    - batch_norm
    - dropout: {rate: 0.5}
    - flatten
    - dense
optimizer: {name: sgd, learning_rate: 1.0}
train: {portable_dropout: true}
precision: float64
device: cpu
"""


@pytest.fixture
def opened(tmp_path):
    """``opened(backend, *overrides)``: engine, feed and the batch of the second update."""

    def build(backend, *overrides):
        pytest.importorskip("torch")  # torch first: the other order is not tested by its makers
        pytest.importorskip("tensorflow")
        (tmp_path / "tiny.yaml").write_text(RECIPE)
        plan = compose([f"recipe={tmp_path / 'tiny.yaml'}", f"backend={backend}", *overrides]).plan
        engine, feed = load_backend(backend).compile(plan), Feed(plan)
        engine.attach(feed.x, feed.y)
        return engine, feed, next(iter(feed.batches(0, 1, 1)))

    return build


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_what_plain_descent_subtracts(opened, backend, parts):
    engine, feed, batch = opened(backend, f"train.micro_batches={parts}")
    before = engine.state().weights
    gradients = engine.gradients(batch, 1)
    for name, w in engine.state().weights.items():
        np.testing.assert_array_equal(w, before[name])
    engine.train_resident(feed.order(0), 1, 1, np.ones(1))
    after = engine.state().weights
    assert set(before) - set(gradients) == {"batch_norm_1.mean", "batch_norm_1.variance"}
    for name, g in gradients.items():
        np.testing.assert_allclose(before[name] - g, after[name], rtol=0, atol=1e-14, err_msg=name)


def test_gradients_and_outputs_are_alike_on_both_backends(opened):
    looks = []
    for backend in BACKENDS:
        engine, _, batch = opened(backend)
        looks.append((engine.gradients(batch, 1), engine.outputs(batch, 1), engine.state().weights))
    for mine, theirs in zip(*looks, strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert value.shape == theirs[name].shape, name
            np.testing.assert_allclose(value, theirs[name], rtol=0, atol=1e-13, err_msg=name)
    assert looks[0][1]["conv2d_1_tanh"].shape == (10, 4, 4, 4)
    assert (looks[0][1]["dropout_1"] == 0).mean() == pytest.approx(0.5, abs=0.1), "training mode"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_processor_has_no_device_memory(opened, backend):
    assert opened(backend)[0].device_memory() is None
