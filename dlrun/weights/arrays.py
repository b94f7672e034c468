"""Files of named arrays: their names and shapes at once, their values when asked for. Nothing is unpickled here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

import numpy as np

from dlrun.errors import DlrunError

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_NAMES = {name: str(np.dtype(dtype)) for name, dtype in _DTYPES.items()} | {"BF16": "bfloat16"}
_LONGEST_HEADER = 100_000_000
_MOST_AXES = 32
_MOST_BYTES = 2**62
"""What numpy can describe; it counts the axes beside one of length 0, too."""
_TORCH = (".pth", ".pt", ".bin", ".ckpt")
_KERAS = (".h5", ".hdf5", ".keras")


class Arrays:
    """Named arrays of a file.

    Args:
        shapes: Of every array, by name.
        types: What their numbers are called (``float32``), by name.
        origin: What messages call them.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], types: Mapping[str, str], origin: str) -> None:
        self.shapes = dict(shapes)
        self.types = dict(types)
        self.origin = origin

    def read(self, name: str) -> np.ndarray:
        """One array; half-precision numbers as float32."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __contains__(self, name: object) -> bool:
        return name in self.shapes


class InMemory(Arrays):
    """Arrays that are there already.

    Args:
        values: By name.
        origin: What messages call them.
    """

    def __init__(self, values: Mapping[str, np.ndarray], origin: str = "the arrays") -> None:
        self._values = {name: np.asarray(v) for name, v in values.items()}
        shapes = {name: v.shape for name, v in self._values.items()}
        super().__init__(shapes, {name: str(v.dtype) for name, v in self._values.items()}, origin)

    def read(self, name: str) -> np.ndarray:
        values = self._values[name]
        return values.astype(np.float32) if values.dtype == np.float16 else values


class Safetensors(Arrays):
    """A safetensors file: a length, a JSON header, then plain numbers.

    Args:
        path: The file.

    Raises:
        DlrunError: ``unreadable-weights``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with open(path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 2 <= length <= min(_LONGEST_HEADER, path.stat().st_size - 8):
                    raise ValueError("its header has no length that fits the file")
                header = json.loads(file.read(length))
            if not isinstance(header, dict):
                raise ValueError("its header is no mapping")
            header.pop("__metadata__", None)
            self._start = 8 + length
            self._entries = {name: _entry(name, entry) for name, entry in header.items()}
            end = max((stop for _, _, _, stop in self._entries.values()), default=0)
            if self._start + end > path.stat().st_size:
                raise ValueError("it is cut off")
        except OSError as error:
            raise unreadable(path, error.strerror or str(error)) from None
        except RecursionError:
            raise unreadable(path, "its header is nested too deep") from None
        except ValueError as error:
            raise unreadable(path, str(error)) from None
        shapes = {name: shape for name, (_, shape, _, _) in self._entries.items()}
        super().__init__(shapes, {name: _NAMES[dtype] for name, (dtype, *_) in self._entries.items()}, str(path))

    def read(self, name: str) -> np.ndarray:
        dtype, shape, start, stop = self._entries[name]
        try:
            with open(self._path, "rb") as file:
                file.seek(self._start + start)
                raw = file.read(stop - start)
        except OSError as error:
            raise unreadable(self._path, error.strerror or str(error)) from None
        if len(raw) != stop - start:
            raise unreadable(self._path, "it has been cut off since it was opened")
        if dtype == "BF16":  # the upper half of a float32
            return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        values = np.frombuffer(raw, _DTYPES[dtype]).reshape(shape)
        return values.astype(np.float32) if dtype == "F16" else values


def _entry(name: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    name.encode()  # half of a surrogate pair could not be printed
    if not isinstance(entry, dict):
        raise ValueError(f"its header describes `{name}` by no mapping")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"numbers of type {ascii(dtype)[:40]} are not known")
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > _MOST_AXES:
        raise ValueError(f"its header gives `{name}` a shape or place that cannot be")
    (start, stop), size = offsets, np.dtype(_DTYPES[dtype]).itemsize
    if stop - start != math.prod(shape) * size or math.prod(n for n in shape if n) * size > _MOST_BYTES:
        raise ValueError("its header does not fit its shapes")
    return dtype, tuple(shape), start, stop


def _counts(values: object) -> TypeGuard[list[int]]:
    """Whether these are whole numbers from 0 that could say how much of something a file has."""
    return isinstance(values, list) and all(type(n) is int and 0 <= n <= _MOST_BYTES for n in values)


def open_arrays(path: Path, *, frameworks: bool = True) -> Arrays | None:
    """The arrays of a file or of a checkpoint folder, by what its name ends in.

    Args:
        path: The file.
        frameworks: Whether torch may be imported for its own files; without, such a file gives None.

    Raises:
        DlrunError: ``missing-weights``, ``unreadable-weights``, ``backend-not-installed``.
    """
    if path.is_dir():
        path = path / "weights.safetensors"
    if not path.is_file():
        raise DlrunError("missing-weights", f"there is no file `{path}`.", path=("model", "weights"))
    if path.suffix in _KERAS:
        from dlrun.weights.hdf5 import open_hdf5

        return open_hdf5(path)
    if path.suffix in _TORCH:
        if not frameworks:
            return None
        return InMemory(_read_torch(path), str(path))
    if path.suffix != ".safetensors":
        raise unreadable(path, "files end in .safetensors, .h5, .keras, .pth, .pt or .bin")
    return Safetensors(path)


def _read_torch(path: Path) -> Mapping[str, np.ndarray]:
    import importlib

    from dlrun.backends import check_backend

    try:
        check_backend("torch")
    except DlrunError as error:
        error.path = ("model", "weights")
        error.message = f"`{path.name}` is torch's own format, and torch is not installed."
        error.hint = "Save it as safetensors where torch is, or install torch."
        raise
    arrays: Mapping[str, np.ndarray] = importlib.import_module("dlrun.backends.torch.foreign").read_arrays(path)
    return arrays


def unreadable(path: Path, why: str) -> DlrunError:
    """``unreadable-weights``."""
    return DlrunError("unreadable-weights", f"`{path}` cannot be read: {why}.", path=("model", "weights"))
