"""Weights between variables and canonical arrays; TensorFlow's layout is the canonical one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from dlrun.errors import DlrunError

Variables = Mapping[str, tf.Variable]
"""Variables by canonical name."""


def read(variables: Variables) -> dict[str, np.ndarray]:
    """A copy of every variable."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def write(variables: Variables, arrays: Mapping[str, np.ndarray]) -> None:
    """Set the variables that ``arrays`` names, all of which fit."""
    for name, array in arrays.items():
        variables[name].assign(np.asarray(array, variables[name].dtype.as_numpy_dtype))


def load(variables: Variables, arrays: Mapping[str, np.ndarray]) -> None:
    """Set the weights that ``arrays`` names.

    Raises:
        DlrunError: ``checkpoint-mismatch`` naming every unknown weight and wrong shape.
    """
    refuse(mismatches("weight", arrays, variables))
    write(variables, arrays)


def mismatches(what: str, arrays: Mapping[str, np.ndarray], variables: Variables) -> Iterator[str]:
    """What does not fit the model, one phrase each."""
    for name, array in arrays.items():
        if name not in variables:
            yield f"{what} `{name}` is not in the model"
        elif np.shape(array) != tuple(variables[name].shape):
            yield f"{what} `{name}` has shape {np.shape(array)}, the model's has {tuple(variables[name].shape)}"


def refuse(problems: Iterable[str]) -> None:
    """Raise ``checkpoint-mismatch`` if there are any."""
    found = list(problems)
    if found:
        more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
        raise DlrunError(
            "checkpoint-mismatch",
            "the checkpoint does not fit this model: " + "; ".join(found[:8]) + more + ".",
            hint="Use the recipe the checkpoint was written with.",
        )
