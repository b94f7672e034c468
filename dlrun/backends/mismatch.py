"""Whether what a checkpoint holds fits a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from dlrun.errors import DlrunError


def mismatches(what: str, given: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """What does not fit the model, one phrase each.

    Args:
        what: What the arrays are, as the phrase begins.
        given: Arrays by name.
        shapes: Those that the model has.
    """
    for name, value in given.items():
        if name not in shapes:
            yield f"{what} `{name}` is not in the model"
        elif np.shape(value) != shapes[name]:
            yield f"{what} `{name}` has shape {np.shape(value)}, the model's has {shapes[name]}"


def refuse(problems: Iterable[str]) -> None:
    """Raise ``checkpoint-mismatch`` if there are any."""
    found = list(problems)
    if found:
        more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
        raise DlrunError(
            "checkpoint-mismatch",
            "the checkpoint does not fit this model: " + "; ".join(found[:8]) + more + ".",
            hint="Use the recipe the checkpoint was written with.",
        )
