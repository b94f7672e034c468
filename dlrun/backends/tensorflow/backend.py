"""TensorFlow as a backend: compile, devices, export."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlrun.backends.tensorflow import device
from dlrun.backends.tensorflow.engine import TensorFlowEngine
from dlrun.plan import Plan


class TensorFlow:
    """The TensorFlow backend; see ``dlrun.backends.base.Backend``."""

    name = "tensorflow"
    export_formats: tuple[str, ...] = ("saved_model", "keras", "onnx")

    def compile(self, plan: Plan) -> TensorFlowEngine:
        """Build the model with its initial weights on the recipe's device."""
        return TensorFlowEngine(plan)

    def devices(self) -> list[str]:
        """Devices seen, e.g. ``["cpu", "cuda:0"]``."""
        return device.seen()

    def export(self, plan: Plan, weights: dict[str, np.ndarray], format: str, target: Path) -> None:
        """Write an artefact of the model with preprocessing inside."""
        from dlrun.backends.tensorflow.export import export_model

        export_model(plan, weights, format, target)
