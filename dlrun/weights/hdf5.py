"""Keras' weight files: the older ``.h5`` by layer names, ``.weights.h5`` and ``.keras`` by classes and positions."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.weights.arrays import Arrays, InMemory, unreadable

_ODD = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, EOFError),
)
"""What the readers raise on files that are not as they should be."""
_DENSEST = 1100
"""Deflate makes numbers at most 1032 times smaller."""


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
            if not isinstance(root, h5py.Group):
                raise ValueError("its `model_weights` is no group")
            layers = _names(root, "layer_names")
            found = _by_group(root) if layers is None else _by_layer(root, layers)
    except _ODD as error:
        raise unreadable(path, " ".join(str(error).split()) or type(error).__name__) from None
    return InMemory(found, str(path))


def _by_layer(root: Any, layers: list[str]) -> dict[str, np.ndarray]:
    """By short names (``lstm/kernel``); where a layer has several of one name, each with the path before it."""
    found: dict[str, np.ndarray] = {}
    for layer in layers:
        paths = dict.fromkeys(_names(root[layer], "weight_names") or ())
        leaves = Counter(_leaf(path) for path in paths)
        for path in paths:
            short = f"{layer}/{_leaf(path)}"
            if leaves[_leaf(path)] > 1:
                short = f"{layer}/{path.removeprefix(f'{layer}/').rpartition(':')[0] or path}"
            if short in found:
                raise ValueError(f"it has two arrays that are called `{short}`")
            found[short] = _values(root[layer], path)
    return found


def _by_group(root: Any) -> dict[str, np.ndarray]:
    names: list[str] = []
    root.visit(names.append)
    found = {}
    for name in names:
        owner, vars, number = f"/{name}".rpartition("/vars/")
        if vars and "optimizer" not in name and hasattr(root[name], "dtype"):
            found[f"{owner[1:]}/{number}"] = _values(root, name)
    return found


def _leaf(path: str) -> str:
    return path.rpartition("/")[2].partition(":")[0]


def _names(group: Any, name: str) -> list[str] | None:
    """A list of names; Keras spreads a long one over ``name0``, ``name1``, …; None where there is none."""
    parts = [name] if name in group.attrs else []
    while parts[:1] != [name] and f"{name}{len(parts)}" in group.attrs:
        parts.append(f"{name}{len(parts)}")
    if not parts:
        return None
    found: list[str] = []
    for value in (v for part in parts for v in np.ravel(group.attrs[part])):
        text = value.decode() if isinstance(value, bytes) else value
        if not isinstance(text, str):
            raise ValueError(f"its `{name}` are no names")
        found.append(str(text))
    return found


def _values(group: Any, path: str) -> np.ndarray:
    """A dataset of this very file that holds as many numbers as it says."""
    item = group[path]
    if not hasattr(item, "dtype") or item.dtype.kind not in "fiub":
        raise ValueError(f"`{path}` holds no numbers")
    if item.external or item.is_virtual or item.file.filename != group.file.filename:
        raise ValueError(f"`{path}` is kept in another file")
    packed = item.id.get_create_plist().get_nfilters() > 0
    most = item.id.get_storage_size() * (_DENSEST if packed else 1)
    if item.nbytes > most:
        raise ValueError(f"`{path}` of shape {item.shape} is not all there")
    return np.asarray(item)
