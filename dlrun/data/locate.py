"""Finding the files a recipe names."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from dlrun.data.source import Place
from dlrun.errors import DlrunError


def check_root(root: str | None) -> None:
    """Refuse a ``data.root`` that is not there: the data would be taken from elsewhere, unnoticed.

    Raises:
        DlrunError: ``missing-data``.
    """
    if root is not None and not os.path.isdir(os.path.expanduser(root)):
        raise DlrunError(
            "missing-data",
            f"`data.root` is `{root}`, and there is no such folder.",
            path=("data", "root"),
            hint=f"Correct it, or make the folder to download to: mkdir -p {shlex.quote(root)}",
        )


def locate(name: str, place: Place, field: str, *, folder: bool = False) -> Path:
    """The file or folder a recipe means by ``name``.

    Relative names stand below ``data.root``; without one, below the working folder or ``DLRUN_DATA``.

    Args:
        name: As written in the recipe.
        place: Where to look.
        field: Key of the data source that holds the name, for the error.
        folder: Whether a folder is wanted.

    Raises:
        DlrunError: ``missing-data``, with every place that was looked at.
    """
    path = Path(name).expanduser()
    bases = [place.root] if place.root else [os.curdir, os.environ.get("DLRUN_DATA")]
    places = [path] if path.is_absolute() else [Path(base).expanduser() / path for base in bases if base]
    for candidate in places:
        if candidate.is_dir() if folder else candidate.is_file():
            return candidate
    kind = "folder" if folder else "file"
    wrong = [p for p in places if p.exists()]
    if wrong:
        message = f"`{wrong[0]}` is not a {kind}."
    else:
        message = f"there is no {kind} " + " or ".join(f"`{p.absolute()}`" for p in places) + "."
    raise DlrunError(
        "missing-data",
        message,
        path=("data", "source", field),
        hint="Write the full path, or set `data.root` to the folder it is relative to.",
    )
