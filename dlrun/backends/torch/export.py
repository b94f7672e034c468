"""Writing torch artefacts: ``torch_export`` (.pt2) and ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.model import build
from dlrun.data.preprocessing import Preprocessing
from dlrun.plan import Plan

OPSET = 18
"""The set of ONNX operators that torch's exporter speaks natively; other sets are converted from it."""


class Served(nn.Module):
    """A model with its preprocessing, from stored samples to outputs.

    Args:
        model: Native module in evaluation mode.
        how: What is done to stored values.
        ids: Whether the input is ids, which preprocessing leaves alone.
        stored_dtype: Of the input.

    Shapes: (N, *, C) as stored -> (N, *), channels last.
    """

    multiplier: torch.Tensor
    offset: torch.Tensor
    fill: torch.Tensor | None

    def __init__(self, model: nn.Module, how: Preprocessing, ids: bool, stored_dtype: str) -> None:
        super().__init__()
        self.model = model
        self.ids = ids
        self.wide = torch.float64 if stored_dtype == "float64" else torch.float32
        for name in ("multiplier", "offset", "fill"):
            values = getattr(how, name)
            self.register_buffer(name, None if values is None else torch.tensor(values, dtype=self.wide))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if self.ids:
            x = input.to(torch.int64)
        else:
            x = input.to(self.wide)
            x = x if self.fill is None else torch.where(torch.isnan(x), self.fill, x)
            x = (x * self.multiplier + self.offset).to(torch.float32)
        output = self.model(to_native(x))
        return to_canonical(output[0] if isinstance(output, tuple) else output)


def export_model(plan: Plan, weights: dict[str, np.ndarray], format: str, target: Path) -> None:
    """Write the model as ``torch_export`` or ``onnx``; see ``dlrun.backends.base.Backend.export``."""
    native = build(plan.graph, weights, torch.device("cpu"), torch.float32).module
    stored_dtype = plan.signature.stored_dtype
    served = Served(native, plan.preprocessing, plan.graph.input.dtype == "int", stored_dtype).eval()
    # two samples: one would be taken for a constant
    example = torch.from_numpy(np.zeros((2, *plan.graph.input.shape), stored_dtype))
    with _quiet(), torch.no_grad():
        program = torch.export.export(served, (example,), dynamic_shapes=({0: torch.export.Dim("N", min=1)},))
        if format == "onnx":
            torch.onnx.export(
                program,
                (),
                str(target),
                dynamo=True,
                verbose=False,
                input_names=["input"],
                output_names=["output"],
                opset_version=OPSET,
                external_data=False,
            )
        else:
            program.example_inputs = None  # it would be stored as a pickle
            archive = io.BytesIO()  # on a full disk, writing to a file ends the process in a C++ destructor
            torch.export.save(program, archive)
            target.write_bytes(archive.getbuffer())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep exporters from telling each of their steps; what goes wrong is raised."""
    loggers = [logging.getLogger(n) for n in ("torch.onnx", "torch.export", "torch._export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
