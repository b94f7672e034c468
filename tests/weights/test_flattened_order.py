"""Features that torch flattens channels first: the weights beside them are brought into our order and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlrun import weights
from dlrun.graph import Graph, TensorType, build_graph, build_model, layers, models

torch = pytest.importorskip("torch")
nn = torch.nn


def ours(graph: Graph, values: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    from dlrun.backends.torch.layout import to_canonical, to_native
    from dlrun.backends.torch.model import build

    module = build(graph, values, torch.device("cpu"), torch.float32).module.eval()
    with torch.no_grad():
        return to_canonical(module(to_native(torch.from_numpy(x)))).numpy()


def theirs(peer: Any, x: np.ndarray) -> np.ndarray:
    """The peer's answer; both sides of it have channels first."""
    with torch.no_grad():
        y = peer(torch.from_numpy(x).movedim(-1, 1))
        return (y.movedim(1, -1) if y.dim() > 2 else y).numpy()


def both_ways(graph: Graph, make: Callable[[], Any], map: str | dict[str, str]) -> None:
    """The peer's weights give its answers here, and ours give the same again there."""
    torch.manual_seed(3)
    peer, again = make().eval(), make().eval()
    for tensor in peer.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) - 0.3 if tensor.dim() > 1 else torch.rand_like(tensor) + 0.1)
    arrays = {name: tensor.numpy().copy() for name, tensor in peer.state_dict().items()}
    values, account = weights.load(graph, arrays, map)
    assert not account.unused and not account.missing
    x = np.random.default_rng(0).standard_normal((2, *graph.input.shape)).astype(np.float32)
    wanted = theirs(peer, x)
    assert np.abs(ours(graph, values, x) - wanted).max() <= 1e-5 * np.abs(wanted).max()
    back = weights.export(graph, values, map)
    again.load_state_dict({k: torch.from_numpy(v) for k, v in back.items()}, strict=False)
    np.testing.assert_array_equal(theirs(again, x), wanted)


class Vgg(nn.Module):
    """Eleven layers with weights, under torchvision's names."""

    def __init__(self, pool: int) -> None:
        super().__init__()
        parts: list[Any] = []
        channels = 3
        for width in (4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"):
            if isinstance(width, int):
                parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            else:
                parts.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*parts)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        hidden = [nn.Linear(32 * pool * pool, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 16), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(*hidden, nn.Linear(16, 5))

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


@pytest.mark.parametrize("pool", [1, 2])
def test_a_vgg_that_pools_to_more_than_one_place(pool: int) -> None:
    graph = build_model(models.get("vgg")(depth=11, filters=4, units=16, pool=pool), TensorType((64, 64, 3)), 5)
    both_ways(graph, lambda: Vgg(pool), "torchvision_vgg")


def sequence(shape: tuple[int, ...], *specs: tuple[str, dict[str, Any]]) -> Graph:
    return build_graph([layers.get(kind)(**fields) for kind, fields in specs], TensorType(shape))


def test_convolution_flatten_dense_by_a_map_of_ones_own() -> None:
    graph = sequence(
        (5, 4, 3),
        ("conv2d", {"filters": 6, "kernel": 3, "padding": "same", "activation": "relu"}),
        ("flatten", {}),
        ("batch_norm", {}),
        ("dropout", {"rate": 0.5}),
        ("dense", {"units": 7, "activation": "relu"}),
        ("dense", {"units": 2}),
    )

    def make() -> Any:
        norm = nn.BatchNorm1d(6 * 5 * 4)
        parts = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), norm, nn.Dropout(), nn.Linear(120, 7)]
        return nn.Sequential(*parts, nn.ReLU(), nn.Linear(7, 2))

    both_ways(
        graph,
        make,
        {"conv2d_1": "0", "batch_norm_1": "3", "dense_1": "5", "dense_2.kernel": "7.weight", "dense_2.bias": "7.bias"},
    )


def test_a_sequence_that_a_convolution_made() -> None:
    graph = sequence(
        (6, 3), ("conv1d", {"filters": 4, "kernel": 3, "padding": "same"}), ("flatten", {}), ("dense", {"units": 2})
    )
    both_ways(
        graph,
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(24, 2)),
        {"conv1d_1": "0", "dense_1": "2"},
    )


def test_a_dense_layer_before_an_image() -> None:
    graph = sequence(
        (5,),
        ("dense", {"units": 24}),
        ("batch_norm", {}),
        ("relu", {}),
        ("reshape", {"shape": (2, 3, 4)}),
        ("conv2d", {"filters": 2, "kernel": 3, "padding": "same"}),
    )

    def make() -> Any:
        parts = [nn.Linear(5, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Unflatten(1, (4, 2, 3))]
        return nn.Sequential(*parts, nn.Conv2d(4, 2, 3, padding=1))

    both_ways(graph, make, {"dense_1": "0", "batch_norm_1": "1", "conv2d_1": "4"})


def test_two_branches_side_by_side() -> None:
    graph = sequence(
        (5, 4, 3),
        ("conv2d", {"filters": 2, "kernel": 1, "name": "a", "inputs": ("input",)}),
        ("flatten", {"name": "fa", "inputs": ("a",)}),
        ("conv2d", {"filters": 3, "kernel": 1, "name": "b", "inputs": ("input",)}),
        ("flatten", {"name": "fb", "inputs": ("b",)}),
        ("concat", {"inputs": ("fa", "fb")}),
        ("dense", {"units": 4, "name": "d"}),
    )

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.d = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 1), nn.Linear(2 * 20 + 3 * 20, 4)

        def forward(self, x: Any) -> Any:
            return self.d(torch.cat([self.a(x).flatten(1), self.b(x).flatten(1)], 1))

    both_ways(graph, Branches, {"a": "a", "b": "b", "d": "d"})


def test_the_other_layouts_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    specs = (("conv2d", {"filters": 2, "kernel": 1}), ("flatten", {}), ("dense", {"units": 3}))
    graph = sequence((2, 2, 3), *specs)
    values = {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in graph.weights()}
    keras = weights.export(graph, values, {"conv2d_1": "net/c", "dense_1": "net/d"})
    np.testing.assert_array_equal(keras["net/d/kernel"], values["dense_1.kernel"])
    np.testing.assert_array_equal(weights.load(graph, values)[0]["dense_1.kernel"], values["dense_1.kernel"])
    for own in (  # sequences that no convolution made, and axes that the recipe has turned itself
        sequence((4, 3), ("dense", {"units": 2}), ("flatten", {}), ("dense", {"units": 3})),
        sequence((2, 2, 3), ("permute", {"axes": (2, 0, 1)}), ("flatten", {}), ("dense", {"units": 3})),
    ):
        last = [node.name for node in own.nodes if node.layer.kind == "dense"][-1]
        values = {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in own.weights()}
        found = weights.export(own, {f"{last}.kernel": values[f"{last}.kernel"]}, {last: "d"})
        np.testing.assert_array_equal(found["d.weight"].T, values[f"{last}.kernel"])
