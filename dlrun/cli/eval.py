"""``dlrun eval``: metrics of a run or one of its checkpoints."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.arguments import Json, Overrides, one_target, take

EXAMPLES = """\
dlrun eval outputs/mnist/RUN  # its best checkpoint, test split
dlrun eval outputs/mnist/RUN/checkpoints/step-00000430  # one checkpoint
dlrun eval outputs/mnist/RUN split=validation
dlrun eval outputs/mnist/RUN backend=tensorflow  # not the backend that trained it
dlrun eval outputs/mnist/RUN --no-report  # the metrics alone"""


def evaluate(
    target: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run directory or one of its checkpoints.", show_default=False),
    ] = None,
    overrides: Overrides = None,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Do not write RUN/eval/SPLIT-CHECKPOINT/report.html.")
    ] = False,
    json: Json = False,
) -> None:
    """Evaluate a run, or one checkpoint of it.

    The report is a folder below RUN/eval: a page with the figures of each class, the confusion matrix, the most
    confident mistakes and the calibration (or of numbers the residuals and the largest errors), its pictures,
    metrics.json, and predictions.jsonl with every sample's label and prediction.

    `split=` is `train`, `validation` or `test` (the default). Overrides such as `backend=`, `device=`
    or `data.root=` may differ from the run's own.
    """
    from pathlib import Path
    from shlex import quote

    from dlrun.cli import render

    run, words = one_target(target, overrides, "eval")
    split, words = take(words, "split")
    from dlrun.run.evaluate import evaluate as evaluate_run

    result = evaluate_run(Path(run), split=split or "test", overrides=words, report=not no_report)
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
                **({"undefined": result.undefined} if result.undefined else {}),
                **({"report": {p.name: p for p in result.report}} if result.report else {}),
            }
        )
        return
    values = {k: v for k, v in result.metrics.items() if v is None or k in render.scalars(result.metrics)}
    rows = [(k, "undefined" if v is None else v) for k, v in values.items()]
    render.table(("metric", "value"), rows, right=("value",))
    for name, value in result.metrics.items():
        if name not in values:
            render.line(f"{name}:")
            render.matrix(value)
    for name, why in result.undefined.items():
        render.line(f"`{name}` has no value: {why}.")
    capped = result.samples < result.of
    part, why = (f"{result.samples:,} of {result.of:,}", " (train.limit_batches)") if capped else (f"{result.of:,}", "")
    render.line(f"{part} samples of `{result.split}`{why} on {result.backend}, checkpoint {result.checkpoint.name}")
    where = quote(run)  # as given: a checkpoint that was named is the one to go on with
    report = [(f"open {quote(str(result.report[0]))}", "where the model is wrong")] if result.report else []
    render.next_steps(
        [
            *report,
            *([(f"dlrun predict {where} {result.file}", "predict files of your own")] if result.file else []),
            (f"dlrun export {where} format=onnx", "write a model file that needs no dlrun"),
        ]
    )
