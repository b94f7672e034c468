"""Plans to export: one with every example of every layer in it, one small."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from dlrun.data.source import Signature, Source
from dlrun.data.transforms import Normalize
from dlrun.graph import Composite, Example, Layer, LayerList, TensorType, build_graph, layers
from dlrun.losses import losses
from dlrun.optimizers import SGD
from dlrun.plan import Plan
from dlrun.recipe import BackendChoice, Data, Recipe
from dlrun.schedules import Constant


def _plan(name: str, specs: list[Layer], signature: Signature, preprocess: tuple[Normalize, ...]) -> Plan:
    graph = build_graph(specs, signature.input)
    recipe = Recipe(
        name=name,
        task="classification" if signature.classes else "regression",
        data=Data(source=Source(), preprocess=preprocess),
        model=LayerList(layers=tuple(specs)),
        loss=losses.get("softmax_cross_entropy" if signature.classes else "mse")(),
        metrics=(),
        optimizer=SGD(),
        schedule=Constant(),
    )
    return Plan(recipe, signature, graph, 100, 10, 1)


def readable(cls: type[Layer]) -> list[Example]:
    """Valid examples whose inputs are numbers; ids and masks are another model's."""
    return [e for e in cls.examples if e.raises is None and all(x.dtype == "float" for x in e.inputs)]


def _sequences() -> Iterator[Layer]:
    """The layers that read ids and masks."""
    make = layers.get
    yield make("padding_mask")(name="mask")
    yield make("embedding")(vocabulary=30, units=8, padding=0, name="table")
    yield make("lstm")(units=6, return_sequences=True, bidirectional=True, inputs=("table", "mask"))
    yield make("self_attention")(heads=2, name="read", inputs=("lstm_1", "mask"))
    yield make("gru")(units=5, return_sequences=True, inputs=("read", "mask"))
    yield make("last")(name="end", inputs=("gru_1", "mask"))
    yield make("global_avg_pool1d")(name="mean", inputs=("read", "mask"))
    yield make("concat")(inputs=("end", "mean"))
    yield make("dense")(units=10)


def _every_layer() -> Iterator[Layer]:
    """An example of each layer that reads numbers, fed from the input and read by the classifier at the end."""
    make = {kind: layers.get(kind) for kind in layers}
    yield make["flatten"](name="features")
    ends = []
    for kind, cls in make.items():
        for number, example in enumerate(readable(cls)[:2]):
            name = f"{kind}_case{number}"
            for i, x in enumerate(example.inputs):
                yield make["dense"](units=x.size, inputs=("features",))
                yield make["reshape"](shape=x.shape, name=f"{name}_in{i}")
            yield cls(**example.fields, name=name, inputs=tuple(f"{name}_in{i}" for i in range(len(example.inputs))))
            yield make["flatten"](name=f"{name}_out")
            ends.append(f"{name}_out")
    yield make["conv2d"](filters=4, kernel=3, stride=2, padding="same", inputs=("input",))
    yield make["residual"](
        layers=(make["conv2d"](filters=6, kernel=3, padding="same"), make["batch_norm"]()),
        shortcut=(make["conv2d"](filters=6, kernel=1, bias=False),),
        activation="relu",
        name="output",  # the name an artefact needs for itself
    )
    yield make["repeat"](times=2, layers=(make["dropout"](rate=0.5), make["gelu"](approximate="tanh")))
    yield make["flatten"](name="composites_out")
    yield make["concat"](inputs=(*ends, "composites_out"))
    yield make["dense"](units=10)


def _disturbed(plan: Plan) -> dict[str, np.ndarray]:
    """Initial weights moved at random, so that none is zero, one or equal to another."""
    random = np.random.default_rng(7)
    weights = {name: w + 0.1 * random.standard_normal(w.shape) for name, w in plan.initial_weights().items()}
    for name in weights:
        if name.endswith(".variance"):
            weights[name] = random.uniform(0.3, 3, weights[name].shape)
    return {name: w.astype(plan.array_dtype) for name, w in weights.items()}


@dataclasses.dataclass(frozen=True)
class Case:
    """A model with weights and stored samples."""

    plan: Plan
    weights: dict[str, np.ndarray]
    samples: np.ndarray

    def on(self, backend: str) -> Case:
        """The same for another backend."""
        recipe = dataclasses.replace(self.plan.recipe, backend=BackendChoice(name=backend))
        return dataclasses.replace(self, plan=dataclasses.replace(self.plan, recipe=recipe))


@pytest.fixture(scope="session")
def every_layer() -> Case:
    """8-bit colour images through every layer there is."""
    specs = list(_every_layer())
    wanted = {k for k in layers if not issubclass(layers.get(k), Composite) and readable(layers.get(k))}
    missing = wanted - {s.kind for s in specs}
    assert not missing
    signature = Signature(TensorType((8, 7, 3)), TensorType((), "int"), 10, None, {"train": 100}, 1 / 255, "uint8")
    preprocess = (Normalize(mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26)),)
    plan = _plan("every_layer", specs, signature, preprocess)
    samples = np.random.default_rng(3).integers(0, 256, (40, 8, 7, 3), dtype=np.uint8)
    return Case(plan, _disturbed(plan), samples)


@pytest.fixture(scope="session")
def sequences() -> Case:
    """Ids of padded texts through the layers that read ids and masks."""
    signature = Signature(TensorType((7,), "int"), TensorType((), "int"), 10, None, {"train": 100}, 1.0, "int64")
    plan = _plan("sequences", list(_sequences()), signature, ())
    random = np.random.default_rng(4)
    samples = random.integers(1, 30, (40, 7)) * (np.arange(7) < random.integers(1, 8, (40, 1)))
    return Case(plan, _disturbed(plan), samples)


@pytest.fixture(scope="session")
def small() -> Case:
    """Three numbers in, one out: a regression on stored floats."""
    make = layers.get
    specs = [make("dense")(units=8, activation="tanh"), make("batch_norm")(), make("dense")(units=1)]
    signature = Signature(TensorType((3,)), TensorType((1,)), None, None, {"train": 100}, 1.0, "float32")
    plan = _plan("small", specs, signature, (Normalize(mean=(1.0, -2.0, 30.0), std=(1.0, 0.5, 9.0)),))
    return Case(plan, _disturbed(plan), np.random.default_rng(5).normal(0, 4, (200, 3)).astype(np.float32))
