"""The page about a data set: counts, values, problems, and samples as training sees them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.feed import Feed
from dlrun.data.survey import SplitFacts, Survey, name_of
from dlrun.errors import DlrunError, RunError
from dlrun.files import write_folder, write_synced
from dlrun.plan import Plan
from dlrun.report import page
from dlrun.report.image import are_images, thumbnail
from dlrun.report.text import cells, percent

SHOWN = 24
"""Samples on the page."""


def as_values(found: Survey) -> dict[str, Any]:
    """A survey, JSON-ready: what is not finite is null."""
    values = {**dataclasses.asdict(found), "problems": found.problems}
    for split in values["splits"]:
        for channel in split["channels"]:
            channel.update({k: None for k, v in channel.items() if isinstance(v, float) and not np.isfinite(v)})
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
        "survey.json": (json.dumps(as_values(found), indent=2, ensure_ascii=False) + "\n").encode(),
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
    classes = f", {signature.classes:,} classes" if signature.classes is not None else ""
    said = f"`{source}`: samples {signature.input}{classes}; {counts}{held}."
    return "".join(page.paragraph(text) for text in (said, *found.notes))


def _problems(found: Survey) -> list[str]:
    parts = [page.heading("Worth a look before training")]
    parts += [page.paragraph(text) for text in found.problems] or [page.paragraph("Nothing was found.")]
    named: list[tuple[str, Sequence[Sequence[str]]]] = []
    for s in found.splits:
        named.append((f"{s.name}: cannot be read", [[text] for text in s.unreadable_named]))
        named.append((f"{s.name}: equal samples", s.duplicates_named))
    named.append(("test samples that are also training samples", found.overlap_named))
    for caption, rows in named:
        if rows:
            columns = ("problem",) if len(rows[0]) == 1 else ("sample", "equal to")
            parts.append(page.table(caption, columns, rows, words=columns))
    return parts


def _split(facts: SplitFacts) -> list[str]:
    parts = [page.heading(f"{facts.name}: {facts.samples:,} samples")]
    tables = []
    if facts.classes:
        whole = max(1, sum(facts.classes.values()))
        rows = [[name, count, percent(count / whole)] for name, count in facts.classes.items()]
        tables.append(page.table("Samples of each class", ("class", "samples", "share"), rows, words=("class",)))
    if facts.channels:
        columns = ("name", "low", "high", "mean", "std", "missing")
        rows = [[c[k] for k in columns] for c in facts.channels]
        tables.append(page.table("Values as stored", columns, rows, words=("name",)))
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
    said = f"The first {len(cards)} samples of epoch 1" + (f", after {how}." if how else ".")
    return [page.heading("Samples"), page.paragraph(said), page.samples(cards)]


def _values(x: np.ndarray) -> str:
    flat = np.ravel(x)
    return ", ".join(f"{v:g}" for v in flat[:64].tolist()) + (", …" if flat.size > 64 else "")
