"""``dlrun eval``: metrics of a run or one of its checkpoints."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.arguments import Json, Overrides, one_target, take

EXAMPLES = """\
dlrun eval outputs/mnist/RUN  # its best checkpoint, test split
dlrun eval outputs/mnist/RUN/checkpoints/step-00000430  # one checkpoint
dlrun eval outputs/mnist/RUN split=validation
dlrun eval outputs/mnist/RUN backend=tensorflow  # not the backend that trained it"""


def evaluate(
    target: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run directory or one of its checkpoints.", show_default=False),
    ] = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Evaluate a run, or one checkpoint of it.

    `split=` is `train`, `validation` or `test` (the default). Overrides such as `backend=`, `device=`
    or `data.root=` may differ from the run's own.
    """
    from pathlib import Path
    from shlex import quote

    from dlrun.cli import render

    run, words = one_target(target, overrides, "eval")
    split, words = take(words, "split")
    from dlrun.run.evaluate import evaluate as evaluate_run

    result = evaluate_run(Path(run), split=split or "test", overrides=words)
    if json:
        render.print_json(
            {
                "run": result.run,
                "checkpoint": result.checkpoint,
                "split": result.split,
                "backend": result.backend,
                "samples": result.samples,
                "of": result.of,
                "metrics": result.metrics,
            }
        )
        return
    render.table(("metric", "value"), render.scalars(result.metrics).items(), right=("value",))
    for name, value in result.metrics.items():
        if name not in render.scalars(result.metrics):
            render.line(f"{name}:")
            render.matrix(value)
    capped = result.samples < result.of
    part, why = (f"{result.samples:,} of {result.of:,}", " (train.limit_batches)") if capped else (f"{result.of:,}", "")
    render.line(f"{part} samples of `{result.split}`{why} on {result.backend}, checkpoint {result.checkpoint.name}")
    where = quote(run)  # as given: a checkpoint that was named is the one to go on with
    render.next_steps(
        [
            (f"dlrun predict {where} image.png", "classify your own images"),
            (f"dlrun export {where} format=onnx", "write a model file that needs no dlrun"),
        ]
    )
