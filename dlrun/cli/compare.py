"""``dlrun compare``: a recipe on both backends, or two runs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.arguments import ConfigDir, Json, split_words, take, with_recipe
from dlrun.cli.bar import bar
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from pathlib import Path

    from dlrun.compare.backends import Report
    from dlrun.compare.runs import ComparedRuns

EXAMPLES = """\
dlrun compare digits  # both backends, float64 and float32, about a minute
dlrun compare ./my_recipe.yaml optimizer=sgd data.batch_size=16
dlrun compare mnist --dtype float64 --steps 5 --no-speed  # the quick proof
dlrun compare mnist --json  # exit code 1 when a promise is broken
dlrun compare outputs/mnist/RUN  # what that run was made with, on both backends
dlrun compare outputs/mnist/RUN outputs/mnist/OTHER  # two runs: curves and weights"""
_DTYPES = {"float64": ("float64",), "float32": ("float32",), "both": ("float64", "float32")}


def compare(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE|RUN [RUN] [KEY=VALUE]...",
            help="A recipe (name, file, or a run's directory) and overrides; or two run directories or checkpoints.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", min=1, help="Updates to compare. Default: 20 in float64, 50 in float32."),
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", metavar="float64|float32|both", help="Precisions to compare in. Default: both.")
    ] = "both",
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", metavar="N", min=0, help="Repetitions that measure the recipe's own noise. Default: 5."
        ),
    ] = 5,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Whether to measure speed and memory, too. Default: yes.")
    ] = True,
    config_dir: ConfigDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on the terminal.")] = False,
    json: Json = False,
) -> None:
    """Compare a recipe on both backends, or two runs.

    Trains both from the same weights on the same batches with the same dropout and compares losses, gradients
    and weights update by update. Promised: relative loss differences up to 1e-12 over 20 float64 updates (1e-11 with
    recurrent layers), 1e-5 over 10 and 1e-3 over 50 in float32; or ten times the recipe's own noise where that is
    larger: how far a backend is from itself when each initial weight moves by one unit in the last place.
    Exit code 1 when the promise is broken. Report, picture and JSON are kept in outputs/compare.
    """
    if dtype not in _DTYPES:
        raise DlrunError("unknown-option", f"`--dtype {dtype}` is not one of `float64`, `float32`, `both`.")
    bare, others = split_words(words)
    if len(bare) == 2:
        _runs(bare, others, json)
        return
    from dlrun.compare.backends import compare_backends
    from dlrun.compare.keep import keep_report

    overrides = with_recipe(words)
    with bar(quiet) as tell:
        report = compare_backends(
            overrides, tell, config_dir=config_dir, dtypes=_DTYPES[dtype], steps=steps, seeds=seeds, speed=speed
        )
    folder = keep_report(report)
    _draw(report, folder, json, quiet)
    if not report.holds:
        raise typer.Exit(1)


def _draw(report: Report, folder: Path, as_json: bool, quiet: bool) -> None:
    from shlex import join, quote

    from dlrun.cli import render
    from dlrun.compare import keep
    from dlrun.compare.document import document

    values = document(report)
    if as_json:
        render.print_json({**values, "directory": str(folder)})
        return
    sides = " and ".join(values["sides"])
    render.line(f"{values['recipe']}: {sides}, {values['threads']} threads, seed {values['seed']}", style="bold")
    for p in values["precisions"]:
        columns = ("update", *(f"loss {s}" for s in values["sides"]), "difference", "noise", "gradients", "updates")
        rows = [_cells(keep.update_row(values, u), 3) for u in keep.shown(p["updates"])]
        render.line(f"\n{p['dtype']}: relative differences; gradients and weight updates of the worst layer")
        render.table(columns, rows, right=columns)
    render.line("\nlargest differences by layer")
    render.table(*_layers(values["precisions"]))
    render.line()
    right = keep.CHECKS[1:-1]
    render.table(keep.CHECKS, [_cells(row, 0) for row in keep.check_rows(values)], right=right)
    if values["speed"]:
        render.line()
        render.table(keep.SPEED, [keep.speed_row(s) for s in values["speed"]], right=keep.SPEED[1:5])
    render.line()
    for p in values["precisions"]:
        if p["cause"] is not None:
            render.line(f"{p['dtype']}: {keep.broken(p)}")
    render.line(f"{values['verdict']}: {folder}", style="bold green" if report.holds else "bold red")
    render.notes(values["notes"])
    if quiet:
        return
    words = join(report.overrides)
    first = (f"open {quote(str(folder / 'report.html'))}", "the whole report with the curves")
    if report.holds:
        render.next_steps([first, (f"dlrun train {words}", "train it on either backend")])
    else:
        again = (f"dlrun compare {words} --dtype float64 --steps 3 --no-speed", "without rounding, the first updates")
        render.next_steps([first, again])


def _cells(row: Sequence[Any], losses: int) -> list[Any]:
    """Numbers as text: the first ``losses`` with the digits of a loss, differences with fewer."""
    return [f"{v:.7g}" if i < losses and isinstance(v, float) else _said(v) for i, v in enumerate(row)]


def _said(value: Any) -> Any:
    from math import isfinite

    if not isinstance(value, float):
        return value
    return "not a number" if not isfinite(value) else "0" if value == 0 else f"{value:.3g}"


def _layers(precisions: Sequence[dict[str, Any]]) -> tuple[tuple[str, ...], list[list[Any]]]:
    names = ("output", "gradient", "update")
    columns = ("layer", "kind", *(f"{p['dtype']} {n}" for p in precisions for n in names))
    rows = []
    for same in zip(*(p["layers"] for p in precisions), strict=True):
        rows.append([same[0]["layer"], same[0]["kind"], *(_said(one[n]) for one in same for n in names)])
    return columns, rows


def _runs(targets: Sequence[str], overrides: Sequence[str], as_json: bool) -> None:
    from pathlib import Path

    from dlrun.cli import render
    from dlrun.compare.keep import keep_runs
    from dlrun.compare.runs import compare_runs

    root, others = take(overrides, "output.root")
    if others:
        raise DlrunError(
            "contradiction",
            f"`{others[0]}` cannot change runs that are made.",
            hint="Leave it out, or name one recipe to train it on both backends.",
        )
    compared = compare_runs(Path(targets[0]), Path(targets[1]))
    folder = keep_runs(compared, Path(root or "outputs"))
    if as_json:
        render.print_json({**compared.document(), "directory": str(folder)})
        return
    _draw_runs(compared, folder)


def _draw_runs(compared: ComparedRuns, folder: Path) -> None:
    from shlex import quote

    from dlrun.cli import render

    for name, run, path in zip(("first", "second"), compared.runs, compared.checkpoints, strict=True):
        render.facts([(name, f"{run}, weights of {path.name}")])
    if compared.recipe:
        render.line("\nrecipes differ in")
        render.table(("key", "first", "second"), [[k, *map(str, v)] for k, v in compared.recipe.items()])
    epochs = [p for p in compared.points if p["kind"] == "epoch"] or compared.points
    rows = [[p["step"], p["name"], p["first"], p["second"], _said(p["difference"])] for p in epochs]
    render.line()
    if rows:
        columns = ("update", "value", "first", "second", "difference")
        render.table(columns, rows[-24:], right=("update", *columns[2:]))
        render.line()
    weights = [[r["layer"], _said(r["difference"]), r["says"]] for r in compared.layers]
    render.table(("layer", "weights differ by", ""), weights, right=("weights differ by",))
    render.line("weights equal to the bit" if compared.same_weights else "weights differ", style="bold")
    render.line(str(folder))
    a, b = (quote(str(run)) for run in compared.runs)
    render.next_steps(
        [
            (f"open {quote(str(folder / 'report.html'))}", "the whole report with the curves"),
            (f"dlrun compare {a}", "that recipe on both backends"),
            (f"dlrun eval {b}", "the other run on the test split"),
        ]
    )
