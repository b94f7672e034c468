"""Files that lie, that are odd, or that older versions of the libraries wrote."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun import weights
from dlrun.errors import DlrunError
from dlrun.graph import TensorType, build_model, models
from dlrun.weights.arrays import open_arrays

FULL = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
LIES: dict[str, Any] = {
    "shape of text": {"a": FULL | {"shape": "xx"}},
    "no place": {"a": FULL | {"data_offsets": None}},
    "half a place": {"a": FULL | {"data_offsets": [0]}},
    "endless": {"a": FULL | {"data_offsets": [float("inf"), 8]}},
    "negative": {"a": FULL | {"shape": [-1, -2]}},
    "fractional": {"a": FULL | {"shape": [0.5, 4]}},
    "true": {"a": FULL | {"shape": [True, 2]}},
    "too large for numpy": {"a": FULL | {"shape": [0, 2**62], "data_offsets": [0, 0]}},
    "too many axes": {"a": FULL | {"shape": [1] * 99 + [2]}},
    "list": [1, 2],
    "entry a list": {"a": [1]},
    "type a list": {"a": FULL | {"dtype": ["F32"]}},
    "not printable": {"\ud800": FULL},
    "deep": b"[" * 100_000 + b"]" * 100_000,
}


def refused(path: Path) -> str:
    with pytest.raises(DlrunError) as caught:
        open_arrays(path)
    assert caught.value.code == "unreadable-weights"
    return caught.value.message


@pytest.mark.parametrize("lie", LIES)
def test_a_safetensors_header_that_lies_is_refused_on_opening(lie: str, tmp_path: Path) -> None:
    header = LIES[lie] if isinstance(LIES[lie], bytes) else json.dumps(LIES[lie]).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    assert str(path) in refused(path)


def test_a_file_that_shrinks_after_it_was_opened(tmp_path: Path) -> None:
    header = json.dumps({"a": FULL}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    arrays = open_arrays(path)
    assert arrays is not None
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DlrunError) as caught:
        arrays.read("a")
    assert caught.value.code == "unreadable-weights"


def layer(file: Any, name: str, **values: Any) -> Any:
    """A group as Keras writes one for a layer."""
    group = file.create_group(name)
    group.attrs["weight_names"] = [f"{path}:0" for path in values]
    for path, value in values.items():
        group[f"{path}:0"] = value
    return group


def no_group(file: Any) -> None:
    file["model_weights"] = np.zeros(3)


def no_names(file: Any) -> None:
    file.attrs["layer_names"] = 5


def no_layer(file: Any) -> None:
    file.attrs["layer_names"] = ["x"]
    file["x"] = np.zeros(3)
    file["x"].attrs["weight_names"] = ["x/kernel:0"]


def never_written(file: Any) -> None:
    file.attrs["layer_names"] = ["x"]
    group = layer(file, "x")
    group.attrs["weight_names"] = ["x/kernel:0"]
    group.create_dataset("x/kernel:0", (1 << 40,), chunks=(1024,), dtype="f4")


def never_written_compressed(file: Any) -> None:
    file.attrs["layer_names"] = ["x"]
    group = layer(file, "x")
    group.attrs["weight_names"] = ["x/kernel:0"]
    group.create_dataset("x/kernel:0", (1 << 40,), chunks=(1024,), dtype="f4", compression="gzip")


def of_another_file(file: Any) -> None:
    file.attrs["layer_names"] = ["x"]
    group = layer(file, "x")
    group.attrs["weight_names"] = ["x/kernel:0"]
    group.create_dataset(
        "x/kernel:0", (1,), dtype="f4", external=[(str(Path(file.filename).with_name("secret")), 0, 4)]
    )


def texts(file: Any) -> None:
    file.attrs["layer_names"] = ["x"]
    layer(file, "x", **{"x/kernel": ["a", "b"]})


def two_of_one_name(file: Any) -> None:
    file.attrs["layer_names"] = ["x"]
    layer(file, "x", **{"x/kernel": np.zeros(2), "kernel": np.ones(2)})


@pytest.mark.parametrize(
    "write",
    [no_group, no_names, no_layer, never_written, never_written_compressed, of_another_file, texts, two_of_one_name],
)
def test_an_hdf5_file_that_lies_is_refused(write: Callable[[Any], None], tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(8))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write(file)
    assert "w.h5" in refused(tmp_path / "w.h5")


def test_layers_within_a_layer_keep_their_own_weights(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = ["bi"], [b"d"]
        layer(file, "bi", **{"bi/forward/kernel": np.ones(2), "bi/backward/kernel": np.zeros(2), "bi/gate": np.ones(3)})
        group = layer(file, "d", **{"d/kernel": np.ones(4)})
        del group.attrs["weight_names"]
        group.attrs["weight_names0"] = ["d/kernel:0"]
        group.attrs["weight_names1"] = ["d/bias:0"]
        group.create_dataset("d/bias:0", data=np.zeros(5000), compression="gzip")
    arrays = open_arrays(tmp_path / "w.h5")
    assert arrays is not None
    assert set(arrays) == {"bi/forward/kernel", "bi/backward/kernel", "bi/gate", "d/kernel", "d/bias"}
    assert arrays.read("bi/forward/kernel").all() and not arrays.read("bi/backward/kernel").any()


@pytest.mark.filterwarnings("ignore")  # torch warns of what it stores
@pytest.mark.parametrize("kind", ["float8", "sparse", "quantised", "meta"])
def test_a_torch_tensor_that_numpy_has_not_is_refused(kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    value = {
        "float8": lambda: torch.zeros(2).to(torch.float8_e4m3fn),
        "sparse": lambda: torch.eye(2).to_sparse(),
        "quantised": lambda: torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
        "meta": lambda: torch.zeros(2, device="meta"),
    }[kind]()
    torch.save({"net.weight": value}, tmp_path / "w.pth")
    assert "`net.weight`" in refused(tmp_path / "w.pth")


def test_half_precision_of_other_files_becomes_float32(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.tensor([1.5, 2.0], dtype=torch.float16)}, tmp_path / "w.pth")
    arrays = open_arrays(tmp_path / "w.pth")
    assert arrays is not None and arrays.read("a").dtype == np.float32


@pytest.mark.parametrize(
    ("map", "architecture", "fields", "older", "example"),
    [
        (
            "torchvision_densenet",
            "densenet",
            {"blocks": (2, 2), "growth": 4},
            [(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2")],
            "features.denseblock1.denselayer1.norm.1.weight",
        ),
        (
            "torchvision_vit",
            "vit",
            {"variant": "tiny", "depth": 1},
            [("mlp.0", "mlp.linear_1"), ("mlp.3", "mlp.linear_2")],
            "encoder.layers.encoder_layer_0.mlp.linear_2.bias",
        ),
    ],
)
def test_names_that_torchvision_renames_when_it_loads(
    map: str, architecture: str, fields: dict[str, Any], older: list[tuple[str, str]], example: str
) -> None:
    graph = build_model(models.get(architecture)(**fields), TensorType((64, 64, 3)), 5)
    rng = np.random.default_rng(0)
    values = {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in graph.weights()}
    published = weights.export(graph, values, map)
    for new, old in older:
        published = {re.sub(new, old, name): value for name, value in published.items()}
    assert example in published
    for prefix in ("", "module."):
        back, account = weights.load(graph, {prefix + name: value for name, value in published.items()})
        assert account.map == map and not account.unused
        for name, value in values.items():
            np.testing.assert_array_equal(back[name], value)
