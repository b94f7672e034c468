"""dlrun from Python: what the verbs do, without a command line.

``import dlrun`` gives these functions; nothing heavy is loaded before one is called.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

    words = list(overrides)
    if data is not None:
        fields = {"train": str(_kept(data))} | ({} if test is None else {"test": str(_kept(test))})
        said = ", ".join(f"{name}: {_quoted(path)}" for name, path in fields.items())
        words.append(f"data.source={{name: npz, dtype: {dtype}, {said}}}")
    elif test is not None:
        raise ValueError("`test` stands beside `data`")
    return run(check(recipe, words))


def evaluate(
    run: str | os.PathLike[str], overrides: Sequence[str] = (), *, split: str = "test", report: bool = False
) -> EvalResult:
    """Metrics of a run's best checkpoint, or of the checkpoint named; see ``dlrun eval``."""
    from dlrun.run.evaluate import evaluate as evaluate_run

    return evaluate_run(Path(run), split=split, overrides=overrides, report=report)


def predict(
    run: str | os.PathLike[str], files: Sequence[str | os.PathLike[str]], overrides: Sequence[str] = ()
) -> list[Prediction]:
    """What a run's model says of files; see ``dlrun predict``."""
    from dlrun.run.predict import predict as predict_files

    return predict_files(Path(run), [Path(f) for f in files], overrides=overrides)


def _recipe(recipe: str | os.PathLike[str]) -> str:
    return f"recipe={os.fspath(recipe)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _kept(arrays: Arrays) -> Path:
    """The file of two arrays, named by what they hold."""
    import io

    import numpy as np

    from dlrun.data.published import cache_folder
    from dlrun.files import write_atomic

    x, y = (np.ascontiguousarray(a) for a in arrays)
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
