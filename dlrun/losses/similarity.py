"""Losses between directions and distances of vectors."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Example, Loss, losses

GAP = 1e-6
"""Added to each difference within a distance, as torch does: the distance of equal vectors has a gradient."""


@losses("cosine_similarity")
class CosineSimilarity(Loss):
    """How far two directions are apart.

    L = mean over vectors of 1 - x . y / (max(|x|, e) max(|y|, e)), with x the outputs, y the labels, both
    along the last axis, and e the epsilon.

    Args:
        epsilon: e, the shortest length that a vector counts as.

    Shapes: outputs (N, *, D), labels (N, *, D) -> scalar.
    Weights: 1 for each vector.
    Errors: output-shape.
    Differs: Keras' is the negative similarity, without the 1.
    Source: Salton & McGill 1983.
    """

    examples = (
        Example({}, TensorType((3,)), [[1.0, -2.0, 0.5], [0.0, 0.0, 1.0], [3.0, 3.0, 3.0]]),
        Example({}, TensorType((2, 2)), [[[1.0, -2.0], [0.5, 3.0]], [[0.0, 0.0], [1.0, 1.0]]]),
        Example({"epsilon": 0.1}, TensorType((2,)), [[0.0, 0.0], [1.0, -2.0]]),
        Example({}, TensorType((2,)), [[1.0, 2.0, 3.0]], raises="output-shape"),
        Example({}, TensorType((1,)), [1.0, 2.0], raises="output-shape"),
    )

    epsilon: Annotated[float, Gt(0)] = 1e-8

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Outputs and labels have one shape."""
        if target.dtype != "float" or target.rank == 0 or output.shape != target.shape:
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs an output of the labels' shape, but the model's output is `{output}` and the "
                f"labels are {target.dtype} {target}.",
                path=("loss",),
                hint="Change the model's last layer.",
            )

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        x, y = np.asarray(output, np.float64), np.asarray(target, np.float64)
        a, b = (v / np.maximum(np.sqrt((v * v).sum(-1, keepdims=True)), self.epsilon) for v in (x, y))
        cosine = (a * b).sum(-1)
        return float((1 - cosine).sum()), float(cosine.size)


def distance(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Euclidean distance along the last axis."""
    result: np.ndarray = np.sqrt(((u - v + GAP) ** 2).sum(-1))
    return result


def require_vectors(kind: str, output: TensorType, count: int, what: str) -> None:
    """Raise ``output-shape`` unless the output is ``count`` vectors."""
    if output.rank != 2 or output.shape[0] != count:
        raise DlrunError(
            "output-shape",
            f"`{kind}` needs {what} for each sample, (N, {count}, size), but the model's output is `{output}`.",
            path=("loss",),
            hint=f"`reshape` the last layer's output to ({count}, size).",
        )


@losses("contrastive")
class Contrastive(Loss):
    """Pairs of the same kind pulled together, others pushed apart up to a margin.

    L = mean over pairs of y d^2 + (1 - y) max(m - d, 0)^2, with d = |u - v + 1e-6| the distance of the
    pair's vectors, y 1 for a pair of the same kind, else 0, and m the margin.

    Args:
        margin: m, the distance beyond which a pair of different kinds costs nothing.

    Shapes: vectors (N, 2, D), labels (N,) of 0 and 1 -> scalar.
    Weights: 1 for each pair.
    Errors: output-shape, wrong-target.
    Differs: the paper calls a pair of the same kind 0, and halves both terms; neither framework has one.
    Source: Hadsell, Chopra & LeCun 2006.
    """

    examples = (
        Example({}, TensorType((2, 3)), [1, 0, 0], classes=2),
        Example({"margin": 4.0}, TensorType((2, 2)), [0.0, 1.0, 0.0, 1.0]),
        Example({}, TensorType((3, 2)), [1, 0], raises="output-shape"),
        Example({}, TensorType((2, 2)), [1, 2], classes=3, raises="wrong-target"),
    )

    margin: Annotated[float, Gt(0)] = 1.0

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Two vectors and one label a sample."""
        require_vectors(self.kind, output, 2, "two vectors")
        if target.rank != 0 or classes not in (None, 2):
            raise DlrunError(
                "wrong-target",
                f"`{self.kind}` needs one label of 0 or 1 per pair, but the labels are {target.dtype} `{target}`"
                + (f" of {classes} classes." if classes else "."),
                path=("loss",),
                hint="Use `triplet` where labels do not tell pairs apart.",
            )

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        x, y = np.asarray(output, np.float64), np.asarray(target, np.float64)
        d = distance(x[:, 0], x[:, 1])
        return float((y * d * d + (1 - y) * np.maximum(self.margin - d, 0) ** 2).sum()), float(len(y))


@losses("triplet")
class Triplet(Loss):
    """An anchor pulled to its like and pushed from another, up to a margin between the two.

    L = mean over samples of max(d(a, p) - d(a, n) + m, 0), with a, p and n the anchor, the positive and
    the negative vector, d(u, v) = |u - v + 1e-6| and m the margin.

    Args:
        margin: m, by how much the negative must be farther away.

    Shapes: vectors (N, 3, D) in the order anchor, positive, negative; labels are not read -> scalar.
    Weights: 1 for each sample.
    Errors: output-shape.
    Differs: Keras has none.
    Source: Schroff, Kalenichenko & Philbin 2015.
    """

    examples = (
        Example({}, TensorType((3, 2)), [0, 1, 0]),
        Example({"margin": 5.0}, TensorType((3, 4)), [[0.5], [1.0]]),
        Example({}, TensorType((2, 2)), [1, 0], raises="output-shape"),
    )

    margin: Annotated[float, Gt(0)] = 1.0

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Three vectors a sample."""
        require_vectors(self.kind, output, 3, "three vectors")

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        a, p, n = np.moveaxis(np.asarray(output, np.float64), 1, 0)
        return float(np.maximum(distance(a, p) - distance(a, n) + self.margin, 0).sum()), float(len(a))
