"""Weights between variables and canonical arrays; TensorFlow's layout is the canonical one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from dlrun.backends.mismatch import mismatches, refuse

Variables = Mapping[str, tf.Variable]
"""Variables by canonical name."""


def read(variables: Variables) -> dict[str, np.ndarray]:
    """A copy of every variable."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def shapes(variables: Variables) -> dict[str, tuple[int, ...]]:
    """The shape of every variable."""
    return {name: tuple(variable.shape) for name, variable in variables.items()}


def write(variables: Variables, arrays: Mapping[str, np.ndarray]) -> None:
    """Set the variables that ``arrays`` names, all of which fit."""
    for name, array in arrays.items():
        variables[name].assign(np.asarray(array, variables[name].dtype.as_numpy_dtype))


def load(variables: Variables, arrays: Mapping[str, np.ndarray]) -> None:
    """Set the weights that ``arrays`` names.

    Raises:
        DlrunError: ``checkpoint-mismatch`` naming every unknown weight and wrong shape.
    """
    refuse(mismatches("weight", arrays, shapes(variables)))
    write(variables, arrays)
