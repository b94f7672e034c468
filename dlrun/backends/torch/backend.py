"""PyTorch as a backend: compile, devices, export."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlrun.backends.torch import device
from dlrun.backends.torch.engine import TorchEngine
from dlrun.plan import Plan


class Torch:
    """The PyTorch backend; see ``dlrun.backends.base.Backend``."""

    name = "torch"
    export_formats: tuple[str, ...] = ("torch_export", "onnx")

    def compile(self, plan: Plan) -> TorchEngine:
        """Build the model with its initial weights on the recipe's device."""
        return TorchEngine(plan)

    def devices(self) -> list[str]:
        """Devices seen, e.g. ``["cpu", "cuda:0"]``."""
        return device.seen()

    def export(self, plan: Plan, weights: dict[str, np.ndarray], format: str, target: Path) -> None:
        """Write an artefact of the model with preprocessing inside."""
        from dlrun.backends.torch.export import export_model

        export_model(plan, weights, format, target)
