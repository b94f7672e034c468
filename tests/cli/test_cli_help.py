"""What ``--help`` says, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dlrun.cli import app

VERBS = ["train", "eval", "predict", "export", "check", "show", "compare", "recipes", "new", "doctor", "schema"]
VERBS += ["completion", "data", "layers"]


def help_of(capsys, *words):
    assert app.run([*words, "--help"]) == 0
    return capsys.readouterr().out


def test_every_verb_is_listed_with_a_sentence(capsys):
    lines = help_of(capsys).splitlines()
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line[:2] == "  " and line.split()}
    assert all(verb in listed and listed[verb].endswith(".") for verb in VERBS)


def test_no_verb_at_all_shows_the_help(capsys):
    assert app.run([]) == 0
    assert "Verbs:" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_shows_examples_that_begin_with_the_command(capsys, verb):
    lines = help_of(capsys, *verb.split()).splitlines()
    examples = lines[lines.index("Examples:") + 1 :]
    first = examples[: examples.index("")]
    assert len(first) >= 2
    assert any(f"dlrun {verb}".strip() in line for line in first)


@pytest.mark.parametrize("verb", VERBS)
def test_examples_parse(verb):
    """Each example is a command line that typer accepts: no flag in it has been renamed."""
    import shlex

    import typer

    group = typer.main.get_command(app.app)
    module = __import__(f"dlrun.cli.{verb}", fromlist=["EXAMPLES"])
    for line in module.EXAMPLES.splitlines():
        words = shlex.split(line.partition("  # ")[0].partition(" | ")[0])
        if words[0] == "dlrun":
            command = group.commands[words[1]]
            command.make_context(words[1], words[2:])


def test_help_loads_typer_and_little_else():
    heavy = {"numpy", "rich", "hydra", "omegaconf", "pydantic", "yaml", "torch", "tensorflow", "keras", "PIL"}
    code = (
        "import sys\nfrom dlrun.cli.app import run\nassert run(['--help']) == 0\n"
        f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_version(capsys):
    from dlrun import __version__

    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"dlrun {__version__}\n"
