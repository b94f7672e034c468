"""How ``--help`` looks: usage, what the verb does, examples, then arguments and options.

Plain text on purpose: rich alone would cost a quarter of the time ``--help`` may take.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from dlrun.errors import DlrunError, did_you_mean

_OTHER_WORDS = {
    "continue": "train resume=RUN",
    "fit": "train RECIPE",
    "infer": "predict RUN FILE",
    "init": "new NAME",
    "resume": "train resume=RUN",
    "sweep": "train -m RECIPE KEY=VALUE,VALUE",
    "test": "eval RUN",
    "tune": "train -m RECIPE KEY=VALUE,VALUE",
}
"""What users of other tools say, and the command that does it here."""


def _heading(text: str) -> str:
    return typer.style(text, bold=True) if sys.stdout.isatty() else text


def _section(formatter: Any, title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(_heading(title)):
            formatter.write_dl(rows, col_max=34)


def _options(command: Any, ctx: Any) -> list[tuple[str, str]]:
    rows = []
    for param in command.get_params(ctx):
        if param.param_type_name == "option" and not getattr(param, "hidden", False):
            names = ", ".join(sorted([*param.opts, *param.secondary_opts], key=len))
            value = "" if param.is_flag else f" {param.metavar or param.name.upper()}"
            rows.append((names + value, "Show this help." if param.name == "help" else (param.help or "")))
    return rows


def _arguments(command: Any, ctx: Any) -> list[tuple[str, str]]:
    return [
        (param.metavar or param.name.upper(), param.help or "")
        for param in command.get_params(ctx)
        if param.param_type_name == "argument" and not param.hidden
    ]


def _preamble(command: Any, ctx: Any, formatter: Any, usage: str) -> None:
    formatter.write(f"{_heading('Usage:')} {ctx.command_path} {usage}\n\n")
    formatter.write(inspect.cleandoc(command.help or "") + "\n")
    if command.epilog:
        with formatter.section(_heading("Examples")):
            width = max(len(line.partition("  # ")[0]) for line in command.epilog.splitlines())
            for line in command.epilog.splitlines():
                example, mark, remark = line.partition("  # ")
                formatter.write(f"  {example.ljust(width) if mark else example}{mark}{remark}\n")


class Verb(TyperCommand):
    """A command whose help shows its ``epilog`` as examples, one per line: ``command  # remark``."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        arguments = _arguments(self, ctx)
        _preamble(self, ctx, formatter, " ".join([*(name for name, _ in arguments), "[OPTIONS]"]))
        _section(formatter, "Arguments", arguments)
        _section(formatter, "Options", _options(self, ctx))


class Verbs(TyperGroup):
    """The command itself; a word that is no verb gets the nearest ones."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _preamble(self, ctx, formatter, "VERB [ARGUMENTS] [OPTIONS]")
        commands = [(n, self.commands[n]) for n in self.list_commands(ctx)]
        _section(formatter, "Verbs", [(n, (c.help or "").partition("\n")[0]) for n, c in commands if not c.hidden])
        _section(formatter, "Options", _options(self, ctx))
        formatter.write(f"\nMore about a verb: {ctx.command_path} VERB --help\n")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if word not in self.commands and not word.startswith("-"):
            if "=" in word:
                hint = f"Say what to do with it: dlrun train {word}"
            elif word in _OTHER_WORDS:
                hint = f"Write: dlrun {_OTHER_WORDS[word]}"
            else:
                hint = did_you_mean(word, self.list_commands(ctx)) or "List them: dlrun --help"
            raise DlrunError("unknown-verb", f"`{word}` is not a verb.", hint=hint)
        return super().resolve_command(ctx, args)
