"""Writes the report of an evaluation while it runs, and its folder in one step when it has ended."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from dlrun.data.feed import Feed, Part
from dlrun.data.wording import counted
from dlrun.errors import RunError
from dlrun.files import json_bytes, write_folder, write_synced
from dlrun.metrics.regression import NumberMetric
from dlrun.plan import Plan
from dlrun.report import page
from dlrun.report.classes import Classes
from dlrun.report.numbers import Numbers
from dlrun.report.worst import Shown

_NUMBER_LOSSES = ("mse", "mae", "huber", "smooth_l1", "log_cosh")

Findings = Classes | Numbers


class Report:
    """Watches an evaluation; to be used in a ``with`` statement.

    Args:
        folder: Where the report appears; an older one there is replaced.
        plan: The resolved recipe.
        feed: Its samples.
        part: Which of them are evaluated, in stored order.
        ignored: The class id of places that no metric counts, or None.

    Predictions are written to a file without a name beside ``folder`` as they come. So a folder that cannot be
    written is found before anything is computed, and nothing is left behind when the evaluation fails.

    Raises:
        RunError: ``cannot-write``.
    """

    def __init__(self, folder: Path, plan: Plan, feed: Feed, part: Part, ignored: int | None) -> None:
        self.folder = folder
        self._plan, self._feed, self._part = plan, feed, part
        self._findings = findings(plan, ignored)
        self._numbers = feed.numbers(part)
        self._seen = 0
        self._predicted = 0
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._predictions = tempfile.TemporaryFile(dir=folder.parent)  # noqa: SIM115 - closed in __exit__
        except OSError as error:
            raise _cannot_write(folder, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._predictions.close()

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        """Look at the next batch. Shapes: model outputs (N, *), labels (N, *target).

        Raises:
            RunError: ``cannot-write``.
        """
        positions = np.arange(self._seen, self._seen + len(target))
        self._seen += len(target)
        if self._findings is None:
            return
        try:
            for position, said in self._findings.add(positions, output, target):
                self._predictions.write(json_bytes({**self._named(position), **said}, indent=None))
                self._predicted += 1
        except OSError as error:
            raise _cannot_write(self.folder, error) from None

    def finish(self, facts: Mapping[str, Any], metrics: Mapping[str, Any], undefined: Mapping[str, str]) -> list[Path]:
        """Write the folder; its files, the page first.

        Args:
            facts: What was evaluated, by name.
            metrics: The recipe's loss and metrics.
            undefined: Why metrics without a value have none.

        Raises:
            RunError: ``cannot-write``.
        """
        shown = Shown(self._plan.signature, self._stored, self._called)
        found = self._findings
        pictures = {} if found is None else found.pictures()
        values = {**facts, "metrics": dict(metrics), "undefined": dict(undefined)}
        sections = [] if found is None else found.parts(pictures, shown)
        title = f"{self._plan.recipe.name}: {facts['split']}, {facts['checkpoint']}"
        files = {
            "report.html": page.page(title, [*_head(facts, metrics, undefined, found), *sections]),
            "metrics.json": json_bytes(values if found is None else {**values, **found.document(shown)}),
            **{f"{name}.svg": content for name, content in pictures.items()},
        }
        try:
            self._keep(files)
        except OSError as error:
            raise _cannot_write(self.folder, error) from None
        names = [*files, *(["predictions.jsonl"] if self._predicted else [])]
        return [self.folder / name for name in names]

    def _keep(self, files: Mapping[str, bytes]) -> None:
        from filelock import FileLock

        def fill(folder: Path) -> None:
            for name, content in files.items():
                write_synced(folder / name, content)
            if self._predicted:
                self._predictions.seek(0)
                with open(folder / "predictions.jsonl", "wb") as file:
                    shutil.copyfileobj(self._predictions, file)
                    file.flush()
                    os.fsync(file.fileno())

        with FileLock(str(self.folder.parent / ".lock")):  # another evaluation may write the same folder
            write_folder(self.folder, fill)

    def _stored(self, positions: np.ndarray) -> np.ndarray:
        return self._feed.samples_at(self._part, positions)

    def _called(self, position: int) -> tuple[int, str | None]:
        number = int(self._numbers[position])
        return number, self._feed.name(self._part, number)

    def _named(self, position: int) -> dict[str, Any]:
        number, name = self._called(position)
        return {"sample": number} if name is None else {"sample": number, "name": name}


def findings(plan: Plan, ignored: int | None) -> Findings | None:
    """What can be said of the answers of a model; None where labels are neither class ids nor numbers to be met."""
    signature, output = plan.signature, plan.graph.output_types[0]
    target, classes, metrics = signature.target, signature.classes, plan.recipe.metrics
    if classes is not None and target.dtype == "int":
        single = classes == 2 and output.shape in (target.shape, (*target.shape, 1))
        if not single and output.shape != (*target.shape, classes):
            return None
        names = signature.class_names or tuple(str(i) for i in range(classes))
        return Classes(names, metrics, places=target.rank > 0, ignored=ignored)
    loss = plan.recipe.loss
    numbers = getattr(loss, "kind", "") in _NUMBER_LOSSES or any(isinstance(m, NumberMetric) for m in metrics)
    if numbers and target.dtype == "float" and output.size == target.size:
        return Numbers(target.size)
    return None


def _head(
    facts: Mapping[str, Any], metrics: Mapping[str, Any], undefined: Mapping[str, str], found: Findings | None
) -> list[str]:
    """What was evaluated, and the headline figures."""
    part = f"{facts['samples']:,} of " if facts["samples"] < facts["of"] else ""
    samples = part + counted(facts["of"], "sample")
    said = f"{samples} of the {facts['split']} split on {facts['backend']}. Run: {facts['run']}"
    values = {k: v for k, v in metrics.items() if v is None or isinstance(v, int | float)}
    parts = [page.paragraph(said, soft=True)]
    tables = [page.table("The recipe's loss and metrics.", ("metric", "value"), values.items(), ("metric",))]
    more = {} if found is None else {k: v for k, v in found.summary().items() if k not in values}
    if more:
        tables.append(page.table("Further figures.", ("metric", "value"), more.items(), ("metric",)))
    parts.append(page.beside(tables))
    parts += [page.paragraph(f"{name} has no value: {why}.") for name, why in undefined.items()]
    if found is None:
        parts.append(page.paragraph("Of answers of this kind the loss and metrics are all that is compared."))
    return parts


def _cannot_write(folder: Path, error: OSError) -> RunError:
    return RunError(
        "cannot-write",
        f"the report `{folder}` cannot be written: {error.strerror or error}.",
        hint="Make the run's folder writable, or leave the report out: --no-report",
    )
