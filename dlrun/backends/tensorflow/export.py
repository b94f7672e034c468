"""Writing TensorFlow artefacts: ``saved_model``, ``keras`` and ONNX."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.model import build
from dlrun.backends.tensorflow.stock import stock_model
from dlrun.backends.tensorflow.weights import write
from dlrun.plan import Plan

OPSET = 18
"""The same as torch's exporter writes; the highest that tf2onnx knows."""


class Served(tf.Module):
    """A model with its preprocessing, from stored samples to outputs.

    Args:
        plan: The model and its data.
        weights: Canonical, by ``<node>.<weight>``.
    """

    def __init__(self, plan: Plan, weights: dict[str, np.ndarray]) -> None:
        super().__init__(name="served")
        network = build(plan.graph, "float32")
        write(network.weights, weights)
        self.weights = list(network.weights.values())  # tracked, so that they are saved with the function
        how, stored_dtype = plan.preprocessing, plan.signature.stored_dtype
        wide = tf.float64 if stored_dtype == "float64" else tf.float32
        spec = tf.TensorSpec((None, *plan.graph.input.shape), stored_dtype, name="input")

        @tf.function(autograph=False, input_signature=[spec])
        def serve(input: tf.Tensor) -> dict[str, tf.Tensor]:
            if plan.input_dtype == "int64":
                x = tf.cast(input, tf.int64)
            else:
                x = tf.cast(input, wide)
                if how.fill is not None:
                    x = tf.where(tf.math.is_nan(x), tf.constant(how.fill, wide), x)
                x = tf.cast(x * tf.constant(how.multiplier, wide) + tf.constant(how.offset, wide), tf.float32)
            output = network.model(x, training=False)
            return {"output": output[0] if isinstance(output, list) else output}

        self.serve = serve


def export_model(plan: Plan, weights: dict[str, np.ndarray], format: str, target: Path) -> None:
    """Write the model as ``saved_model``, ``keras`` or ``onnx``; see ``dlrun.backends.base.Backend.export``."""
    with _quiet(), tf.device("/cpu:0"):
        if format == "keras":
            model: keras.Model = stock_model(plan.graph, weights, plan.preprocessing, plan.signature.stored_dtype)
            model.save(target)
            return
        served = Served(plan, weights)
        if format == "onnx":
            import tf2onnx

            import dlrun.backends.tensorflow.onnx_ops  # noqa: F401  (registers)

            tf2onnx.convert.from_function(
                served.serve, input_signature=served.serve.input_signature, opset=OPSET, output_path=str(target)
            )
        else:
            tf.saved_model.save(served, str(target), signatures={"serving_default": served.serve})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep exporters from telling each of their steps; what goes wrong is raised."""
    loggers = [logging.getLogger(n) for n in ("tensorflow", "absl", "tf2onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
