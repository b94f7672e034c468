"""Which groups and recipes there are, and which file a name means; the user's own come first."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dlrun.config.resources import resource_dir
from dlrun.errors import DlrunError, DlrunErrors, Where

RECIPE = "recipe"
"""The group whose options are recipes."""
CHOICES = ("backend", "device", "optimizer", "schedule", "train", "tracker")
"""Groups that fill the recipe section of the same name."""


@dataclass(frozen=True)
class RecipeFile:
    """A recipe that can be named.

    Args:
        name: What to write after ``recipe=``.
        path: Its file.
        description: The header comment's sentences, in one line.
        header: The header comment, line by line, without ``#``.
    """

    name: str
    path: Path
    description: str
    header: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """The folders that are searched.

    Args:
        config_dir: The user's folder of groups and recipes, or None.
    """

    config_dir: Path | None = None
    conf: Path = field(default_factory=lambda: resource_dir("conf"))

    def recipe_dirs(self) -> list[Path]:
        """Folders of recipes, the user's own first."""
        dirs = []
        if self.config_dir is not None:
            dirs += [self.config_dir, self.config_dir / "recipe", self.config_dir / "recipes"]
        dirs += [Path("recipes"), resource_dir("recipes")]
        seen: dict[str, Path] = {}
        for folder in dirs:
            if os.path.isdir(folder):
                seen.setdefault(os.path.realpath(folder), folder)
        return list(seen.values())

    def conf_dirs(self) -> list[Path]:
        """Folders of groups, the user's own first."""
        return [self.config_dir, self.conf] if self.config_dir is not None else [self.conf]

    def recipe_names(self) -> list[str]:
        """Every recipe that can be named, sorted."""
        names = {file.stem for folder in self.recipe_dirs() for file in folder.glob("*.yaml") if file.stem != "config"}
        return sorted(names)

    def find_recipe(self, name: str) -> Path | None:
        """The file of a recipe given by name or by path, or None."""
        # os.path, here and below: a word that no file system takes is no file, where pathlib would raise
        if is_path(name):
            path = at_home(name)
            candidates = [path] if path.suffix in (".yaml", ".yml") else [Path(f"{path}.yaml"), path]
            return next((c for c in candidates if os.path.isfile(c)), None)
        for folder in self.recipe_dirs():
            file = folder / f"{name}.yaml"
            if os.path.isfile(file):
                return file
        return None

    def groups(self, parent: str = "") -> list[str]:
        """Groups directly below ``parent``, sorted."""
        skip = {"__pycache__"} if parent else {"__pycache__", "recipe", "recipes"}
        found = set() if parent else {RECIPE}
        for folder in self.conf_dirs():
            base = folder / parent
            if os.path.isdir(base):
                found |= {e.name for e in base.iterdir() if e.name == "hydra" or _holds_options(e)} - skip
        return sorted(found)

    def is_group(self, group: str) -> bool:
        """Whether there is such a group."""
        return group == RECIPE or bool(group) and any(_holds_options(folder / group) for folder in self.conf_dirs())

    def options(self, group: str) -> list[str]:
        """What can be chosen in a group, sorted."""
        if group == RECIPE:
            return self.recipe_names()
        return sorted({f.stem for folder in self.conf_dirs() for f in (folder / group).glob("*.yaml")})

    def find(self, config: str) -> Path | None:
        """The file of ``group/option`` or of a top-level config, or None."""
        group, _, option = config.partition("/")
        if group == RECIPE and option:
            return self.find_recipe(option)
        name = config if config.endswith(".yaml") else f"{config}.yaml"
        if config.startswith("/") or ".." in Path(name).parts:
            return None
        return next((folder / name for folder in self.conf_dirs() if os.path.isfile(folder / name)), None)

    def recipe_file(self, name: str) -> RecipeFile:
        """A recipe's description. Its file must exist."""
        path = self.find_recipe(name)
        assert path is not None
        header = _header(path)
        said = [line for line in header if not line.startswith(("dlrun ", "yaml-language-server:", "@package"))]
        return RecipeFile(name, path, " ".join(line for line in said if line), header)


def _holds_options(folder: Path) -> bool:
    # a user's folder may hold data and runs as well
    return os.path.isdir(folder) and next(folder.glob("*.yaml"), None) is not None


def catalog_of(config_dir: str | None) -> Catalog:
    """The folders to search.

    Raises:
        DlrunErrors: ``no-config-dir`` when the user's folder is not there.
    """
    if config_dir is None:
        return Catalog()
    if not config_dir or not os.path.isdir(config_dir):
        raise DlrunErrors(
            [
                DlrunError(
                    "no-config-dir",
                    f"`{config_dir}` is not a folder.",
                    where=Where(override=f"--config-dir {config_dir}"),
                    hint="Give the folder that holds your recipes and groups.",
                )
            ]
        )
    return Catalog(Path(config_dir))


def at_home(name: str) -> Path:
    """The path with ``~`` replaced, where there is such a user."""
    return Path(os.path.expanduser(name))


def is_path(name: str) -> bool:
    """Whether a recipe is given by its path rather than by its name."""
    return name.endswith((".yaml", ".yml")) or "/" in name or os.sep in name or name.startswith("~")


def _header(path: Path) -> tuple[str, ...]:
    lines = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("#").strip())
    return tuple(lines)
