"""The ``dlrun`` command: its verbs, and the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Annotated, Any

import typer

from dlrun import __version__
from dlrun.cli import (
    check,
    compare,
    completion,
    data,
    doctor,
    eval,
    export,
    layers,
    new,
    predict,
    recipes,
    schema,
    show,
    train,
)
from dlrun.cli.bar import bar
from dlrun.cli.help import Verb, Verbs
from dlrun.errors import DlrunError, DlrunErrors, RunError, did_you_mean

EXAMPLES = """\
dlrun train digits  # a first run, no network needed
dlrun train mnist backend=tensorflow train.epochs=2
dlrun check ./my_recipe.yaml  # shapes and mistakes, in a second
dlrun eval outputs/mnist/RUN
dlrun recipes  # what else there is"""

app = typer.Typer(
    name="dlrun",
    cls=Verbs,
    epilog=EXAMPLES,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _verb, _examples in (
    ("train", train.train, train.EXAMPLES),
    ("eval", eval.evaluate, eval.EXAMPLES),
    ("predict", predict.predict, predict.EXAMPLES),
    ("export", export.export, export.EXAMPLES),
    ("check", check.check, check.EXAMPLES),
    ("data", data.data, data.EXAMPLES),
    ("show", show.show, show.EXAMPLES),
    ("compare", compare.compare, compare.EXAMPLES),
    ("recipes", recipes.recipes, recipes.EXAMPLES),
    ("layers", layers.layers, layers.EXAMPLES),
    ("new", new.new, new.EXAMPLES),
    ("doctor", doctor.doctor, doctor.EXAMPLES),
    ("schema", schema.schema, schema.EXAMPLES),
    ("completion", completion.completion, completion.EXAMPLES),
):
    app.command(_name, cls=Verb, epilog=_examples)(_verb)


@app.callback(invoke_without_command=True)
def dlrun(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the Python traceback of an error; works after a verb, too.")
    ] = False,
) -> None:
    """One YAML recipe, native PyTorch or native TensorFlow, the same training run."""
    if version:
        print(f"dlrun {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code: 0; 1 a run failed; 2 a mistake; 128 + signal."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [completion.REQUEST]:
        from dlrun.cli.complete import answer

        sys.exit(answer(words[1:]))
    sys.exit(run(words))


def run(words: Sequence[str]) -> int:
    """The exit code of a command line; the error boundary."""
    from dlrun.data.waiting import drawn_by

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # no terminal's encoding is a reason to fail
    traceback = "--traceback" in words
    as_json = "--json" in words
    quiet = as_json or "--quiet" in words or "-q" in words
    with _stdout_for_json() if as_json else _plain(), drawn_by(lambda: bar(quiet)):
        try:
            code = app([w for w in words if w != "--traceback"], prog_name="dlrun", standalone_mode=False)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except (KeyboardInterrupt, typer.Abort):
            return 130
        except BrokenPipeError:  # the reader of our output has gone, e.g. `dlrun recipes | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except Exception as error:
            if traceback:
                import traceback as tracebacks

                tracebacks.print_exc()
            return _report(_as_ours(error, words), as_json)


def _report(error: DlrunError, as_json: bool) -> int:
    from dlrun.cli import render

    render.errors(error)
    if as_json:
        several = error.errors if isinstance(error, DlrunErrors) else (error,)
        render.print_json({"errors": [e.as_dict() for e in several]})
    return error.exit_code


def _as_ours(error: Exception, words: Sequence[str]) -> DlrunError:
    """Any exception as an error that says what to do."""
    if isinstance(error, DlrunError):
        return error
    if hasattr(error, "format_message"):  # typer's own errors about flags and arguments
        return _usage(error)
    text = " ".join(str(error).split()) or "no message"
    again = "dlrun --traceback " + " ".join(w for w in words if w != "--traceback")
    return RunError(
        "internal-error", f"{type(error).__name__}: {text}", hint=f"This is a bug of dlrun. Details: {again}"
    )


def _usage(error: Any) -> DlrunError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "dlrun"
    flag = getattr(error, "option_name", None)
    if flag is None or context is None or "No such option" not in error.format_message():
        return DlrunError("usage", error.format_message(), hint=f"See: {path} --help")
    flags = [name for p in context.command.get_params(context) for name in p.opts if name.startswith("-")]
    return DlrunError(
        "unknown-flag",
        f"`{flag}` is not a flag of `{path}`.",
        hint=f"{did_you_mean(flag, flags)} Recipe values are written without dashes: `train.epochs=5`.",
    )


@contextmanager
def _plain() -> Iterator[None]:
    yield


@contextmanager
def _stdout_for_json() -> Iterator[None]:
    """Keep standard output for the one JSON object: whatever libraries print goes to standard error."""
    from dlrun.cli import render

    try:
        descriptor = sys.stdout.fileno()
        kept: IO[str] = os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError):  # a stream without a descriptor, as in a notebook
        yield
        return
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), descriptor)
    render.reserve_stdout(kept)
    try:
        yield
    finally:
        render.reserve_stdout(None)
        sys.stdout.flush()
        kept.flush()
        os.dup2(kept.fileno(), descriptor)
        kept.close()
