"""Python objects that a recipe names by ``_target_``: looked for without importing anything, and made."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

from dlrun import extensions
from dlrun.errors import DlrunError, Path, did_you_mean
from dlrun.models.native import TARGET

POSITIONAL = "_args_"


def check_target(target: Mapping[str, Any], path: Path) -> list[DlrunError]:
    """What can be said to be wrong with a target, and with those in its arguments, without running any of it.

    Args:
        target: ``{_target_: package.module.Name, argument: value, …}``.
        path: Its place in the recipe.
    """
    name = target.get(TARGET)
    errors = []
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")) or "." not in name:
        errors.append(
            DlrunError(
                "unknown-target",
                f"`{name}` does not name a class or function of a module."
                if name is not None
                else f"`{path[-1]}` needs `{TARGET}`: the class or function to call.",
                path=(*path, TARGET) if name is not None else path,
                hint=f"Write `{TARGET}: package.module.Name`.",
            )
        )
    else:
        error = _not_there(name)
        if error is not None:
            error.path = (*path, TARGET)
            errors.append(error)
    error = _not_listed(target, path)
    errors += [] if error is None else [error]
    for key, value in target.items():
        errors += _check_inside(value, (*path, key))
    return errors


def _check_inside(value: Any, path: Path) -> list[DlrunError]:
    if isinstance(value, Mapping):
        if TARGET in value:
            return check_target(value, path)
        return [error for key, v in value.items() for error in _check_inside(v, (*path, key))]
    if isinstance(value, list | tuple):
        return [error for i, v in enumerate(value) for error in _check_inside(v, (*path, i))]
    return []


def _not_listed(target: Mapping[str, Any], path: Path) -> DlrunError | None:
    positional = target.get(POSITIONAL, ())
    if isinstance(positional, list | tuple):
        return None
    return DlrunError(
        "wrong-type",
        f"`{POSITIONAL}` must be a list of positional arguments, got `{positional}`.",
        path=(*path, POSITIONAL),
        hint=f"Write `{POSITIONAL}: [{positional}]`.",
    )


def make(target: Mapping[str, Any], path: Path = ("model",)) -> Any:
    """Import what a target names and call it with its arguments, nested targets first.

    Raises:
        DlrunError: ``unknown-target``, ``wrong-type``; ``target-failed`` when the user's own code raises.
    """
    error = _not_listed(target, path)
    if error is not None:
        raise error
    name = str(target[TARGET])
    arguments = {k: _made(v, (*path, k)) for k, v in target.items() if k not in (TARGET, POSITIONAL)}
    positional = [_made(v, (*path, POSITIONAL, i)) for i, v in enumerate(target.get(POSITIONAL, ()))]
    called = find(name, path)
    try:
        return called(*positional, **arguments)
    except DlrunError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise DlrunError(
            "target-failed",
            f"`{name}` could not be made: {type(error).__name__}: {' '.join(str(error).split())}",
            path=(*path, TARGET),
            hint="Check its arguments; `dlrun --traceback` shows where it failed.",
        ) from error


def find(name: str, path: Path = ("model",)) -> Any:
    """The object called ``name``; imports its module, or executes the recipe's file of that name.

    Raises:
        DlrunError: ``unknown-target``, ``target-failed``, ``extension-not-trusted`` and the like.
    """
    first, *rest = name.split(".")
    file = extensions.offered(first)
    if file is not None:
        found: Any = extensions.module(file)
    else:
        found, rest = _imported(name, path)
    for part in rest:
        if not hasattr(found, part):
            names = [n for n in dir(found) if not n.startswith("_")]
            raise DlrunError(
                "unknown-target",
                f"`{name}`: there is no `{part}` in `{getattr(found, '__name__', found)}`.",
                path=(*path, TARGET),
                hint=did_you_mean(part, names) or None,
            )
        found = getattr(found, part)
    return found


def _made(value: Any, path: Path) -> Any:
    if isinstance(value, Mapping):
        if TARGET in value:
            return make(value, path)
        return {key: _made(v, (*path, key)) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_made(v, (*path, i)) for i, v in enumerate(value)]
    return value


def _imported(name: str, path: Path) -> tuple[Any, list[str]]:
    """The longest part of ``name`` that is a module, imported, and what is left."""
    parts = name.split(".")
    for n in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:n])
        if n > 1 and _spec(module) is None:
            continue
        try:
            return importlib.import_module(module), parts[n:]
        except Exception as error:  # whatever the module raises on import
            if isinstance(error, ModuleNotFoundError) and error.name == parts[0]:
                raise _missing(name, parts[0], (*path, TARGET)) from None
            raise DlrunError(
                "target-failed",
                f"`{module}` could not be imported: {type(error).__name__}: {' '.join(str(error).split())}",
                path=(*path, TARGET),
                hint="`dlrun --traceback` shows where it failed.",
            ) from error
    raise _missing(name, parts[0], (*path, TARGET))


def _missing(name: str, module: str, path: Path = ()) -> DlrunError:
    return DlrunError(
        "unknown-target",
        f"`{name}`: there is no module `{module}` that can be imported.",
        path=path,
        hint=f"Install its package; or put `{module}.py` beside the recipe and write `extensions: [{module}.py]`.",
    )


def _not_there(name: str) -> DlrunError | None:
    """Why a target cannot be there, as far as file names and source text tell."""
    first, *rest = name.split(".")
    file = extensions.offered(first)
    if file is not None:
        return _no_name(file, rest[0], name)
    spec = _spec(first)
    if spec is None:
        return _missing(name, first)
    module = first
    while len(rest) > 1 and spec.submodule_search_locations is not None:
        below = importlib.machinery.PathFinder.find_spec(f"{module}.{rest[0]}", spec.submodule_search_locations)
        if below is None:
            break
        module, spec, rest = f"{module}.{rest[0]}", below, rest[1:]
    if spec.submodule_search_locations is not None or spec.origin is None or not spec.origin.endswith(".py"):
        return None  # a package may define its names in any way
    return _no_name(File(spec.origin), rest[0], name)


def _spec(module: str) -> importlib.machinery.ModuleSpec | None:
    """Where a module is, without importing it or the packages it is in."""
    first, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    name = first
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = importlib.machinery.PathFinder.find_spec(name, spec.submodule_search_locations)
    return spec


def _no_name(file: File, wanted: str, name: str) -> DlrunError | None:
    """A mistake if the source text of a module certainly defines no such name."""
    import ast

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None  # it is said when the file is executed
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Name) and node.id in ("globals", "setattr", "exec"):
            return None
    if wanted in names or "*" in names or "__getattr__" in names:
        return None
    classes = [n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    return DlrunError(
        "unknown-target",
        f"`{name}`: `{file.name}` defines no `{wanted}`.",
        hint=did_you_mean(wanted, classes) or None,
    )
