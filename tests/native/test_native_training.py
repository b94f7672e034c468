"""Native models train, evaluate, save and resume through the same runner as graphs of layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.backends import load_backend
from dlrun.backends.base import Engine
from dlrun.config import compose
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.run import checkpoint
from dlrun.run.directory import open_run
from dlrun.run.evaluate import evaluate
from dlrun.run.events import Event, RunStarted
from dlrun.run.train import train

BACKENDS = ["torch", "tensorflow"]
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("torch")
    pytest.importorskip(request.param)
    return str(request.param)


def both(backend: str, *overrides: str):
    return compose(["recipe=./both.yaml", f"backend={backend}", *overrides])


NAMES = {
    "torch": {
        "self.scale": (),
        "features.0.weight": (8, 1, 3, 3),
        "features.0.bias": (8,),
        "features.1.weight": (8,),
        "features.1.bias": (8,),
        "features.1.running_mean": (8,),
        "features.1.running_var": (8,),
        "features.1.num_batches_tracked": (),
        "head.weight": (10, 512),
        "head.bias": (10,),
    },
    "tensorflow": {
        "net/convolution.kernel": (3, 3, 1, 8),
        "net/convolution.bias": (8,),
        "net/norm.gamma": (8,),
        "net/norm.beta": (8,),
        "net/norm.moving_mean": (8,),
        "net/norm.moving_variance": (8,),
        "net/dense.kernel": (512, 10),
        "net/dense.bias": (10,),
    },
}


def test_it_trains_and_its_checkpoint_has_its_own_names(backend: str) -> None:
    result = train(both(backend, "train.limit_batches=null", "train.epochs=3"))
    assert result.metrics["test_accuracy"] > 0.7
    saved = checkpoint.load(open_run(result.directory).checkpoints()[-1])
    assert {name: w.shape for name, w in saved.engine.weights.items()} == NAMES[backend]
    trained = {name for name in NAMES[backend] if not any(s in name for s in ("running", "moving", "num_batches"))}
    assert {name.rpartition("/")[0] for name in saved.engine.slots} == trained
    again = evaluate(result.directory)
    assert again.metrics["accuracy"] == result.metrics["test_accuracy"]


def test_its_parameters_are_counted_when_it_is_built(backend: str) -> None:
    events: list[Event] = []
    train(both(backend, "train.epochs=1", "train.limit_batches=1"), [events.append])
    (started,) = [e for e in events if isinstance(e, RunStarted)]
    assert started.parameters == {"torch": 5227, "tensorflow": 5226}[backend]


def test_resuming_gives_the_same_bits(backend: str) -> None:
    whole = train(both(backend, "output.name=whole"))
    half = train(both(backend, "output.name=half", "train.epochs=1"))
    train(compose([f"recipe={half.directory}/recipe.yaml", "train.epochs=2"]), resume=half.directory)
    ours, theirs = (checkpoint.load(open_run(r.directory).checkpoints()[-1]).engine.weights for r in (whole, half))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_first_weights_are_drawn_from_the_seed(backend: str) -> None:
    def first(seed: int) -> dict[str, np.ndarray]:
        plan = both(backend, f"seed={seed}").plan
        return load_backend(backend).compile(plan).state().weights

    one, same, other = first(1), first(1), first(2)
    kernel = next(name for name in one if name.startswith("head") or "dense.kernel" in name)
    np.testing.assert_array_equal(one[kernel], same[kernel])
    assert np.abs(one[kernel] - other[kernel]).max() > 0


def test_dropout_differs_by_step_and_repeats_by_step(backend: str) -> None:
    """Two engines at the same step draw alike; the next step draws otherwise."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 16)

    def loss(step: int) -> float:
        extra = ["model.torch.rate=0.5", "model.tensorflow.rate=0.5", "data.batch_size=16", "train.limit_batches=null"]
        engine = load_backend(backend).compile(both(backend, *extra).plan)
        return float(engine.train_streamed([(x, y)], step, np.array([0.0]))[0])

    assert loss(3) == loss(3)
    assert loss(3) != loss(4)


def test_moving_averages_clipping_and_parts_of_batches(backend: str) -> None:
    result = train(both(backend, "train.ema=0.9", "train.clip_norm=1.0", "train.micro_batches=2"))
    saved = checkpoint.load(open_run(result.directory).checkpoints()[-1])
    assert set(saved.engine.ema) == set(NAMES[backend])
    assert evaluate(result.directory).metrics["accuracy"] == result.metrics["test_accuracy"]


TIED = """
import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 64, bias=False)
        self.second = nn.Linear(64, 64, bias=False)
        self.second.weight = self.first.weight
        self.last = nn.Linear(64, 10)
        self.register_buffer("mean", torch.zeros(64))

    def forward(self, x):
        x = self.second(torch.tanh(self.first(x.flatten(1))))
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(0)
        return self.last(x - self.mean)
"""


@pytest.mark.parametrize("freeze", [[], ["first.*"]])
def test_a_moving_average_reads_frozen_tied_weights_and_statistics_that_are_put_anew(
    freeze: list[str], folder: Path
) -> None:
    """At rate 0 the averages are the weights, so evaluation by either is the same."""
    pytest.importorskip("torch")
    (folder / "torch_net.py").write_text(TIED)
    (folder / "tied.yaml").write_text(
        "task: classification\nextensions: [torch_net.py]\ndata: {source: digits, batch_size: 64}\n"
        f"model: {{_target_: torch_net.Tied, freeze: {freeze}}}\ntracker: none\nprecision: float64\n"
    )

    def engine(*overrides: str) -> Engine:
        return load_backend("torch").compile(compose(["recipe=tied.yaml", *overrides]).plan)

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 8, 8, 1)), rng.integers(0, 10, 8)
    averaged, plain = engine("train.ema=0.5"), engine()
    start = averaged.state()
    start.weights["first.weight"] = start.weights["first.weight"] + 0.1
    for one in (averaged, plain):
        one.restore(start)
        one.train_streamed([(x, y)] * 2, 0, np.zeros(2))
    assert set(averaged.state().ema) == {"first.weight", "last.weight", "last.bias", "self.mean"}
    np.testing.assert_allclose(averaged.infer(x), plain.infer(x), rtol=0, atol=1e-12)
    assert np.abs(plain.state().weights["self.mean"]).max() > 0
    again = engine("train.ema=0.5")
    again.restore(averaged.state())
    np.testing.assert_array_equal(again.infer(x), averaged.infer(x))


def test_weights_are_frozen_by_their_names(backend: str) -> None:
    pattern = {"torch": "features.0.*", "tensorflow": "net/convolution.*"}[backend]
    plan = both(backend, f"model.freeze=['{pattern}']").plan
    before = load_backend(backend).compile(plan).state().weights
    result = train(both(backend, f"model.freeze=['{pattern}']", "train.epochs=1"))
    after = checkpoint.load(open_run(result.directory).checkpoints()[-1]).engine.weights
    held = [n for n in before if n.startswith(pattern[:-1])]
    assert len(held) == 2
    for name in before:
        assert np.array_equal(before[name], after[name]) == (name in held), name


def test_a_pattern_that_no_weight_has(backend: str) -> None:
    with pytest.raises(DlrunErrors) as caught:
        train(both(backend, "model.freeze=[feature.0.*]"))
    assert caught.value.errors[0].code == "unmatched-pattern"


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_number_formats(backend: str, precision: str) -> None:
    result = train(both(backend, f"precision={precision}", "train.epochs=1"))
    saved = checkpoint.load(open_run(result.directory).checkpoints()[-1]).engine.weights
    kernel = next(v for n, v in saved.items() if v.ndim == 4)
    assert kernel.dtype == ("float64" if precision == "float64" else "float32")


def test_a_function_that_makes_a_model() -> None:
    for backend, target in (("torch", "torch_net.small"), ("tensorflow", "keras_net.functional")):
        pytest.importorskip(backend)
        result = train(both(backend, f"model.{backend}={{_target_: {target}, classes: 10}}", "train.epochs=1"))
        assert result.metrics["train_loss"] < 3


def test_a_model_of_hugging_face_with_nested_arguments(folder: Path) -> None:
    pytest.importorskip("transformers")
    (folder / "hf.yaml").write_text("""
task: classification
data: {source: digits, batch_size: 16}
model:
  _target_: transformers.ResNetForImageClassification
  config:
    _target_: transformers.ResNetConfig
    num_channels: 1
    embedding_size: 8
    hidden_sizes: [8, 16]
    depths: [1, 1]
    layer_type: basic
    num_labels: "${data.classes}"
train: {limit_batches: 3}
tracker: none
""")
    result = train(compose(["recipe=./hf.yaml", "backend=torch"]))
    saved = checkpoint.load(open_run(result.directory).checkpoints()[-1]).engine.weights
    assert "resnet.embedder.embedder.convolution.weight" in saved


@pytest.mark.parametrize(
    ("override", "code", "said"),
    [
        ("model.torch={_target_: torch_net.small, classes: 7}", "native-output", "(N, 7)"),
        ("model.torch={_target_: torch_net.Net}", "target-failed", "classes"),
        ("model.torch={_target_: torch_net.Named}", "native-type", "`Named`"),
        ("model.torch={_target_: torch.nn.Linear, in_features: 3, out_features: 10}", "target-failed", "(2, 1, 8, 8)"),
    ],
)
def test_mistakes_that_show_when_it_is_built(override: str, code: str, said: str) -> None:
    with pytest.raises(DlrunError) as caught:
        load_backend("torch").compile(both("torch", override).plan)
    assert caught.value.code == code and said in caught.value.message


def test_a_keras_model_with_losses_of_its_own_is_refused() -> None:
    pytest.importorskip("tensorflow")
    with pytest.raises(DlrunError) as caught:
        load_backend("tensorflow").compile(
            both("tensorflow", "model.tensorflow={_target_: keras_net.penalised, classes: 10}").plan
        )
    assert caught.value.code == "native-losses" and "model.regularizers" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("recipe", "overrides", "place", "path"),
    [
        ("one", {"_target_: torch_net.Net, ": "_target_: torch_net.Net, hiden: 2, "}, "one.yaml:5:9", "model._target_"),
        ("one", ["model.classes=7"], "command line `model.classes=7`", "model._target_"),
        ("both", {"_target_: torch_net.Net": "_target_: torch_net.Named"}, "both.yaml:6:11", "model.torch._target_"),
    ],
)
def test_mistakes_that_show_when_it_is_built_have_a_place(
    recipe: str, overrides: dict[str, str] | list[str], place: str, path: str
) -> None:
    pytest.importorskip("torch")
    from dlrun.errors import dotted

    file = Path(f"{recipe}.yaml")
    if isinstance(overrides, dict):
        for old, new in overrides.items():
            file.write_text(file.read_text().replace(old, new))
        overrides = []
    with pytest.raises(DlrunError) as caught:
        train(compose([f"recipe=./{file}", "backend=torch", *overrides]))
    assert (str(caught.value.where), dotted(caught.value.path)) == (place, path)
