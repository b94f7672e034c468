"""Keras' weight files: the older ``.h5`` by layer names, ``.weights.h5`` and ``.keras`` by classes and positions."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.weights.arrays import Arrays, InMemory, unreadable


def open_hdf5(path: Path) -> Arrays:
    """The arrays of a Keras file.

    Of an ``.h5`` by layers they are called ``<layer>/<weight>`` (``block_1_expand/kernel``), of the others as the
    groups in the file (``layers/conv2d_1/0``). What else a ``.keras`` file holds is not looked at.

    Raises:
        DlrunError: ``unreadable-weights``.
    """
    try:
        import h5py
    except ImportError:
        raise unreadable(path, "the package h5py is not installed") from None
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                source: Any = io.BytesIO(archive.read("model.weights.h5"))
        else:
            source = path
        with h5py.File(source, "r") as file:
            root = file.get("model_weights", file)
            found = _by_layer(root) if "layer_names" in root.attrs else _by_group(root, h5py.Dataset)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise unreadable(path, " ".join(str(error).split())) from None
    return InMemory(found, str(path))


def _by_layer(root: Any) -> dict[str, np.ndarray]:
    found = {}
    for layer in map(_text, root.attrs["layer_names"]):
        for full in map(_text, root[layer].attrs.get("weight_names", ())):
            leaf = full.rpartition("/")[2].partition(":")[0]
            found[f"{layer}/{leaf}"] = np.asarray(root[layer][full])
    return found


def _by_group(root: Any, dataset: type) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, dataset) and "/vars/" in f"/{name}" and "optimizer" not in name:
            owner, _, number = name.rpartition("/vars/")
            found[f"{owner}/{number}"] = np.asarray(item)

    root.visititems(visit)
    return found


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
