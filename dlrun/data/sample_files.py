"""Samples in files of their own, for prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlrun.data.images import SUFFIXES, read_images
from dlrun.data.npz import load_single
from dlrun.data.numbers import as_float32
from dlrun.data.source import Signature
from dlrun.errors import DlrunError


def read_samples(files: Sequence[Path], signature: Signature) -> np.ndarray:
    """One sample per file: ``.npy`` or ``.npz`` arrays as stored; images where samples are 8-bit ones.

    Shapes: (len(files), *signature.input.shape).

    Raises:
        DlrunError: ``predict-needs-arrays``, ``unreadable-file``, ``unreadable-image``, ``wrong-array``,
            ``not-finite``, ``inexact-integer`` or ``id-out-of-range``.
    """
    shape = signature.input.shape
    out = np.empty((len(files), *shape), signature.stored_dtype)
    for i, path in enumerate(map(Path, files)):
        if path.suffix.lower() in (".npy", ".npz"):
            out[i] = _fitted(load_single(path), signature, path)
        elif len(shape) == 3 and shape[-1] in (1, 3) and signature.stored_dtype == "uint8":
            out[i] = read_images([path], shape)[0]
        elif path.suffix.lower() in SUFFIXES:
            raise DlrunError(
                "predict-needs-arrays",
                f"`{path}` is an image, but this model reads arrays of shape {shape} and {signature.stored_dtype}.",
                hint="Give `.npy` files that hold one sample each.",
            )
        else:
            raise DlrunError("unreadable-file", f"`{path}` is neither a `.npy` nor a `.npz` file.")
    return out


def _fitted(array: np.ndarray, signature: Signature, path: Path) -> np.ndarray:
    array = _shaped(array, signature, path)
    if signature.input.dtype == "int":
        if array.dtype.kind not in "iu":
            raise DlrunError("wrong-array", f"`{path}` holds `{array.dtype}`, but this model reads integer ids.")
        count = signature.vocabulary
        if array.size and not (array.min() >= 0 and (count is None or array.max() < count)):
            wrong = array.min() if array.min() < 0 else array.max()
            raise DlrunError(
                "id-out-of-range",
                f"`{path}` has the id `{wrong}`; this model knows 0 to {(count or 0) - 1}.",
                hint="Write unknown ids as the one that stood for them in training.",
            )
    elif signature.stored_dtype == "float32":
        array = as_float32(array, f"`{path}`", ())
    return array


def _shaped(array: np.ndarray, signature: Signature, path: Path) -> np.ndarray:
    shape = signature.input.shape
    if array.shape not in (shape, (1, *shape), (*shape[:-1],) if shape[-1] == 1 else shape):
        raise DlrunError(
            "wrong-array",
            f"`{path}` holds an array of shape `{array.shape}`, but one sample has {shape}.",
            hint="Give one file per sample.",
        )
    if array.dtype.kind not in "iubf":
        raise DlrunError("wrong-array", f"`{path}` holds `{array.dtype}`, not numbers.")
    if signature.stored_dtype == "uint8" and array.dtype != np.dtype("u1"):
        raise DlrunError("wrong-array", f"`{path}` holds `{array.dtype}`, but samples are stored as uint8.")
    return array.reshape(shape)
