"""Arguments that verbs share, and what bare words among them mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dlrun.errors import DlrunError, did_you_mean

Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Overrides of the recipe, in any order: `optimizer=sgd`, `train.epochs=5`, `model.layers.0.filters=16`.",
        show_default=False,
    ),
]
RecipeAndOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RECIPE] [KEY=VALUE]...",
        help="A recipe's name or file, then overrides in any order: `mnist`, `./my_recipe.yaml`, `recipe=mnist`, "
        "`optimizer=sgd`, `train.epochs=5`, `model.layers.0.filters=16`.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
ConfigDir = Annotated[
    str | None,
    typer.Option("--config-dir", metavar="DIR", help="A folder of your own recipes and groups, searched first."),
]


def carried(config_dir: str | None, *, smoke: bool = False) -> list[str]:
    """The flags without which a command that is suggested would mean another recipe or another run."""
    return [*(["--config-dir", config_dir] if config_dir is not None else []), *(["--smoke"] if smoke else [])]


def is_override(word: str) -> bool:
    """Whether a word is an override (``key=value``, ``+key=value``, ``~key``) rather than a name or a path."""
    if word.startswith("~"):
        return not word.startswith("~/")
    return "=" in word and not word.startswith((".", "/"))


def split_words(words: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Bare words and overrides, each in the order written; what exists as a file or folder is one."""
    bare: list[str] = []
    overrides: list[str] = []
    for word in words or ():
        (overrides if is_override(word) and not os.path.exists(word) else bare).append(word)
    return bare, overrides


def recipe_override(word: str) -> str:
    """``recipe=…`` for a recipe's name, its file, or a run directory (its resolved recipe)."""
    saved = Path(word) / "recipe.yaml"
    return f"recipe={saved}" if os.path.isfile(saved) else f"recipe={word}"


def with_recipe(words: Sequence[str] | None) -> list[str]:
    """Overrides only: a bare first word becomes ``recipe=…``.

    Raises:
        DlrunError: ``not-an-override`` for a bare word that stands later, or beside ``recipe=``.
    """
    bare, overrides = split_words(words)
    if not bare:
        return overrides
    named = [o for o in overrides if o.startswith("recipe=")]
    if len(bare) > 1 or named:
        raise not_an_override(bare[-1], f"the recipe is already {named[0] if named else bare[0]}")
    return [recipe_override(bare[0]), *overrides]


def not_an_override(word: str, because: str) -> DlrunError:
    """The error for a bare word where ``key=value`` belongs."""
    keys = ("recipe", "backend", "device", "optimizer", "schedule", "train", "data", "model", "seed", "resume")
    near = did_you_mean(word, keys)
    return DlrunError(
        "not-an-override",
        f"`{word}` is not of the form `key=value`, and {because}.",
        hint=near if "?" in near else "Write overrides without blanks around `=`, e.g. `train.epochs=5`.",
    )


def take(overrides: Sequence[str], key: str) -> tuple[str | None, list[str]]:
    """The value of ``key=…`` among ``overrides``, and the others.

    Raises:
        DlrunError: ``contradiction`` for two values, ``empty-value`` for none after ``=``.
    """
    mine = list(dict.fromkeys(o for o in overrides if o.startswith(f"{key}=")))
    if len(mine) > 1:
        text = f"`{mine[0]}` and `{mine[1]}` both set `{key}`."
        raise DlrunError("contradiction", text, hint="Keep one of them.")
    value = mine[0].partition("=")[2] if mine else None
    return said(value, f"{key}="), [o for o in overrides if o not in mine]


def said(value: str | None, what: str) -> str | None:
    """The value of a flag or key, if it was given.

    Raises:
        DlrunError: ``empty-value`` for one that says nothing, as of a shell variable that is not set.
    """
    if value == "":
        raise DlrunError("empty-value", f"`{what}` has no value.", hint="Write one, or leave it out.")
    return value


def either(flag: str | None, flag_name: str, asked: str | None, key: str) -> str | None:
    """The value of a flag that can be written as ``key=…`` as well.

    Raises:
        DlrunError: ``contradiction`` for both, ``empty-value``.
    """
    if said(flag, flag_name) is not None and asked is not None and flag != asked:
        text = f"`{flag_name} {flag}` and `{key}={asked}` mean the same and differ."
        raise DlrunError("contradiction", text, hint="Keep one of them.")
    return flag if flag is not None else asked


def one_target(target: str | None, overrides: Sequence[str] | None, verb: str) -> tuple[str, list[str]]:
    """The run that a verb works on, wherever it stands among the words, and the overrides.

    Raises:
        DlrunError: ``missing-run``, ``not-an-override``.
    """
    bare, words = split_words([w for w in (target, *(overrides or ())) if w is not None])
    if not bare:
        raise missing_run(verb)
    if len(bare) > 1:
        raise not_an_override(bare[1], f"the run is already `{bare[0]}`")
    return bare[0], words


def missing_run(verb: str) -> DlrunError:
    """The error for a verb that was not told which run it is about; names the latest runs."""
    found = sorted(Path("outputs").glob("*/*/recipe.yaml"), key=lambda p: p.stat().st_mtime)
    latest = found[-1].parent if found else None
    return DlrunError(
        "missing-run",
        f"`dlrun {verb}` needs a run directory.",
        hint=f"Your latest: dlrun {verb} {latest}" if latest else "Train one first: dlrun train digits",
    )
