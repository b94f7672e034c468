"""``dlrun predict``: what a trained model says of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.arguments import Json, either, missing_run, split_words, take
from dlrun.errors import DlrunError, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dlrun.run.predict import Prediction

EXAMPLES = """\
dlrun predict outputs/mnist/RUN image.png
dlrun predict outputs/mnist/RUN photos/ more/scan.png  # folders are searched for images
dlrun predict outputs/mnist/RUN photos/ --out labels.jsonl  # or .csv
dlrun predict outputs/mnist/RUN image.png backend=tensorflow"""
_ROWS = 40


def predict(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN FILE... [KEY=VALUE]...",
            help="A run directory or checkpoint, then image files and folders, and overrides anywhere.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="A .csv or .jsonl file; the same as output=FILE. Default: predictions.csv in the run directory.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Predict files with a trained run.

    Draws a table and writes every prediction to a file. A file that cannot be read is reported, the others are
    predicted, and the exit code is 1.
    """
    from pathlib import Path

    bare, overrides = split_words(words)
    asked, overrides = take(overrides, "output")
    if not bare:
        raise missing_run("predict")
    if len(bare) == 1:
        raise DlrunError(
            "no-input",
            "`dlrun predict` needs files or folders to predict.",
            hint=f"For example: dlrun predict {bare[0]} image.png",
        )
    from dlrun.run.directory import open_run

    named = either(out, "--out", asked, "output")
    target = Path(named) if named is not None else open_run(bare[0]).path / "predictions.csv"
    if target.suffix.lower() not in (".csv", ".jsonl"):
        raise DlrunError(
            "unknown-format", f"`{target}` is neither .csv nor .jsonl.", hint="Choose one of the two endings."
        )
    from dlrun.run.predict import predict as predict_files

    unread: dict[Path, DlrunError] = {}
    notes: list[str] = []
    files = [Path(p) for p in bare[1:]]
    predictions = predict_files(Path(bare[0]), files, overrides=overrides, unread=unread, notes=notes)
    _write(target, predictions)
    _report(bare[0], predictions, unread, notes, target, json)
    if unread:
        raise typer.Exit(1)


def _write(target: Path, predictions: Sequence[Prediction]) -> None:
    from dlrun.files import write_atomic

    text = _jsonl(predictions) if target.suffix.lower() == ".jsonl" else _csv(predictions)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, text.encode("utf-8", errors="surrogateescape"))
    except OSError as error:
        raise RunError(
            "cannot-write",
            f"`{target}` cannot be written: {error.strerror}.",
            hint="Name another file: --out FILE",
        ) from None


def _csv(predictions: Sequence[Prediction]) -> str:
    import csv
    import io

    columns = list(dict.fromkeys(name for p in predictions for name in p.answer.cells))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *columns])
    for p in predictions:
        cells = [p.answer.cells.get(name) for name in columns]
        writer.writerow([p.file, *(repr(c) if isinstance(c, float) else c for c in cells)])
    return text.getvalue()


def _jsonl(predictions: Sequence[Prediction]) -> str:
    import json

    return "".join(json.dumps(_as_dict(p), ensure_ascii=False) + "\n" for p in predictions)


def _as_dict(p: Prediction) -> dict[str, object]:
    return {"file": p.file, **p.answer.said}


def _report(
    run: str,
    predictions: Sequence[Prediction],
    unread: Mapping[Path, DlrunError],
    notes: Sequence[str],
    target: Path,
    json: bool,
) -> None:
    from shlex import quote

    from dlrun.cli import render

    for error in unread.values():
        render.errors(error)
    if json:
        errors = [{**error.as_dict(), "file": str(file)} for file, error in unread.items()]
        made = [_as_dict(p) for p in predictions]
        render.print_json({"file": target, "predictions": made, "notes": notes, "errors": errors})
        return
    render.notes(notes)
    columns = list(predictions[0].answer.shown)
    numbers = [name for name in columns if isinstance(predictions[0].answer.shown[name], float)]
    rows = [(p.file, *p.answer.shown.values()) for p in predictions[:_ROWS]]
    render.table(("file", *columns), rows, right=numbers)
    if len(predictions) > _ROWS:
        render.line(f"… and {len(predictions) - _ROWS:,} more")
    missing = f"; {len(unread):,} could not be read" if unread else ""
    render.line(f"{len(predictions):,} predictions written to {target}{missing}")
    render.next_steps(
        [
            (f"dlrun eval {quote(run)}", "how far to trust them"),
            (f"dlrun export {quote(run)} format=onnx", "write a model file that needs no dlrun"),
        ]
    )
