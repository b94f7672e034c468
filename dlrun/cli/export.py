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
    inside and the batch size is free; the JSON beside the file says which values it takes. The file is run
    by its own runtime and compared with the run on real samples before it is kept.
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
                "input_range": result.input_range,
                "from_8_bit_image": result.from_8_bit,
            }
        )
        return
    render.records(result.checks)
    render.line(f"{result.format}, {result.size_bytes:,} bytes: {result.path}")
    if result.input_range and result.from_8_bit:
        low, high = result.input_range
        text = f"its input holds values {low:g}..{high:g}, as stored; values v of an 8-bit image become "
        render.notes([text + result.from_8_bit])
    render.next_steps(_next(result.format, str(result.path), quote(run)))


def _next(format: str, path: str, run: str) -> list[tuple[str, str]]:
    from json import dumps
    from shlex import quote

    # a JSON string is a Python string as well, and its double quotes stay readable inside the shell's single ones
    file = dumps(path, ensure_ascii=False)
    load = {
        "onnx": f"import onnxruntime as o; print(o.InferenceSession({file}).get_inputs()[0])",
        "torch_export": f"import torch; print(torch.export.load({file}))",
        "saved_model": f"import tensorflow as t; print(t.saved_model.load({file}).signatures)",
        "keras": f"import keras; keras.saving.load_model({file}).summary()",
    }.get(format)
    other = "onnx" if format != "onnx" else None
    steps = [(f"python -c {quote(load)}", "look at it, without dlrun")] if load else []
    steps += [(f"dlrun export {run} format={other}", "another format")] if other else []
    return [*steps, (f"dlrun eval {run}", "the run's own metrics")]
