"""Writes a comparison's folder: ``report.json``, ``report.html``, the picture and the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from dlrun.compare import page
from dlrun.compare.backends import Compared, Report
from dlrun.compare.document import document
from dlrun.compare.picture import draw
from dlrun.compare.runs import ComparedRuns
from dlrun.errors import RunError
from dlrun.files import json_bytes, write_atomic
from dlrun.run.directory import fresh_folder

_SHOWN = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50)


def keep_report(report: Report) -> Path:
    """Write a comparison of backends below ``outputs/compare/<recipe>``; its folder.

    Raises:
        RunError: ``cannot-write``.
    """
    from dlrun.config import dump

    values, recipe = document(report), report.composed.recipe
    title = f"{recipe.name}: {' and '.join(values['sides'])}"
    svg = draw([_panel(c) for c in report.precisions], f"{title} · seed {recipe.seed}")
    files = {
        "recipe.yaml": dump(report.composed.values).encode(),
        "report.json": json_bytes(values),
        "curves.svg": svg,
        "report.html": page.page(title, _parts(values, svg)),
    }
    return _write(Path(recipe.output.root) / "compare" / recipe.name, recipe.output.name, files)


def keep_runs(compared: ComparedRuns, root: Path) -> Path:
    """Write a comparison of two runs below ``<root>/compare/runs``; its folder.

    Raises:
        RunError: ``cannot-write``.
    """
    values = compared.document()
    curve = [p for p in compared.points if p["name"] in ("loss", "train_loss")]
    kind = "steps" if any(p["kind"] == "steps" for p in curve) else "epoch"
    curve = [p for p in curve if p["kind"] == kind]
    title = " and ".join(values["runs"])
    files = {"report.json": json_bytes(values)}
    parts = [page.table(("layer", "weights differ by", ""), _weight_rows(values))]
    if curve:
        panel = {
            "name": "training",
            "steps": [p["step"] for p in curve],
            "losses": {"first": [p["first"] for p in curve], "second": [p["second"] for p in curve]},
            "difference": [p["difference"] for p in curve],
        }
        files["curves.svg"] = draw([panel], title)
        parts.insert(0, page.picture(files["curves.svg"]))
    rows = [[p["step"], p["name"], p["first"], p["second"], p["difference"]] for p in compared.points]
    parts.append(page.heading("Curves"))
    parts.append(page.table(("update", "value", "first", "second", "difference"), rows))
    if compared.recipe:
        parts.append(page.heading("Recipes"))
        parts.append(page.table(("key", "first", "second"), [[k, *map(str, v)] for k, v in compared.recipe.items()]))
    files["report.html"] = page.page(title, parts)
    return _write(root / "compare" / "runs", None, files)


def shown(updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of many updates those worth a row, the last one among them."""
    last = len(updates)
    return [u for u in updates if u["step"] in _SHOWN or u["step"] == last or u["step"] % 100 == 0]


def update_row(values: Mapping[str, Any], update: Mapping[str, Any]) -> list[Any]:
    """An update as a row: losses, their difference, noise, largest gradient and weight update differences."""
    gradients, moved = update["gradients"], update["weight_updates"]
    losses = [update[f"loss_{side}"] for side in values["sides"]]
    largest = [max(d.values(), default=None) for d in (gradients, moved)]
    return [update["step"], *losses, update["difference"], update["noise"], *largest]


def _panel(compared: Compared) -> dict[str, Any]:
    found = compared.found
    return {
        "name": compared.dtype,
        "steps": range(1, len(found.loss) + 1),
        "losses": dict(zip(found.labels, found.losses, strict=True)),
        "difference": found.loss,
        "noise": None if compared.noise is None else compared.noise.tolist(),
        "limits": [(c.steps, c.allowed) for c in compared.checks],
    }


def _parts(values: Mapping[str, Any], svg: bytes) -> list[str]:
    said = f"seed {values['seed']}, {values['threads']} threads, portable dropout; {values['file']}"
    parts = [page.paragraph(f"{values['verdict']}: {said}"), page.table(CHECKS, check_rows(values))]
    parts += [page.paragraph(f"{p['dtype']}: {broken(p)}") for p in values["precisions"] if p["cause"]]
    parts += [page.paragraph(f"Note: {note}.") for note in values["notes"]]
    parts.append(page.picture(svg))
    columns = ("update", *(f"loss {s}" for s in values["sides"]), "difference", "noise", "gradient", "weight update")
    for p in values["precisions"]:
        parts.append(page.heading(f"{p['dtype']}, update by update"))
        parts.append(page.table(columns, [update_row(values, u) for u in shown(p["updates"])]))
        every = page.table(columns, [update_row(values, u) for u in p["updates"]])
        parts.append(page.folded("All updates", every))
        parts.append(page.heading(f"{p['dtype']}, layer by layer"))
        rows = [[r[k] for k in ("layer", "kind", "output", "gradient", "update")] for r in p["layers"]]
        parts.append(page.table(("layer", "kind", "output (first update)", "gradient", "weight update"), rows))
    if values["speed"]:
        parts.append(page.heading("Speed and memory"))
        parts.append(page.table(SPEED, [speed_row(s) for s in values["speed"]]))
    return parts


CHECKS = ("precision", "updates", "difference", "limit", "own noise", "allowed", "verdict")
SPEED = ("backend", "ms per update", "peak memory", "of it before the model", "device memory", "device", "threads")


def check_rows(values: Mapping[str, Any]) -> list[list[Any]]:
    """One row per promise."""
    return [
        [p["dtype"], c["steps"], c["difference"], c["limit"], c["noise"], c["allowed"], verdict(c)]
        for p in values["precisions"]
        for c in p["checks"]
    ]


def broken(precision: Mapping[str, Any]) -> str:
    """What is wrong in one precision: the first update past a limit, and where the difference starts."""
    first = min(c["first_past"] for c in precision["checks"] if c["first_past"] is not None)
    return f"losses are first too far apart at update {first}. {precision['cause']['says']}"


def verdict(check: Mapping[str, Any]) -> str:
    """``pass``, ``fail``, or what part the recipe's own noise has in it."""
    if check["too_noisy"]:
        return "fail, too noisy to tell"
    return "pass, within ten times the noise" if check["by_noise"] else str(check["verdict"])


def speed_row(speed: Mapping[str, Any]) -> list[Any]:
    """A backend's speed and memory."""
    return [
        speed["backend"],
        round(speed["ms_per_step"], 3),
        *(megabytes(speed[k]) for k in ("peak_memory", "memory_before", "device_memory")),
        speed["device"],
        speed["threads"],
    ]


def megabytes(size: int | None) -> str:
    """Bytes as a person reads them."""
    return "" if size is None else f"{size / 2**20:,.0f} MiB"


def _weight_rows(values: Mapping[str, Any]) -> list[list[Any]]:
    return [[row["layer"], row["difference"], row["says"]] for row in values["layers"]]


def _write(parent: Path, name: str | None, files: Mapping[str, bytes]) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = fresh_folder(parent, name or f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
        for file, content in files.items():
            write_atomic(folder / file, content)
    except OSError as error:
        raise RunError(
            "cannot-write",
            f"the report below `{parent}` cannot be written: {error.strerror}.",
            hint="Set `output.root` to a folder you can write to.",
        ) from None
    return folder
