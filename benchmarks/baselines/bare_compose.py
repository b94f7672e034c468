"""The libraries of ``dlrun check``, bare: imported, and Hydra composes the same groups and recipe; nothing is checked.

Usage: python bare_compose.py FOLDER, which holds ``config.yaml``, the groups and ``recipe/``.
"""

import sys

import numpy  # noqa: F401
import pydantic  # noqa: F401
import rich.console  # noqa: F401
import typer  # noqa: F401
import yaml  # noqa: F401
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

with initialize_config_dir(sys.argv[1], version_base=None):
    OmegaConf.to_container(compose("config", ["recipe=mnist"]), resolve=False)
