"""What all tests share: real data when it is there, and no writes outside temporary folders."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dlrun.backends.processor import prefer_onednn

if TYPE_CHECKING:
    import numpy as np

    from dlrun.graph import Graph

_HOME = tempfile.TemporaryDirectory(prefix="dlrun-tests-")
_CACHES = {
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "MPLCONFIGDIR": "matplotlib",
    "KERAS_HOME": "keras",
}

# Set while collecting, so that every import and every child process of a test sees them.
for _name, _folder in _CACHES.items():
    os.environ[_name] = str(Path(_HOME.name) / _folder)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
prefer_onednn(os.environ)  # as the backend does, before which some tests import TensorFlow
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONWARNINGS"):
    os.environ.pop(_name, None)

NEEDS_DATA = "set DLRUN_DATA to run: needs real data"


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets named by ``DLRUN_DATA``; skips the test without it."""
    root = os.environ.get("DLRUN_DATA")
    if not root:
        pytest.skip(NEEDS_DATA)
    return Path(root)


@pytest.fixture(autouse=True)
def _same_folder() -> Iterator[None]:
    """A test that changes the working folder does not change it for the next one."""
    before = os.getcwd()
    yield
    os.chdir(before)


def _must_not_skip(report: pytest.TestReport | pytest.CollectReport) -> bool:
    """Whether a test that needs real data skipped although the data was promised."""
    reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return bool(report.skipped and os.environ.get("DLRUN_DATA") and "DLRUN_DATA" in reason)


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} skipped although DLRUN_DATA is set: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    """Count a skipped data test as a failure when the data was promised."""
    report = yield
    if not hasattr(report, "wasxfail") and _must_not_skip(report):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> object:
    """The same for modules that skip as a whole."""
    report = yield
    if _must_not_skip(report):
        _fail(report)
    return report


@dataclass(frozen=True)
class Ran:
    """One pass through a native model, in canonical names and layout.

    Args:
        output: (N, *).
        gradients: Of ``sum(output * cotangent)`` by ``input`` and trainable weight.
        weights: Every weight afterwards.
    """

    output: np.ndarray
    gradients: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]


class Native:
    """A backend's model of a graph, to be run once; ``name`` is ``torch`` or ``tensorflow``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(
        self, graph: Graph, weights: dict[str, np.ndarray], x: np.ndarray, cotangent: np.ndarray, training: bool
    ) -> Ran:
        """Both passes in the precision of ``cotangent``; dropout draws the portable masks of step 3, seed 0."""
        return (self._torch if self.name == "torch" else self._tensorflow)(graph, weights, x, cotangent, training)

    def _torch(self, graph, weights, x, cotangent, training):
        import torch

        from dlrun.backends.torch.dropout import Clock, follow_clock
        from dlrun.backends.torch.layout import to_canonical, to_native
        from dlrun.backends.torch.model import build

        cpu = torch.device("cpu")
        model = build(graph, weights, cpu, getattr(torch, str(cotangent.dtype)))
        clock = Clock(0, True, cpu)
        clock.step = 3
        follow_clock(model.module, clock)
        model.module.train(training)
        floats = graph.input.dtype == "float"  # ids have no gradient
        source = torch.tensor(x, requires_grad=floats)
        output = to_canonical(model.module(to_native(source)))
        after = {b.name: b.read(b.tensor) for b in model.bound}
        if graph.output.dtype == "int":
            return Ran(output.numpy(), {}, after)
        (output * torch.tensor(cotangent)).sum().backward()
        gradients = {b.name: b.read(b.tensor.grad) for b in model.bound if b.weight.trainable}
        if floats:
            gradients = {"input": source.grad.numpy(), **gradients}
        return Ran(output.detach().numpy(), gradients, after)

    def _tensorflow(self, graph, weights, x, cotangent, training):
        import numpy as np

        from dlrun.backends.tensorflow.model import build  # sets up Keras before TensorFlow is imported
        from dlrun.backends.tensorflow.weights import read, write

        import tensorflow as tf  # isort: skip

        from dlrun.randomness import derive, step_key

        network = build(graph, str(cotangent.dtype), portable_dropout=True)
        write(network.weights, weights)
        keys = np.array([step_key(derive(0, "dropout", n), 3) for n in network.dropouts], np.uint64)
        source = tf.constant(x)
        sought = {name: network.weights[name] for name, w in graph.weights() if w.trainable}
        if graph.input.dtype == "float":
            sought = {"input": source, **sought}
        with tf.GradientTape() as tape, network.draws.at(tf.constant(keys), 0, 0):
            tape.watch(sought)
            output = network.model(source, training=training)
            if graph.output.dtype == "int":
                return Ran(output.numpy(), {}, read(network.weights))
            loss = tf.reduce_sum(output * cotangent)
        found = tape.gradient(loss, sought)
        return Ran(output.numpy(), {k: v.numpy() for k, v in found.items()}, read(network.weights))


@pytest.fixture(scope="session")
def natives() -> dict[str, Native]:
    """Both backends in one process."""
    pytest.importorskip("torch")  # torch first: the other order is not tested by its makers
    pytest.importorskip("tensorflow")
    return {name: Native(name) for name in ("torch", "tensorflow")}
