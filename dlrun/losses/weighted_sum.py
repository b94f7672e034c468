"""Several losses added up, of one output or of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from dlrun.described import described
from dlrun.errors import DlrunError, DlrunErrors, did_you_mean
from dlrun.graph.tensor import TensorType
from dlrun.losses.classification import SoftmaxCrossEntropy
from dlrun.losses.loss import Example, Loss, Sum, losses, require_numbers, unread
from dlrun.losses.overlap import Dice
from dlrun.losses.regression import MeanAbsoluteError, MeanSquaredError


@described
class Term:
    """One of the losses of a sum.

    Args:
        loss: The loss.
        weight: What it is multiplied by.
        output: The output it reads, one of ``model.outputs``; the model's answer (the first) when left out.
    """

    loss: Loss
    weight: Annotated[float, Ge(0)] = 1.0
    output: str | None = None


_IDS = [0, 2, 1, 2]
_ENTROPY = SoftmaxCrossEntropy()
_HOLES: dict[str, Any] = {"ignore_index": 255}
_OVERLAP = Dice(**_HOLES)


@losses("weighted_sum")
class WeightedSum(Loss):
    """Several losses, each multiplied by a weight and added up.

    L = sum_k a_k L_k, with L_k the loss of term k and a_k its weight. All terms read the same labels; each reads
    one output of the model. Each L_k is divided by its own weights first.

    Args:
        terms: What is added up, e.g. `- {loss: softmax_cross_entropy, weight: 0.3, output: head}`.

    Shapes: as the terms' -> scalar.
    Weights: none.
    Errors: no-terms, unknown-output, unread-output, nested-sum, and those of the terms.
    Differs: Keras gives each output its own labels; evaluation reports the terms that read the model's answer
        (its first output), since it computes no other.
    Source: Szegedy et al. 2015 (losses of further outputs).
    """

    examples = (
        Example(
            {"terms": (Term(loss=SoftmaxCrossEntropy(ignore_index=255)), Term(loss=_OVERLAP, weight=0.5))},
            TensorType((2, 2, 3)),
            [[[0, 1], [2, 2]], [[1, 255], [0, 0]]],
            classes=3,
        ),
        Example(
            {"terms": (Term(loss=_ENTROPY), Term(loss=_ENTROPY, weight=0.3, output="early"))},
            {"late": TensorType((3,)), "early": TensorType((3,))},
            _IDS,
            classes=3,
        ),
        Example(
            {
                "terms": (
                    Term(loss=MeanAbsoluteError(ignore_nan=True), output="second"),
                    Term(loss=MeanSquaredError(), output="first", weight=2.0),
                    Term(loss=MeanSquaredError(), output="second", weight=0.0),
                )
            },
            {"first": TensorType((2,)), "second": TensorType((2,))},
            [[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]],
        ),
        Example(
            {"terms": (Term(loss=SoftmaxCrossEntropy(ignore_index=1)), Term(loss=_ENTROPY, output="b"))},
            {"a": TensorType((3,)), "b": TensorType((3,))},
            [1, 1],
        ),
        Example({"terms": ()}, TensorType((3,)), _IDS, raises="no-terms"),
        Example({"terms": (Term(loss=_ENTROPY, output="nil"),)}, TensorType((3,)), _IDS, raises="unknown-output"),
        Example(
            {"terms": (Term(loss=_ENTROPY),)},
            {"late": TensorType((3,)), "early": TensorType((3,))},
            _IDS,
            raises="unread-output",
        ),
        Example(
            {"terms": (Term(loss=_ENTROPY), Term(loss=_ENTROPY))},
            TensorType((4,)),
            _IDS,
            classes=3,
            raises="output-classes",
        ),
    )

    terms: tuple[Term, ...]

    def check_outputs(self, outputs: Mapping[str, TensorType], target: TensorType, classes: int | None) -> None:
        """Each term fits its output and the labels, and each output is read."""
        self.check_terms(outputs, target, classes)
        answer, *_ = outputs
        missed = set(outputs) - {term.output or answer for term in self.terms}
        if missed:
            raise DlrunErrors([unread([o for o in outputs if o in missed], "no term reads it")])

    def check_terms(self, outputs: Mapping[str, TensorType], target: TensorType, classes: int | None) -> None:
        """Each term fits its output and the labels."""
        errors: list[DlrunError] = []
        answer, *_ = outputs
        if not self.terms:
            raise DlrunError(
                "no-terms",
                f"`{self.kind}` adds up `terms`, and there are none.",
                path=("loss", "terms"),
                hint="Write one term a line, e.g. `- {loss: mse, weight: 0.5}`.",
            )
        for i, term in enumerate(self.terms):
            place = ("loss", "terms", i)
            try:
                self._check_term(term, term.output or answer, outputs, target, classes)
            except DlrunError as error:
                if error.path[:1] == ("loss",):
                    own = error.path[1:]
                    error.path = (*place, *own) if own == ("output",) else (*place, "loss", *own)
                errors.append(error)
        if errors:
            raise DlrunErrors(errors)

    def _check_term(
        self, term: Term, name: str, outputs: Mapping[str, TensorType], target: TensorType, classes: int | None
    ) -> None:
        if isinstance(term.loss, WeightedSum):
            raise DlrunError(
                "nested-sum",
                f"`{self.kind}` cannot be a term of itself.",
                path=("loss",),
                hint="Write its terms here, each weight multiplied by that of the term.",
            )
        if name not in outputs:
            raise DlrunError(
                "unknown-output",
                f"`{name}` is none of the model's outputs.",
                path=("loss", "output"),
                hint=did_you_mean(name, outputs) + " Further outputs are listed in `model.outputs`.",
            )
        require_numbers(term.loss.kind, outputs[name])
        term.loss.check(outputs[name], target, classes)

    def check_labels(self, outputs: Mapping[str, TensorType], target: np.ndarray) -> None:
        """Each term can read the labels."""
        answer, *_ = outputs
        for term in self.terms:
            term.loss.check_labels({answer: outputs[term.output or answer]}, target)

    def places(self, outputs: tuple[str, ...]) -> tuple[int, ...]:
        """Which of the outputs each term reads, by number."""
        return tuple(outputs.index(term.output) if term.output else 0 for term in self.terms)

    def answering(self, answer: str) -> Loss:
        """The terms that read the model's answer."""
        terms = [dataclasses.replace(t, output=None) for t in self.terms if t.output in (None, answer)]
        kept: dict[str, Any] = {"terms": tuple(terms)}
        return dataclasses.replace(self, **kept)

    @property
    def ignored(self) -> int | None:
        """The id that the first term ignores which ignores any."""
        return next((t.loss.ignored for t in self.terms if t.loss.ignored is not None), None)

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[Sum, Sum]:
        """Both sums of each term, all of which read one output: arrays (terms,)."""
        found = np.array([term.loss.sums(output, target) for term in self.terms], np.float64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def value(self, total: Sum, weight: Sum) -> float:
        """The terms' losses, weighted and added up."""
        totals, weights = (np.broadcast_to(s, len(self.terms)) for s in (total, weight))
        parts = zip(self.terms, totals, weights, strict=True)
        return float(sum(t.weight * t.loss.value(s, w) for t, s, w in parts))
