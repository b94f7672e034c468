"""The libraries of ``dlrun check``, bare: imported, and Hydra composes the same groups and recipe; nothing is checked.

Usage: python bare_compose.py FOLDER, which holds ``config.yaml``, the groups and ``recipe/``.
"""

import sys

import numpy  # noqa: F401
import rich.console  # noqa: F401
import typer
import yaml  # noqa: F401
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf


def verb(words: list[str]) -> None:
    """What Typer itself needs to read one verb's words belongs to the libraries too."""
    with initialize_config_dir(sys.argv[1], version_base=None):
        OmegaConf.to_container(compose("config", words), resolve=False)


app = typer.Typer(add_completion=False)
app.command()(verb)
app(["recipe=mnist"])
