"""Command-line overrides: Hydra's grammar, read into what they ask for."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dlrun.config.catalog import CHOICES, RECIPE, Catalog
from dlrun.errors import DlrunError, DlrunErrors, Where

_GRAMMAR = "Write `key=value`; quote a value with spaces or special characters: key='\"a b\"'."
_INDEX = re.compile(r"\[(\w+)\]")
_WORDS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:\\.|[^\[\]{}(),:='"\\])+""")
"""Quoted texts, and what stands between the marks of the grammar."""


@dataclass(frozen=True)
class Override:
    """One override.

    Args:
        text: As it was typed.
        key: Dotted key, or group.
        value: The value as Hydra's grammar reads it; None for a deletion.
        delete: Whether it starts with ``~``.
        group: Whether the key is a group and the value one of its options.
        add: Whether it starts with ``+``.
        sweep: Whether it has several values.
    """

    text: str
    key: str
    value: Any
    delete: bool = False
    group: bool = False
    add: bool = False
    sweep: bool = False

    @property
    def where(self) -> Where:
        """Its place, for messages."""
        return Where(override=self.text)

    @property
    def hydra(self) -> bool:
        """Whether it is meant for Hydra itself."""
        return self.key.split(".")[0].split("/")[0] == "hydra"


def parse(texts: Sequence[str], catalog: Catalog) -> list[Override]:
    """Read overrides; all that are malformed are reported together.

    Raises:
        DlrunErrors: ``override-syntax``.
    """
    found: list[Override] = []
    errors: list[DlrunError] = []
    for text in texts:
        try:
            found.append(_parse(text, catalog))
        except DlrunError as error:
            error.where = Where(override=text)
            errors.append(error)
    if errors:
        raise DlrunErrors(errors)
    return found


def grammar_text(text: str) -> str:
    """The override as Hydra's grammar can read it.

    ``layers[3]`` becomes ``layers.3``; odd paths are quoted, and so is text beyond ASCII.
    """
    key, equals, value = text.partition("=")
    key = _INDEX.sub(r".\1", key)
    if equals and key.lstrip("+") == RECIPE and (value[:1] == "~" or _is_file(value)):
        value = quoted(value)
    elif not value.isascii() and "${" not in value:
        value = _WORDS.sub(_quoted_word, value)
    return f"{key}{equals}{value}"


def _quoted_word(found: re.Match[str]) -> str:
    word = found[0]
    if word.isascii() or word[0] in "'\"":
        return word
    inner = word.strip()
    return word.replace(inner, quoted(inner))


def quoted(text: str) -> str:
    """Text as a quoted value of Hydra's grammar."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _is_file(value: str) -> bool:
    if value[:1] in "'\"" or re.fullmatch(r"[\w./-]+", value, re.ASCII):
        return False  # the grammar reads it as it is
    return os.path.isfile(os.path.expanduser(value))


def _parse(text: str, catalog: Catalog) -> Override:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    text = text.strip()
    if ("=" not in text and not text.startswith("~")) or text.startswith("="):
        raise DlrunError("override-syntax", f"`{text}` is not an override.", hint=_GRAMMAR)
    try:
        parsed = OverridesParser.create().parse_overrides([grammar_text(text)])[0]
        sweep = parsed.is_sweep_override()
        value = None if sweep else parsed.value()
    except (HydraException, ValueError, RecursionError) as error:
        raise DlrunError("override-syntax", f"`{text}` is not an override.", hint=_reason(text, error)) from None
    key = parsed.key_or_group
    if parsed.package is not None:
        raise DlrunError(
            "override-syntax", f"`{text}` names a package; groups are chosen by name.", hint=f"Write `{key}=…`."
        )
    is_group = catalog.is_group(key) and not isinstance(value, dict)
    return Override(text, key, value, parsed.is_delete(), is_group, parsed.is_add() or parsed.is_force_add(), sweep)


def _reason(text: str, error: Exception) -> str:
    value = text.partition("=")[2]
    key = text.partition("=")[0]
    if key != key.strip() or value[:1] == " ":
        return "Write it without spaces around `=`."
    if value.count("[") != value.count("]") or value.count("{") != value.count("}"):
        return "A bracket is not closed; in a shell, quote the whole override."
    if ":" in value and "{" in value and ": " not in value and "," not in value:
        return "In a shell, quote the whole override."
    return _GRAMMAR


def single(overrides: Sequence[Override]) -> None:
    """Raise for overrides that only make sense in a sweep.

    Raises:
        DlrunErrors: ``override-syntax``.
    """
    errors = []
    for o in overrides:
        if o.sweep:
            errors.append(
                DlrunError(
                    "override-syntax",
                    f"`{o.text}` has several values.",
                    where=o.where,
                    hint=f"Add -m to run one job per value; a list is written `{o.key}=[a,b]`.",
                )
            )
        elif o.hydra:
            errors.append(
                DlrunError(
                    "override-syntax",
                    f"`{o.key}` is a setting of Hydra's sweeps.",
                    where=o.where,
                    hint="Add -m, or leave it out.",
                )
            )
    if errors:
        raise DlrunErrors(errors)


def choices_and_values(parsed: Sequence[Override]) -> tuple[list[Override], list[Override]]:
    """Choices of groups, one per group, and overrides of values.

    Raises:
        DlrunErrors: ``contradiction`` when a group is chosen twice.
    """
    choices: dict[str, Override] = {}
    values: list[Override] = []
    errors: list[DlrunError] = []
    for o in parsed:
        for one in _split(o):
            if not one.group:
                values.append(one)
            elif one.key in choices and choices[one.key].text != one.text:
                errors.append(
                    DlrunError(
                        "contradiction",
                        f"`{choices[one.key].text}` and `{one.text}` both choose `{one.key}`.",
                        where=one.where,
                        hint="Keep one of them.",
                    )
                )
            else:
                choices[one.key] = one
    if errors:
        raise DlrunErrors(errors)
    return list(choices.values()), values


def _split(o: Override) -> list[Override]:
    """A group chosen in another spelling, as the choice and its fields."""
    section = o.key.removesuffix(".name")
    if o.delete and section in (*CHOICES, RECIPE):
        return [replace(o, group=False)]
    if o.delete or section not in CHOICES:
        return [o]
    if section != o.key and section != "train":
        return _split(Override(o.text, section, o.value, group=True))
    if isinstance(o.value, dict) and isinstance(o.value.get("name"), str):
        rest = [Override(o.text, f"{section}.{k}", v) for k, v in o.value.items() if k != "name"]
        return [*_split(Override(o.text, section, o.value["name"], group=True)), *rest]
    if section == "device" and isinstance(o.value, str) and ":" in o.value:
        name, _, index = o.value.partition(":")
        if index.isdigit():
            return [
                Override(o.text, section, name, group=True),
                Override(o.text, "device.index", int(index)),
            ]
    return [o]


def contradiction(o: Override, other: Override) -> DlrunError:
    """Two overrides of one key."""
    return DlrunError(
        "contradiction",
        f"`{o.text}` and `{other.text}` both set `{o.key}`.",
        where=o.where,
        hint="Keep one of them.",
    )
