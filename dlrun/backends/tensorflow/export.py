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
        multiplier, offset = (a.astype(np.float32) for a in plan.affine)
        signature = plan.signature
        spec = tf.TensorSpec((None, *signature.input.shape), signature.stored_dtype, name="input")

        @tf.function(autograph=False, input_signature=[spec])
        def serve(input: tf.Tensor) -> dict[str, tf.Tensor]:
            ids = plan.input_dtype == "int64"
            x = tf.cast(input, tf.int64) if ids else tf.cast(input, tf.float32) * multiplier + offset
            output = network.model(x, training=False)
            return {"output": output[0] if isinstance(output, list) else output}

        self.serve = serve


def export_model(plan: Plan, weights: dict[str, np.ndarray], format: str, target: Path) -> None:
    """Write the model as ``saved_model``, ``keras`` or ``onnx``; see ``dlrun.backends.base.Backend.export``."""
    with _quiet(), tf.device("/cpu:0"):
        if format == "keras":
            model: keras.Model = stock_model(plan.graph, weights, plan.affine, plan.signature.stored_dtype)
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
