"""``dlrun data``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.arguments import ConfigDir, Json, RecipeAndOverrides, carried, with_recipe

if TYPE_CHECKING:
    from dlrun.config import Composed
    from dlrun.data.survey import SplitFacts, Survey

EXAMPLES = """\
dlrun data mnist
dlrun data ./flowers.yaml data.root=/data/flowers
dlrun data recipe=digits --json"""

_CLASSES = 20
"""Rows on the screen; the page has them all."""
_NAMED = 3
"""Samples named on the screen for each problem."""


def data(
    words: RecipeAndOverrides = None,
    out: Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="Folder of the page.")] = None,
    config_dir: ConfigDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on the terminal.")] = False,
    json: Json = False,
) -> None:
    """Look at a data set before training on it.

    Every sample is read: counts per class, values, categories, missing ones, sizes of pictures, samples that cannot be
    read, that are left out, there twice, or in both splits; and samples as training will see them, before they are
    mixed. On the screen, and as one page.
    """
    import shlex
    from pathlib import Path

    from dlrun.cli import render
    from dlrun.cli.bar import bar
    from dlrun.config import compose
    from dlrun.data.feed import Feed
    from dlrun.data.survey import survey
    from dlrun.report.data import as_values, keep

    overrides = with_recipe(words)
    composed = compose(overrides, config_dir=config_dir, check_installed=False)
    plan, recipe = composed.plan, composed.recipe
    with composed.placing(), bar(quiet) as tell:
        feed = Feed(plan, survey=True)
        found = survey(plan, feed, lambda split, done, of: tell(f"reading {split}", done, of))
        page = keep(plan, feed, found, Path(out) if out else Path(recipe.output.root) / "data" / recipe.name)
    if json:
        render.print_json({"recipe": recipe.name, "page": page, **as_values(found)})
        return
    _draw(composed, found)
    again = shlex.join([*overrides, *carried(config_dir)])
    render.next_steps(
        [
            (f"open {shlex.quote(str(page))}", "the whole page, with samples"),
            (f"dlrun check {again}", "layers, parameters and FLOPs"),
            (f"dlrun train {again}", "train on it"),
        ]
    )


def _draw(composed: Composed, found: Survey) -> None:
    from dlrun.cli import render
    from dlrun.data.wording import counted

    signature, source = composed.plan.signature, composed.recipe.data.source.kind
    held = composed.plan.validation_samples
    render.line(f"{composed.recipe.name}  {source}, samples {signature.input}", style="bold")
    for split in found.splits:
        held_out = f", {held:,} of them held out for validation" if held and split.name == "train" else ""
        render.line()
        render.line(f"{split.name}: {counted(split.samples, 'sample')}{held_out}")
        _tables(split)
    render.line()
    render.notes(found.notes)
    for problem in found.problems:
        render.notes([problem.text])
        for name in problem.named[:_NAMED]:
            render.note(f"      {name}")
        if problem.named and problem.count > _NAMED:
            render.note(f"      and {problem.count - _NAMED:,} more: see the page")
    if not found.problems:
        other = "nothing else" if found.notes else "nothing"
        render.line(f"{other} was found that needs a look before training")


def _tables(split: SplitFacts) -> None:
    from dlrun.cli import render
    from dlrun.data.wording import counted
    from dlrun.report.data import frequent

    if split.classes:
        rows = sorted(split.classes.items(), key=lambda item: -item[1])
        render.table(("class", "samples"), rows[:_CLASSES], right=("samples",))
        if len(rows) > _CLASSES:
            more = counted(len(rows) - _CLASSES, "more class", "more classes")
            render.line(f"… and {more}, the smallest with {counted(rows[-1][1], 'sample')}")
    if split.channels:
        columns = ("name", "low", "high", "mean", "std", "missing")
        render.table(columns, [[c[k] for k in columns] for c in split.channels[:_CLASSES]], right=columns[1:])
    if split.categories:
        keys = ("name", "categories", "missing", "unknown")
        found = [(*(c[k] for k in keys), frequent(c)) for c in split.categories[:_CLASSES]]
        render.table((*keys, "most frequent"), found, right=keys[1:])
    if len(split.sizes) > 1:
        sizes = list(split.sizes.items())[:5]
        render.line("sizes: " + ", ".join(f"{size} ({count:,})" for size, count in sizes))
