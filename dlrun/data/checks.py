"""What must hold between a recipe's data section and the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from dlrun.data.augmentation import Augmentation
from dlrun.data.source import Signature
from dlrun.data.transforms import Impute, Transform
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.recipe import Data


def seen(data: Data, signature: Signature, errors: list[DlrunError]) -> Signature:
    """The signature of samples as the model reads them, after transforms and augmentations.

    Args:
        data: The recipe's section.
        signature: Of samples as stored.
        errors: Gets a mistake for each step that does not fit; the next one is looked at as if it were not there.
    """
    x: TensorType = signature.input
    chains: dict[str, Sequence[Augmentation | Transform]] = {"augment": data.augment, "preprocess": data.preprocess}
    for key, chain in chains.items():
        for i, step in enumerate(chain):
            try:
                x = step.infer(x)
            except DlrunError as error:
                error.path = ("data", key, i, step.kind, *error.path)
                errors.append(error)
    return dataclasses.replace(signature, input=x)


def check_missing(data: Data, signature: Signature, x: np.ndarray, what: str) -> None:
    """Refuse rows with numbers that are missing, where no transform fills them in.

    Args:
        data: The recipe's section.
        signature: Of the data.
        x: Samples as stored (N, columns).
        what: Whose samples these are.

    Raises:
        DlrunError: ``missing-values``, with the columns and how many.
    """
    if not signature.columns or any(isinstance(t, Impute) for t in data.preprocess):
        return
    counts = np.isnan(x).sum(0)
    named = [f"{n:,} in `{c.name}`" for c, n in zip(signature.columns, counts.tolist(), strict=True) if n]
    if named:
        more = f" and {len(named) - 5} further columns" if len(named) > 5 else ""
        raise DlrunError(
            "missing-values",
            f"numbers of {what} are missing: {', '.join(named[:5])}{more}.",
            path=("data", "preprocess"),
            hint="Begin `data.preprocess` with `impute`, which fills them in.",
        )


def check_data(data: Data, signature: Signature) -> Iterator[DlrunError]:
    """What of augmentations and sampling does not fit the labels or how samples are stored."""
    by_class = signature.classes is not None and signature.target.rank == 0
    for i, augmentation in enumerate(data.augment):
        try:
            augmentation.check(signature)
        except DlrunError as error:
            error.path = ("data", "augment", i, augmentation.kind, *error.path)
            yield error
        if augmentation.mixes and not by_class:
            yield DlrunError(
                "needs-classes",
                f"`{augmentation.kind}` mixes classes, but the labels are {signature.target}.",
                path=("data", "augment", i),
            )
    if data.sampling == "natural":
        return
    if not by_class:
        yield DlrunError(
            "needs-classes",
            f"`sampling` draws by class, but the labels are {signature.target}.",
            path=("data", "sampling"),
            hint="Use `natural`.",
        )
    elif isinstance(data.sampling, tuple) and (len(data.sampling) != signature.classes or not any(data.sampling)):
        yield DlrunError(
            "wrong-shares",
            f"`sampling` has {len(data.sampling)} shares for {signature.classes} classes, or all of them are 0.",
            path=("data", "sampling"),
            hint=f"Write {signature.classes} numbers, one for each class in their order.",
        )
