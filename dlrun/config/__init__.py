"""Configuration: groups, recipe and command line composed into a checked recipe.

The only package that imports Hydra and OmegaConf, and only once something is composed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.config.completing import complete as complete
    from dlrun.config.composition import Composed as Composed
    from dlrun.config.composition import compose as compose
    from dlrun.config.dumping import dump as dump
    from dlrun.config.json_schema import schema as schema
    from dlrun.config.listing import recipes as recipes
    from dlrun.config.listing import task_said as task_said
    from dlrun.config.sweep import multirun as multirun
    from dlrun.config.sweep import show_hydra as show_hydra

_HOME = {
    "Composed": "composition",
    "complete": "completing",
    "compose": "composition",
    "dump": "dumping",
    "multirun": "sweep",
    "recipes": "listing",
    "task_said": "listing",
    "schema": "json_schema",
    "show_hydra": "sweep",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
