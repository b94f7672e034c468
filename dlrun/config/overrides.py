"""Command-line overrides: Hydra's grammar, read into what they ask for."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dlrun.config.catalog import CHOICES, RECIPE, Catalog
from dlrun.errors import DlrunError, DlrunErrors, Where

_ODD = re.compile(r"[^\w.$~+@/:\- \[\]]")
_GRAMMAR = "Write `key=value`; quote a value with spaces or special characters: key='\"a b\"'."
_INDEX = re.compile(r"\[(\w+)\]")
_WORDS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:\\.|[^\[\]{}(),:='"\\])+""")
"""Quoted texts, and what stands between the marks of the grammar."""
_QUOTED_KEY = re.compile(r"""[{,]\s*['"]""")
_BEYOND = re.compile(r"[^\x00-\x7f]|(?<=\w) (?=\w)")
"""What a key may hold and the grammar does not know."""
_SPELT = re.compile(r"__U([0-9a-f]{1,6})__")


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

    ``layers[3]`` becomes ``layers.3``; odd paths are quoted, and so is text beyond ASCII. In keys, which cannot be
    quoted, such characters are spelt out; ``decoded`` brings them back.
    """
    key, equals, value = text.partition("=")
    key = _BEYOND.sub(_spelt, _INDEX.sub(r".\1", key))
    if equals and key.lstrip("+") == RECIPE and (value[:1] == "~" or _is_file(value)):
        value = quoted(value)
    elif (not value.isascii() or _QUOTED_KEY.search(value)) and "${" not in value:
        value = _WORDS.sub(_readable_word, value)
    return f"{key}{equals}{value}"


def _readable_word(found: re.Match[str]) -> str:
    word, text = found[0], found.string
    inner = word.strip()
    if text[: found.start()].rstrip()[-1:] in ("{", ",") and text[found.end() :].lstrip()[:1] == ":":
        if word[0] in "'\"":
            return re.sub(r"^.|[^A-Za-z0-9_-]", _spelt, word[1:-1])  # the first, so that a number or `true` stays text
        return word.replace(inner, _BEYOND.sub(_spelt, inner)) if inner else word
    return word if word.isascii() or word[0] in "'\"" else word.replace(inner, quoted(inner))


def _spelt(found: re.Match[str]) -> str:
    return f"__U{ord(found[0]):x}__"


def readable(text: str) -> str:
    """The override of a job, which was made of ``grammar_text``, with its key as it was typed."""
    key, equals, value = text.partition("=")
    return f"{decoded(key)}{equals}{value}"


def decoded(value: Any) -> Any:
    """A value, or text of an override, with the characters that ``grammar_text`` spelt out."""
    if isinstance(value, dict):
        return {decoded(key): decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return _SPELT.sub(lambda found: chr(int(found[1], 16)), value) if isinstance(value, str) else value


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
    except (HydraException, ValueError, RecursionError):
        raise DlrunError("override-syntax", f"`{text}` is not an override.", hint=_reason(text)) from None
    text, key, value = readable(text), decoded(parsed.key_or_group), decoded(value)
    if parsed.package is not None:
        raise DlrunError(
            "override-syntax", f"`{text}` names a package; groups are chosen by name.", hint=f"Write `{key}=…`."
        )
    is_group = catalog.is_group(key) and not isinstance(value, dict)
    return Override(text, key, value, parsed.is_delete(), is_group, parsed.is_add() or parsed.is_force_add(), sweep)


def _reason(text: str) -> str:
    key, _, value = text.partition("=")
    if key != key.strip() or value[:1] == " ":
        return "Write it without spaces around `=`."
    if value.count("[") != value.count("]") or value.count("{") != value.count("}"):
        return "A bracket is not closed; in a shell, quote the whole override."
    if ":" in value and "{" in value and ": " not in value and "," not in value:
        return "In a shell, quote the whole override."
    if odd := _ODD.search(key):
        above, _, name = key[: odd.start()].rpartition(".")
        meant = f'{above}={{"{name}{key[odd.start() :]}": {value}}}'
        return f"`{odd[0]}` cannot stand in a key here; write {shlex.quote(meant)}."
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    if _is_read(meant := f'{key}="{escaped}"'):
        return (
            f"Text with special characters stands in quotes, and those in quotes for the shell: {shlex.quote(meant)}."
        )
    return _GRAMMAR


def _is_read(text: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return bool(OverridesParser.create().parse_overrides([grammar_text(text)]))
    except (HydraException, ValueError, RecursionError):
        return False


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
