"""``dlrun export``: a model file that runs without dlrun."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.arguments import Json, Overrides, one_target, take
from dlrun.errors import DlrunError

EXAMPLES = """\
dlrun export outputs/mnist/RUN format=onnx
dlrun export outputs/mnist/RUN format=torch_export  # .pt2, from torch
dlrun export outputs/mnist/RUN format=saved_model backend=tensorflow
dlrun export outputs/mnist/RUN format=onnx out=digits.onnx"""


def export(
    target: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run directory or one of its checkpoints.", show_default=False),
    ] = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Write a trained model as a file that needs no dlrun.

    `format=` is `onnx`, `torch_export`, `saved_model` or `keras`; `out=` names the file. Preprocessing is
    inside and the batch size is free. The file is run by its own runtime and compared with the run on
    real samples before it is kept.
    """
    from pathlib import Path
    from shlex import quote

    from dlrun.cli import render

    run, words = one_target(target, overrides, "export")
    format, words = take(words, "format")
    out, words = take(words, "out")
    from dlrun.export.formats import FORMATS

    if format is None:
        raise DlrunError(
            "missing-format",
            "`dlrun export` needs `format=`.",
            hint="One of " + ", ".join(f"`{name}`" for name in FORMATS) + f": dlrun export {run} format=onnx",
        )
    from dlrun.export import export as export_run

    result = export_run(Path(run), format, out=Path(out) if out is not None else None, overrides=words)
    if json:
        render.print_json(
            {
                "path": result.path,
                "format": result.format,
                "size_bytes": result.size_bytes,
                "checks": result.checks,
            }
        )
        return
    render.records(result.checks)
    render.line(f"{result.format}, {result.size_bytes:,} bytes: {result.path}")
    render.next_steps(_next(result.format, quote(str(result.path)), quote(run)))


def _next(format: str, path: str, run: str) -> list[tuple[str, str]]:
    load = {
        "onnx": f'import onnxruntime as o; print(o.InferenceSession("{path}").get_inputs()[0])',
        "torch_export": f'import torch; print(torch.export.load("{path}"))',
        "saved_model": f'import tensorflow as t; print(t.saved_model.load("{path}").signatures)',
        "keras": f'import keras; keras.saving.load_model("{path}").summary()',
    }.get(format)
    other = "onnx" if format != "onnx" else None
    steps = [(f"python -c '{load}'", "look at it, without dlrun")] if load else []
    steps += [(f"dlrun export {run} format={other}", "another format")] if other else []
    return [*steps, (f"dlrun eval {run}", "the run's own metrics")]
