"""Candidates for tab completion: what may stand at the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_RECIPES = ("train", "check", "show", "compare")
"""Verbs whose bare first word is a recipe."""
_OVERRIDES = (*_RECIPES, "eval", "predict", "export")
_OWN_KEYS = {
    "train": ("resume=",),
    "eval": ("split=", "split=train", "split=validation", "split=test"),
    "export": ("format=", "format=onnx", "format=torch_export", "format=saved_model", "format=keras", "out="),
    "predict": ("output=",),
}


def answer(words: Sequence[str]) -> int:
    """Print candidates for the last of ``words``, one a line; a mistake on the line means none."""
    try:
        for candidate in candidates(words):
            print(candidate)
    except Exception:
        # Completion runs inside somebody's prompt: half a command line is no reason to speak up.
        return 1
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """What the last word may become, given those before it; empty where files are to be completed."""
    *before, word = words or [""]
    verb = next((w for w in before if not w.startswith("-")), None)
    if verb is None:
        return _starting(word, [*_verbs(), *_flags(None)])
    if word.startswith("-"):
        return _starting(word, _flags(verb))
    if before[-1] == "--dtype":
        return _starting(word, ["float64", "float32", "both"])
    if before[-1] in ("--from",) and verb == "new":
        return _starting(word, _recipes())
    if verb == "completion":
        return _starting(word, ["bash", "zsh", "fish"])
    if verb not in _OVERRIDES:
        return []
    own = _starting(word, _OWN_KEYS.get(verb, ()))
    if "=" not in word:
        own = [c for c in own if c.endswith("=")]
    elif own:
        return [c for c in own if not c.endswith("=")]
    from dlrun.config import complete

    found = [*own, *complete(word)]
    if "=" not in word and verb in _RECIPES and not _has_recipe(before):
        found = [*_starting(word, _recipes()), *found]
    if not word and verb not in _RECIPES:
        return []  # a run or a file comes first there
    return list(dict.fromkeys(found))


def _starting(word: str, names: Sequence[str]) -> list[str]:
    return [n for n in names if n.startswith(word)]


def _has_recipe(before: Sequence[str]) -> bool:
    rest = [w for w in before if not w.startswith("-")][1:]
    return any("=" not in w or w.startswith("recipe=") for w in rest)


def _recipes() -> list[str]:
    from dlrun.config import recipes

    return [str(entry[0]) for entry in recipes()]


def _command() -> Any:
    import typer

    from dlrun.cli.app import app

    return typer.main.get_command(app)


def _verbs() -> list[str]:
    return [name for name, command in _command().commands.items() if not command.hidden]


def _flags(verb: str | None) -> list[str]:
    command = _command() if verb is None else _command().commands.get(verb)
    names = (
        [n for p in command.params for n in (*p.opts, *p.secondary_opts) if n.startswith("--")]
        if command is not None
        else []
    )
    return [*names, "--help"]
