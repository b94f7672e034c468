"""Where the package's own groups and recipes lie: in a wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def resource_dir(name: str) -> Path:
    """Folder ``conf`` or ``recipes``; the same from a clone, an editable install and a wheel."""
    for base in (_PACKAGE / "_resources", _PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"dlrun was installed without its `{name}` folder")
