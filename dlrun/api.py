"""dlrun from Python: what the verbs do, without a command line.

``import dlrun`` gives these functions; nothing heavy is loaded before one is called.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dlrun.config import Composed
    from dlrun.run.evaluate import EvalResult
    from dlrun.run.predict import Prediction
    from dlrun.run.train import TrainResult

    Arrays = tuple[np.ndarray, np.ndarray]

__all__ = ["check", "evaluate", "predict", "train"]


def check(recipe: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Composed:
    """A recipe, checked and resolved; no framework is loaded.

    Args:
        recipe: Name or file.
        overrides: As on the command line: ``["optimizer.learning_rate=0.01"]``.

    Raises:
        DlrunErrors: Every mistake found.
    """
    from dlrun.config import compose

    return compose([_recipe(recipe), *overrides])


def train(
    recipe: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    *,
    data: Arrays | None = None,
    test: Arrays | None = None,
    dtype: str = "float",
) -> TrainResult:
    """Train a recipe.

    Args:
        recipe: Name or file.
        overrides: As on the command line.
        data: Samples (N, *shape) and labels, in place of the recipe's source. They are kept in the user's cache folder
            as a ``.npz`` file, so that the run can be continued, evaluated and moved like any other.
        test: The same for the test split.
        dtype: ``int`` where samples are ids, else ``float``.

    Raises:
        DlrunErrors: Every mistake found. RunError: When training fails.
    """
    from dlrun.run.train import train as run

    if data is None:
        if test is not None:
            raise ValueError("`test` stands beside `data`")
        return run(check(recipe, overrides))
    given = {"data": data} | ({} if test is None else {"test": test})
    files = {name: str(_kept(*_pair(name, arrays))) for name, arrays in given.items()}
    said = ", ".join(f"{_SPLITS[name]}: {_quoted(file)}" for name, file in files.items())
    source = f"data.source={{name: npz, dtype: {dtype}, {said}}}"
    with _as_given(source, files):
        return run(check(recipe, [*overrides, source]))


def evaluate(
    run: str | os.PathLike[str], overrides: Sequence[str] = (), *, split: str = "test", report: bool = False
) -> EvalResult:
    """Metrics of a run's best checkpoint, or of the checkpoint named; see ``dlrun eval``."""
    from dlrun.run.evaluate import evaluate as evaluate_run

    return evaluate_run(Path(run), split=split, overrides=overrides, report=report)


def predict(
    run: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    overrides: Sequence[str] = (),
    *,
    notes: list[str] | None = None,
) -> list[Prediction]:
    """What a run's model says of files; see ``dlrun predict``.

    Args:
        run: Run directory or checkpoint folder.
        files: Files, and folders of images.
        overrides: As on the command line.
        notes: Gets what a user should know of the files, such as categories that training did not know.
    """
    from dlrun.run.predict import predict as predict_files

    return predict_files(Path(run), [Path(f) for f in files], overrides=overrides, notes=notes)


def _recipe(recipe: str | os.PathLike[str]) -> str:
    return f"recipe={os.fspath(recipe)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SPLITS = {"data": "train", "test": "test"}


def _pair(name: str, arrays: Any) -> Arrays:
    """Samples and labels of one argument.

    Raises:
        DlrunErrors: ``wrong-arrays``.
    """
    import numpy as np

    from dlrun.errors import DlrunError, DlrunErrors

    if not isinstance(arrays, tuple | list) or len(arrays) != 2:
        got = f"{len(arrays)} of them" if isinstance(arrays, tuple | list) else f"`{type(arrays).__name__}`"
        message = f"`{name}` must be two arrays, samples and labels, got {got}."
        raise DlrunErrors([DlrunError("wrong-arrays", message, hint=f"Write `{name}=(x, y)`.")])
    try:
        x, y = (np.ascontiguousarray(array) for array in arrays)
    except ValueError as error:
        message = f"`{name}` holds something that is no array: {error}"
        raise DlrunErrors([DlrunError("wrong-arrays", message, hint="Give each sample the same shape.")]) from error
    return x, y


@contextmanager
def _as_given(source: str, files: Mapping[str, str]) -> Iterator[None]:
    """Mistakes in arrays speak of the arguments, not of the files that hold them nor of the override that names these.

    Args:
        source: The override.
        files: The file of each argument, by its name.
    """
    from dlrun.errors import DlrunError, DlrunErrors

    try:
        yield
    except DlrunError as error:
        for one in error.errors if isinstance(error, DlrunErrors) else (error,):
            for name, file in files.items():
                one.message = one.message.replace(file, name)
                one.hint = one.hint and one.hint.replace(file, name)
            if one.where is not None and one.where.override == source:
                one.where = None
            if one.where is None and one.path[:2] == ("data", "source"):
                one.path = ()
        raise


def _kept(x: np.ndarray, y: np.ndarray) -> Path:
    """The file of two arrays, named by what they hold."""
    import io

    import numpy as np

    from dlrun.data.published import cache_folder
    from dlrun.files import write_atomic

    digest = hashlib.sha256()
    for array in (x, y):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    folder = cache_folder("arrays")
    file = folder / f"{digest.hexdigest()[:32]}.npz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        written = io.BytesIO()
        np.savez(written, x=x, y=y)
        write_atomic(file, written.getvalue())
    return file
