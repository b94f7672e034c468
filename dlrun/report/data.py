"""The page about a data set: counts, values, problems, and samples as training sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.feed import Feed
from dlrun.data.survey import SplitFacts, Survey, name_of
from dlrun.data.wording import counted
from dlrun.errors import DlrunError, RunError
from dlrun.files import as_json, json_bytes, write_folder, write_synced
from dlrun.plan import Plan
from dlrun.report import page
from dlrun.report.image import are_images, thumbnail
from dlrun.report.text import cells, percent, shortened

SHOWN = 24
"""Samples on the page."""
_LONG = 20
"""Rows of a table that is folded when it has more."""


def as_values(found: Survey) -> dict[str, Any]:
    """A survey, JSON-ready: what is not finite is null."""
    values: dict[str, Any] = as_json({**dataclasses.asdict(found), "problems": [p.text for p in found.problems]})
    return values


def keep(plan: Plan, feed: Feed, found: Survey, folder: Path) -> Path:
    """Write ``report.html`` and ``survey.json`` to a folder; the page's path.

    Args:
        plan: The resolved recipe.
        feed: Of the same plan.
        found: What the data holds.
        folder: Where to; replaced when it is there.

    Raises:
        RunError: ``cannot-write``.
    """
    parts = [_head(plan, found), *_problems(found)]
    for facts in found.splits:
        parts += _split(facts)
    parts += _samples(plan, feed)
    files = {
        "report.html": page.page(f"{plan.recipe.name}: data", parts),
        "survey.json": json_bytes(as_values(found)),
    }

    def fill(place: Path) -> None:
        for name, content in files.items():
            write_synced(place / name, content)

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_folder(folder, fill)
    except OSError as error:
        raise RunError(
            "cannot-write",
            f"`{folder}` cannot be written: {error.strerror}.",
            hint="Name another folder: --out FOLDER",
        ) from None
    return folder / "report.html"


def _head(plan: Plan, found: Survey) -> str:
    signature, source = plan.signature, plan.recipe.data.source.kind
    counts = ", ".join(f"{s.samples:,} {s.name}" for s in found.splits)
    held = f", {plan.validation_samples:,} of them held out for validation" if plan.validation_samples else ""
    classes = f", {counted(signature.classes, 'class', 'classes')}" if signature.classes is not None else ""
    said = f"`{source}`: samples {signature.input}{classes}; {counts}{held}."
    return page.paragraph(said)


def _problems(found: Survey) -> list[str]:
    parts = [page.heading("Worth a look before training")]
    said = [*found.notes, *(problem.text for problem in found.problems)]
    parts += [page.paragraph(text) for text in said or ["Nothing was found."]]
    for s in found.splits:
        parts += _named(f"{s.name}: left out", len(s.left_out), [[text] for text in s.left_out])
        parts += _named(f"{s.name}: cannot be read", s.unreadable, [[text] for text in s.unreadable_named])
        parts += _named(f"{s.name}: equal samples", s.duplicates, s.duplicates_named)
        parts += _named(f"{s.name}: equal samples with different labels", s.conflicts, s.conflicts_named)
    return [*parts, *_named("test samples that are also training samples", found.overlap, found.overlap_named)]


def _named(caption: str, count: int, rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of samples, folded where it is long."""
    if not rows:
        return []
    columns = ("problem",) if len(rows[0]) == 1 else ("sample", "equal to")
    caption += f", the first {len(rows):,} of {count:,}" if count > len(rows) else ""
    table = page.table(caption, columns, rows, words=columns)
    return [page.folded(f"{caption} ({len(rows):,})", table) if len(rows) > _LONG else table]


def frequent(column: Mapping[str, Any]) -> str:
    """The most frequent categories of a column: ``Paris 12, Bern 9``."""
    return ", ".join(f"{shortened(name, 12)} {count:,}" for name, count in column["frequent"].items())


def _split(facts: SplitFacts) -> list[str]:
    parts = [page.heading(f"{facts.name}: {counted(facts.samples, 'sample')}")]
    tables = []
    if facts.classes:
        whole = max(1, sum(facts.classes.values()))
        rows = [[name, count, percent(count / whole)] for name, count in facts.classes.items()]
        tables.append(page.table("Samples of each class", ("class", "samples", "share"), rows, words=("class",)))
    if facts.channels:
        columns = ("name", "low", "high", "mean", "std", "missing")
        rows = [[c[k] for k in columns] for c in facts.channels]
        tables.append(page.table("Values as stored", columns, rows, words=("name",)))
    if facts.categories:
        keys = ("name", "categories", "missing", "unknown")
        rows = [[*(c[k] for k in keys), frequent(c)] for c in facts.categories]
        shown = (*keys, "most frequent")
        tables.append(page.table("Columns of categories", shown, rows, words=("name", "most frequent")))
    if facts.sizes:
        rows = [[size, count] for size, count in list(facts.sizes.items())[:20]]
        tables.append(page.table("Sizes of the pictures", ("width x height", "pictures"), rows, words=()))
    return [*parts, page.beside(tables)]


def _samples(plan: Plan, feed: Feed) -> list[str]:
    reader = feed.reader("train")
    signature, pipeline = plan.signature, plan.with_preprocess(()).pipeline  # values are shown as stored
    names = signature.class_names or ()
    pictures = are_images(signature)
    cards: list[str] = []
    for number, key in zip(*feed.visited(0), strict=True):
        if len(cards) == SHOWN:
            break
        try:
            (x,) = pipeline.augmented(reader.take(np.array([number])), np.array([key]), 0)
        except DlrunError:
            continue  # one that cannot be read is told of above
        y = reader.y[number]
        label = names[y] if y.ndim == 0 and 0 <= y < len(names) else _values(y)
        lines = (label, name_of(reader, number))
        if pictures:
            png, size = thumbnail(x, signature)
            cards.append(page.image_card(png, size, lines, f"{label}, sample {number}"))
        else:
            values = "\n".join(cells(signature.columns, x)) if signature.columns else _values(x)
            cards.append(page.value_card(values, lines))
    how = ", ".join(f"`{a.kind}`" for a in plan.recipe.data.augment if not a.mixes)
    first = "The first sample" if len(cards) == 1 else f"The first {len(cards)} samples"
    said = f"{first} of epoch 1" + (f", after {how}." if how else ".")
    return [page.heading("Samples"), page.paragraph(said), page.samples(cards)]


def _values(x: np.ndarray) -> str:
    flat = np.ravel(x)
    return ", ".join(f"{v:g}" for v in flat[:64].tolist()) + (", …" if flat.size > 64 else "")
