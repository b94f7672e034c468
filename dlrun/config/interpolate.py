"""``${…}``: other keys, values of the data, environment variables."""

from __future__ import annotations

import re
from typing import Any

from dlrun.config.language import Choice, Section, fields
from dlrun.config.node import FromEnvironment, Node, Unresolved, of
from dlrun.config.written import plain
from dlrun.errors import DlrunError, Path, did_you_mean, dotted
from dlrun.recipe import Recipe

FROM_DATA: tuple[Path, ...] = (
    ("data", "classes"),
    ("data", "vocabulary"),
    ("data", "input_shape"),
    ("data", "columns"),
)
"""Keys that no recipe writes: they are read from the data."""
_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^{}]*\}")
_UNRESOLVED = "\0unresolved\0"


def has_any(node: Node) -> bool:
    """Whether any value below refers to another."""
    if isinstance(node.value, dict):
        return any(has_any(child) for child in node.value.values())
    if isinstance(node.value, list):
        return any(has_any(child) for child in node.value)
    return isinstance(node.value, str) and "${" in node.value


def resolve(node: Node, path: Path, root: Node, from_data: dict[Path, Any]) -> list[DlrunError]:
    """Replace every reference below ``node`` by what it refers to; returns the mistakes.

    What refers to a value that could not be found out becomes ``Unresolved`` in silence: the
    mistake is reported where it was made.

    Args:
        node: Where to replace, in place.
        path: Its path in ``root``.
        root: The whole tree; keys left at their default can be referred to as well.
        from_data: Values of ``FROM_DATA``; ``Unresolved`` if the data could not be read.
    """
    if not has_any(node):
        return []
    from omegaconf import OmegaConf

    everything = _filled(Recipe, root.plain())
    for where, value in from_data.items():
        _put(everything, where, value)
    config = OmegaConf.create(_marked(everything))
    errors: list[DlrunError] = []
    _walk(node, path, config, errors)
    return errors


def _walk(node: Node, path: Path, config: Any, errors: list[DlrunError]) -> None:
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            _walk(child, (*path, key), config, errors)
    elif isinstance(node.value, list):
        for i, child in enumerate(node.value):
            _walk(child, (*path, i), config, errors)
    elif isinstance(node.value, str) and "${" in node.value:
        try:
            value = _value(path, node.value, config)
            if isinstance(value, str) and _ENVIRONMENT.fullmatch(node.value):
                value = FromEnvironment(value)
            node.value = Unresolved() if _UNRESOLVED in str(value) else of(value, node.where).value
        except DlrunError as error:
            error.path = path
            errors.append(error)
            node.value = Unresolved()


def _value(path: Path, text: str, config: Any) -> Any:
    from omegaconf import Container, OmegaConf
    from omegaconf.errors import (
        GrammarParseError,
        InterpolationKeyError,
        InterpolationToMissingValueError,
        OmegaConfBaseException,
        UnsupportedInterpolationType,
    )

    try:
        OmegaConf.create({"value": text})  # raises for a mistake of grammar
        above = config
        for part in path[:-1]:
            above = above[part]
        value = above[path[-1]]
        return OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value
    except GrammarParseError:
        raise DlrunError(
            "interpolation",
            f"`{text}` is not a well-formed reference.",
            hint="Write `${section.key}` or `${oc.env:NAME,default}`; `\\${` is a plain dollar sign.",
        ) from None
    except (InterpolationKeyError, InterpolationToMissingValueError) as error:
        raise _missing_key(text, str(error), config, path) from None
    except UnsupportedInterpolationType:
        raise DlrunError(
            "interpolation",
            f"`{text}` uses a resolver that does not exist.",
            hint="Write `${section.key}` or `${oc.env:NAME,default}`.",
        ) from None
    except OmegaConfBaseException as error:
        raise _failed(text, str(error)) from None
    except RecursionError:
        raise DlrunError("interpolation", f"`{text}` refers to itself.", hint="Break the circle.") from None


def _missing_key(text: str, message: str, config: Any, path: Path) -> DlrunError:
    found = re.search(r"key '([^']*)' not found", message)
    key = found[1] if found else text.strip("${}")
    keys = list(dict.fromkeys([*_keys(config), *(dotted(path) for path in FROM_DATA)]))
    hint = did_you_mean(key, keys, "")
    if key in map(dotted, FROM_DATA) and path[0] == "data":
        return DlrunError(
            "interpolation",
            f"`{text}` in `data` refers to what is read from the data.",
            hint="Write the value itself in `data`; the other sections may refer to it.",
        )
    if key == "data.classes":
        hint = "These data have no classes; write the number itself."
    if key == "data.vocabulary":
        hint = "These data hold no ids; with `dtype: int` in `data.source` they do."
    if key == "data.columns":
        hint = "These data are no rows of a table; those of `source: table` are."
    return DlrunError("interpolation", f"`{text}` refers to `{key}`, which does not exist.", hint=hint or None)


def _failed(text: str, message: str) -> DlrunError:
    found = re.search(r"Environment variable '([^']*)' not found", message)
    if found:
        return DlrunError(
            "interpolation",
            f"`{text}`: the environment variable `{found[1]}` is not set.",
            hint=f"Set it, or give a default: `${{oc.env:{found[1]},default}}`.",
        )
    if "ecursi" in message:
        return DlrunError("interpolation", f"`{text}` refers to itself.", hint="Break the circle.")
    return DlrunError(
        "interpolation", f"`{text}` cannot be resolved.", hint="Write `${section.key}` or `${oc.env:NAME,default}`."
    )


def _keys(config: Any, prefix: str = "") -> list[str]:
    from omegaconf import DictConfig

    found: list[str] = []
    if isinstance(config, DictConfig):
        for key in config:
            name = prefix + str(key)
            found.append(name)
            found += _keys(config._get_node(key), f"{name}.")
    return found


def _filled(cls: type, written: dict[str, Any]) -> dict[str, Any]:
    """``written`` with the default of every field that it leaves out; mistakes are left as they are."""
    full = dict(written)
    for name, field in fields(cls).items():
        if name not in full:
            if not field.required:
                full[name] = plain(field.form, field.default)
        elif isinstance(full[name], dict):
            if isinstance(field.form, Section):
                full[name] = _filled(field.form.cls, full[name])
            elif isinstance(field.form, Choice) and full[name].get("name") in field.form.registry:
                full[name] = _filled(field.form.registry.get(full[name]["name"]), full[name])
    return full


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _marked(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_marked(v) for v in value]
    if isinstance(value, Unresolved) or not _well_formed(value):
        return _UNRESOLVED
    return str(value) if isinstance(value, str) else value  # OmegaConf takes no subclass


def _well_formed(value: Any) -> bool:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        if isinstance(value, str) and "${" in value:
            OmegaConf.create({"value": value})
    except OmegaConfBaseException:
        return False
    return True


def _put(values: dict[str, Any], path: Path, value: Any) -> None:
    section = values.get(str(path[0]))
    if section is None and isinstance(value, Unresolved):  # that `data` is missing is said elsewhere
        section = values[str(path[0])] = {}
    if isinstance(section, dict):
        section[str(path[1])] = value
