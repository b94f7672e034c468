"""``dlrun train``: train a recipe, or go on with a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.arguments import ConfigDir, Json, RecipeAndOverrides, carried, either, take, with_recipe
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlrun.plan import Plan
    from dlrun.recipe import Recipe
    from dlrun.run.train import TrainResult

EXAMPLES = """\
dlrun train digits  # embedded data, about ten seconds
dlrun train mnist backend=tensorflow train.epochs=2
dlrun train ./my_recipe.yaml optimizer=sgd optimizer.learning_rate=0.05
dlrun train mnist --smoke  # a dry run of a minute at most
dlrun train resume=outputs/mnist/RUN train.epochs=10  # go on, also after it had finished
dlrun train -m recipe=mnist,mnist_mlp seed=1,2  # every combination
dlrun train mnist --cfg job  # only print the composed configuration"""


def train(
    overrides: RecipeAndOverrides = None,
    multirun: Annotated[
        bool, typer.Option("-m", "--multirun", help="Run every combination of comma-separated values.")
    ] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few batches of one epoch, to see that all works.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run; the same as resume=RUN.")
    ] = None,
    config_dir: ConfigDir = None,
    cfg: Annotated[
        str | None, typer.Option("--cfg", metavar="job|hydra|all", help="Print the composed configuration and stop.")
    ] = None,
    info: Annotated[
        str | None,
        typer.Option("--info", metavar="TOPIC", help="Print Hydra's view (config, defaults, plugins, …) and stop."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on the terminal.")] = False,
    json: Json = False,
) -> None:
    """Train a recipe, or go on with a run.

    Everything is kept in a run directory. Progress goes to standard error; the result to standard output.
    Ctrl-C saves the run and exits with 130. The same recipe and seed give the same bits again.
    """
    asked, words = take(overrides or (), "resume")
    target = either(resume, "--resume", asked, "resume")
    words = _resumed(target, words, multirun) if target is not None else with_recipe(words)
    if json and (cfg is not None or info is not None):
        from shlex import join

        flag = "--cfg" if cfg is not None else "--info"
        raise DlrunError(
            "contradiction",
            f"`{flag}` prints text of Hydra's; it has no `--json`.",
            hint=f"Leave `--json` out, or: dlrun show {join(words)} --json",
        )
    if cfg is not None or info is not None:
        _show_hydra(words, cfg, info, config_dir)
    elif multirun:
        from dlrun.cli.multirun import sweep

        sweep(words, config_dir=config_dir, smoke=smoke, quiet=quiet, json=json)
    else:
        _train(words, config_dir=config_dir, smoke=smoke, quiet=quiet, json=json, resume=target)


def _resumed(target: str, words: list[str], multirun: bool) -> list[str]:
    from dlrun.run.directory import open_run

    recipe, rest = take(words, "recipe")
    if recipe is not None or multirun or any("=" not in w for w in rest):
        other = f"`recipe={recipe}`" if recipe is not None else "`--multirun`" if multirun else "another recipe"
        raise DlrunError(
            "contradiction",
            f"`resume={target}` goes on with that run's own recipe; {other} cannot stand beside it.",
            hint=f"Go on with the run: dlrun train resume={target}",
        )
    return [f"recipe={open_run(target).recipe_file}", *rest]


def _show_hydra(words: list[str], cfg: str | None, info: str | None, config_dir: str | None) -> None:
    if cfg is not None and cfg not in ("job", "hydra", "all"):
        raise DlrunError("unknown-option", f"`--cfg {cfg}` is not one of `job`, `hydra`, `all`.")
    from dlrun.config import show_hydra

    print(show_hydra(words, cfg=cfg, info=info, config_dir=config_dir))


def _train(
    words: list[str], *, config_dir: str | None, smoke: bool, quiet: bool, json: bool, resume: str | None
) -> None:
    from pathlib import Path

    from dlrun.cli import render
    from dlrun.cli.progress import watch
    from dlrun.config import compose

    known = None
    if resume is not None:
        from dlrun.run.fitted import known_of

        known = known_of(Path(resume))
    composed = compose(words, config_dir=config_dir, smoke=smoke, known=known)
    from dlrun.run.train import train as run

    with watch(quiet=quiet) as listener:
        result = run(composed, [listener], resume=Path(resume) if resume is not None else None)
    if json:
        render.print_json({**_summary(result), "monitor": monitored(composed.recipe, result.metrics)})
    else:
        from dlrun.tasks.task import task_of

        task = task_of(composed.recipe.task)
        file = task.file if task.answers(composed.plan.signature) else ""
        _report(result, quiet, _capped(composed.plan, result.metrics), carried(config_dir), file)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _summary(result: TrainResult) -> dict[str, Any]:
    return {
        "directory": str(result.directory),
        "metrics": result.metrics,
        "reason": result.reason,
        "step": result.step,
        "exit_code": result.exit_code,
    }


def monitored(recipe: Recipe, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What ranks this run among others: the monitored metric of the validation split, or the training loss."""
    known = {name: metric.better for metric in recipe.metrics for name in metric.names()}
    name = recipe.train.monitor or next(iter(known), "loss")
    if f"val_{name}" not in metrics:
        return {"name": "train_loss", "better": "lower", "value": metrics.get("train_loss")}
    return {"name": f"val_{name}", "better": known.get(name, "lower"), "value": metrics[f"val_{name}"]}


def _capped(plan: Plan, metrics: Mapping[str, Any]) -> str:
    """What ``train.limit_batches`` left out of the evaluations, as a line; empty where it left out nothing."""
    from dlrun.run.evaluate import samples_of

    parts = []
    for split, prefix in (("validation", "val_"), ("test", "test_")):
        samples, whole = samples_of(plan, split)
        if samples < whole and any(name.startswith(prefix) for name in metrics):
            parts.append(f"{samples:,} of {whole:,} samples of `{split}`")
    return f"Evaluated on {' and '.join(parts)} (train.limit_batches)" if parts else ""


def _report(result: TrainResult, quiet: bool, capped: str, flags: list[str], file: str) -> None:
    from shlex import join, quote

    from dlrun.cli import render

    run = quote(str(result.directory))
    numbers = render.outcomes(result.metrics)
    if numbers:
        render.table(("metric", "value"), numbers.items(), right=("value",))
    if capped:
        render.line(capped)
    ended = {0: result.reason.replace("_", " "), 130: "interrupted, saved", 143: "terminated, saved"}
    render.line(f"{ended.get(result.exit_code, result.reason)} at step {result.step:,}: {result.directory}")
    if quiet:
        return
    if result.exit_code:
        render.next_steps(
            [(join(["dlrun", "train", f"resume={result.directory}", *flags]), "go on from the last checkpoint")]
        )
        return
    answers = [(f"dlrun eval {run}", "evaluate on the test split; backend= may differ")]
    if file:
        answers.append((f"dlrun predict {run} {file}", "predict files of your own"))
    if (result.directory / "samples").is_dir():
        render.line(f"Pictures of each epoch: {result.directory / 'samples'}")
        answers = []
    render.next_steps(
        [
            *answers,
            (join(["dlrun", "train", f"resume={result.directory}", *result.longer, *flags]), "train for more epochs"),
            (f"dlrun export {run} format=onnx", "write a model file that needs no dlrun"),
        ]
    )
