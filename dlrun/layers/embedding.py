"""Token ids in and out: embeddings, the logits of a tied table, masks of padding, shifted targets."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers, require_float, require_ids, require_rank
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, check_initializer

_IDS = TensorType((5,), "int")


@layers("embedding")
class Embedding(Layer):
    """A learned vector for each id.

    y = m E[i], with i the id, E the table and m the multiplier. The padding id's row gets a gradient of 0.

    Args:
        vocabulary: Number of ids, 0 to vocabulary - 1.
        units: Length of each vector.
        padding: Id whose row the loss does not move, or none; penalties and weight decay do.
        multiplier: m; the Transformer's is the square root of units.
        initializer: How E starts.

    Shapes: (N, *) ids -> (N, *, units).
    Weights: ``table`` (vocabulary, units).
    Errors: wrong-dtype, padding-outside, unknown-initializer.
    Differs: torch starts E as a unit normal with the padding row 0, Keras uniformly in 0.05.
    Source: Bengio et al. 2003.
    """

    vocabulary: Annotated[int, Gt(0)]
    units: Annotated[int, Gt(0)]
    padding: Annotated[int, Ge(0)] | None = None
    multiplier: float = 1.0
    initializer: Initial = "glorot_uniform"

    examples = (
        Example({"vocabulary": 11, "units": 4}, (_IDS,)),
        Example({"vocabulary": 11, "units": 3, "padding": 0, "multiplier": 1.75}, (_IDS,)),
        Example({"vocabulary": 7, "units": 3, "padding": 1}, (TensorType((2, 3), "int"),)),
        Example({"vocabulary": 9, "units": 4}, (TensorType((5,)),), raises="wrong-dtype"),
        Example({"vocabulary": 9, "units": 4, "padding": 9}, (_IDS,), raises="padding-outside"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (ids,) = inputs
        require_ids(self.kind, ids)
        check_initializer(self.initializer, "initializer")
        if self.padding is not None and self.padding >= self.vocabulary:
            raise DlrunError(
                "padding-outside",
                f"`padding: {self.padding}` is no id; `vocabulary: {self.vocabulary}` allows 0 to "
                f"{self.vocabulary - 1}.",
                path=("padding",),
            )
        return TensorType((*ids.shape, self.units))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        return (Weight("table", (self.vocabulary, self.units), self.initializer),)


@layers("embedding_logits")
class EmbeddingLogits(Layer):
    """A score for each id: how well a vector fits the id's row of a table.

    y[v] = sum over c of x[c] E[v, c], with E the table. With ``share`` naming an ``embedding``, E is
    that layer's and both train it.

    Args:
        vocabulary: Number of ids.
        initializer: How E starts, where it is not shared.

    Shapes: (N, *, C) -> (N, *, vocabulary).
    Weights: ``table`` (vocabulary, C).
    Errors: wrong-dtype, wrong-rank, unknown-initializer, share-mismatch.
    Differs: nothing; follow it by ``bias`` for BERT's output.
    Source: Press & Wolf 2017.
    """

    vocabulary: Annotated[int, Gt(0)]
    initializer: Initial = "glorot_uniform"

    examples = (
        Example({"vocabulary": 7}, (TensorType((5, 4)),)),
        Example({"vocabulary": 6}, (TensorType((3,)),)),
        Example({"vocabulary": 6}, (_IDS,), raises="wrong-dtype"),
        Example({"vocabulary": 6}, (TensorType(()),), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        if not x.rank:
            require_rank(self.kind, x, 1, "features")
        check_initializer(self.initializer, "initializer")
        return TensorType((*x.shape[:-1], self.vocabulary))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        return (Weight("table", (self.vocabulary, inputs[0].shape[-1]), self.initializer),)

    def flops(self, *inputs: TensorType) -> int:
        return 2 * inputs[0].size * self.vocabulary


@layers("bias")
class Bias(Layer):
    """A learned vector added along the last axis.

    y = x + b, with b the bias.

    Args:
        initializer: How b starts.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``bias`` (C,).
    Errors: wrong-dtype, wrong-rank, unknown-initializer.
    Differs: nothing.
    Source: none.
    """

    initializer: Initial = "zeros"

    examples = (
        Example({}, (TensorType((5, 4)),)),
        Example({}, (TensorType((3,)),)),
        Example({}, (TensorType((2, 5, 3)),)),
        Example({}, (_IDS,), raises="wrong-dtype"),
        Example({}, (TensorType(()),), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        if not x.rank:
            require_rank(self.kind, x, 1, "features")
        check_initializer(self.initializer, "initializer")
        return x

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        return (Weight("bias", inputs[0].shape[-1:], self.initializer),)

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size


@layers("padding_mask")
class PaddingMask(Layer):
    """Which ids are not padding: the mask that attention, recurrent layers and pooling read.

    y = 1 where i != p, else 0, with i the id and p the padding id.

    Args:
        padding: p.

    Shapes: (N, L) ids -> (N, L) of 0 and 1.
    Weights: none.
    Errors: wrong-dtype.
    Differs: torch's attention modules mask with True where a step is dropped; 1 keeps here.
    Source: none.
    """

    padding: int = 0

    examples = (
        Example({}, (_IDS,)),
        Example({"padding": 2}, (TensorType((2, 3), "int"),)),
        Example({}, (TensorType((5, 2)),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (ids,) = inputs
        require_ids(self.kind, ids)
        return ids


@layers("shift_right")
class ShiftRight(Layer):
    """Ids moved one step later: what a decoder reads while it predicts the ids themselves.

    y[0] = s and y[t] = i[t - 1], with i the ids and s the start id; the last id falls off.

    Args:
        start: s.

    Shapes: (N, L) ids -> (N, L).
    Weights: none.
    Errors: wrong-dtype, wrong-rank.
    Differs: nothing.
    Source: Williams & Zipser 1989.
    """

    start: Annotated[int, Ge(0)] = 0

    examples = (
        Example({}, (_IDS,)),
        Example({"start": 1}, (TensorType((1,), "int"),)),
        Example({}, (TensorType((5,)),), raises="wrong-dtype"),
        Example({}, (TensorType((5, 2), "int"),), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (ids,) = inputs
        require_ids(self.kind, ids)
        require_rank(self.kind, ids, 1, "length")
        return ids
