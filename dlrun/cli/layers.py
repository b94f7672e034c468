"""``dlrun layers``: what a recipe can name, and what each of it means."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Annotated

import typer

from dlrun.cli.arguments import Json
from dlrun.errors import DlrunError, RunError

EXAMPLES = """\
dlrun layers  # everything a recipe can name
dlrun layers conv2d  # meaning, fields, shapes, differences
dlrun layers adamw
dlrun layers share  # a key: what it means, and what has it
dlrun layers --write docs/reference  # as Markdown pages"""


def layers(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A layer, loss, optimizer, …, or one of their keys.")
    ] = None,
    write: Annotated[
        str | None, typer.Option("--write", metavar="FOLDER", help="Write the whole reference as Markdown pages.")
    ] = None,
    json: Json = False,
) -> None:
    """List layers, losses, optimizers and the like, or explain one."""
    if write is not None:
        _write(write, json)
    elif name is not None:
        _explain(name, json)
    else:
        _list(json)


def _list(json: bool) -> None:
    from dlrun.cli import render
    from dlrun.reference import entries, registries

    every = {title: entries(registry) for title, registry in registries().items()}
    if json:
        render.print_json({t: [{"name": e.kind, "summary": e.summary} for e in found] for t, found in every.items()})
        return
    for title, found in every.items():
        render.line(f"{title} ({len(found)})")
        render.table(
            ("name", "what it is", "family"), [(f"  {e.kind}", e.summary.rstrip("."), e.family) for e in found]
        )
        render.line("")
    render.next_steps(
        [
            ("dlrun layers conv2d", "one of them in full"),
            ("dlrun new my_recipe --from mnist", "a recipe to use them in"),
        ]
    )


def _explain(name: str, json: bool) -> None:
    from dlrun.backends import BACKENDS
    from dlrun.cli import render
    from dlrun.reference import COMMON, Entry, find, keys, support

    found: list[Entry] = []
    meanings = keys(name)
    try:
        found = find(name)
    except DlrunError:
        if not meanings:
            raise
    lowered = {e.role: {b: support(e.cls, b) for b in BACKENDS} for e in found if e.role in _LOWERED}
    if json:
        shown = [
            {
                "role": e.role,
                "name": e.kind,
                "summary": e.summary,
                "meaning": e.meaning,
                "fields": [dict(zip(("name", "type", "default", "meaning"), row, strict=True)) for row in e.fields()],
                **{heading.lower(): text for heading, text in e.sections.items() if heading != "Args"},
                "example": e.example(),
                "backends": lowered.get(e.role, {}),
            }
            for e in found
        ]
        render.print_json({"entries": shown, "keys": [dataclasses.asdict(key) for key in meanings]})
        return
    for e in found:
        render.line(f"{e.kind}: {e.role}. {e.summary}")
        if e.meaning:
            render.line("")
            render.line(e.meaning)
        render.line("")
        for field, kind, default, meaning in e.fields():
            render.line(f"  {field}: {kind}, {default if default == 'required' else f'default {default}'}")
            render.line(textwrap.indent(textwrap.fill(meaning, 100), "      "))
        render.line("")
        for heading, text in e.sections.items():
            if heading != "Args":
                render.line(f"{heading}: {text}")
        if e.role in lowered:
            render.line("Backends: " + ", ".join(f"{b} {how}" for b, how in lowered[e.role].items()))
        example = e.example()
        if example is not None:
            render.line(f"Example: {example}")
        if e.role in COMMON:
            render.line(f"Keys of every {e.role}: {', '.join(COMMON[e.role])}  (dlrun layers {COMMON[e.role][-1]})")
    for key in [] if found else meanings:
        of = f"every {key.role}" if not key.owners else f"{key.role} {', '.join(key.owners)}"
        render.line(f"{key.name}: key of {of}")
        said = key.default if key.default in ("required", "varies") else f"default {key.default}"
        render.line(f"  {key.type}, {said}")
        render.line(textwrap.indent(textwrap.fill(key.meaning, 100), "      "))
        render.line("")
    render.next_steps([("dlrun layers", "everything else a recipe can name")])


_LOWERED = ("layer", "loss", "optimizer")


def _write(folder: str, json: bool) -> None:
    from pathlib import Path

    from dlrun.cli import render
    from dlrun.files import write_atomic
    from dlrun.reference import pages

    written = []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, text in pages():
            write_atomic(Path(folder) / name, text.encode())
            written.append(str(Path(folder) / name))
    except OSError as error:
        raise RunError("cannot-write", f"`{folder}` cannot be written: {error.strerror}.") from None
    if json:
        render.print_json({"files": written})
        return
    render.line(f"{len(written)} pages written to {folder}")
    render.next_steps([(f"less {written[0]}", "the index")])
