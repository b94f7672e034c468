"""A recipe's ``model.weights``: where the file is, what of it fits, and what training starts from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dlrun.errors import DlrunError
from dlrun.errors import Path as Place
from dlrun.graph.pretrained import Pretrained
from dlrun.plan import Plan
from dlrun.weights import hub
from dlrun.weights.arrays import open_arrays
from dlrun.weights.matching import Account, check_wanted, load, plan_loading


def find_file(name: str, root: str | None) -> Path:
    """The file that a recipe means: below ``data.root``, the working folder or ``DLRUN_DATA``.

    Raises:
        DlrunError: ``missing-weights``, with every place that was looked at.
    """
    path = Path(name).expanduser()
    bases = [root, os.curdir, os.environ.get("DLRUN_DATA")]
    places = [path] if path.is_absolute() else [Path(base).expanduser() / path for base in bases if base]
    for candidate in places:
        if candidate.exists():
            return candidate
    raise DlrunError(
        "missing-weights",
        "there is no file " + " or ".join(f"`{p.absolute()}`" for p in dict.fromkeys(places)) + ".",
        path=("model", "weights", "file"),
        hint="Write the full path.",
    )


def preview(plan: Plan) -> list[str]:
    """What will be loaded, in lines of text, as far as names and shapes tell without a framework or a download.

    Raises:
        DlrunError: As ``start``, where that can be told already.
    """
    wanted = plan.recipe.model.weights
    if wanted is None:
        return []
    with _sourced(wanted):
        return _preview(plan, wanted)


def _preview(plan: Plan, wanted: Pretrained) -> list[str]:
    check_wanted(plan.graph, wanted.map, wanted.skip)
    if wanted.hub is not None:
        path = hub.cached(wanted.hub)
        if path is None:
            return [f"{wanted.hub.file} of {wanted.hub.repo}, fetched when training starts"]
    else:
        path = find_file(str(wanted.file), plan.recipe.data.root)
    arrays = open_arrays(path, frameworks=False)
    if arrays is None:
        return [f"{path}, read by torch when training starts"]
    account, _ = plan_loading(plan.graph, arrays, wanted.map, partial=wanted.partial, skip=wanted.skip)
    return account.lines()


def start(plan: Plan) -> tuple[dict[str, np.ndarray], Account] | None:
    """The weights that training starts from, by canonical name, and what became of each; None without any.

    Raises:
        DlrunError: ``missing-weights``, ``unreadable-weights``, ``unknown-map``, ``no-map-fits``, ``weights-mismatch``.
        RunError: ``download-failed``.
    """
    wanted = plan.recipe.model.weights
    if wanted is None:
        return None
    with _sourced(wanted):
        return _start(plan, wanted)


def _start(plan: Plan, wanted: Pretrained) -> tuple[dict[str, np.ndarray], Account]:
    origin = None
    if wanted.hub is not None:
        path, digest = hub.obtain(wanted.hub, download=plan.recipe.data.download)
        origin = f"{wanted.hub.file} of {wanted.hub.repo} at {wanted.hub.revision} (SHA-256 {digest})"
    else:
        path = find_file(str(wanted.file), plan.recipe.data.root)
    arrays = open_arrays(path)
    assert arrays is not None
    arrays.origin = origin or arrays.origin
    return load(plan.graph, arrays, wanted.map, partial=wanted.partial, skip=wanted.skip)


@contextmanager
def _sourced(wanted: Pretrained) -> Iterator[None]:
    """What is wrong with a file is told of the key that names it, and so is a map that the recipe does not say."""
    section: Place = ("model", "weights")
    source: Place = (*section, "file" if wanted.hub is None else "hub")
    try:
        yield
    except DlrunError as error:
        if error.path == section or (error.path == (*section, "map") and wanted.map == "auto"):
            error.path = source
        raise
