"""Copying: a decoder that may point at a source id instead of choosing one from the vocabulary."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import (
    Composite,
    Example,
    Layer,
    layers,
    require_float,
    require_ids,
    require_mask,
    require_rank,
    require_sequence,
)
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial

Positive = Annotated[int, Gt(0)]
_IDS = TensorType((4,), "int")
_LOGITS, _SCORES, _GATE = TensorType((3, 8)), TensorType((3, 4)), TensorType((3, 1))


def _mismatch(kind: str, message: str) -> DlrunError:
    return DlrunError("shape-mismatch", f"`{kind}` {message}", hint="See its `Shapes`.")


@layers("attention_scores")
class AttentionScores(Layer):
    """How well each of one sequence's vectors fits each of another's.

    y[t, s] = q[t] . k[s] / sqrt(C), with q the queries, k the keys and C their channels.

    Args: none.

    Shapes: queries (N, T, C), keys (N, S, C) -> (N, T, S).
    Weights: none.
    Errors: wrong-dtype, wrong-rank, shape-mismatch.
    Differs: nothing.
    Source: Vaswani et al. 2017.
    """

    arity = (2, 2)
    examples = (
        Example({}, (TensorType((3, 6)), TensorType((4, 6)))),
        Example({}, (TensorType((3, 6)), TensorType((4, 5))), raises="shape-mismatch"),
        Example({}, (TensorType((6,)), TensorType((4, 6))), raises="wrong-rank"),
        Example({}, (TensorType((3, 6)), TensorType((4, 6), "int")), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        query, key = inputs
        require_float(self.kind, query, key)
        for x in inputs:
            require_rank(self.kind, x, 2, "length, channels")
        if query.shape[1] != key.shape[1]:
            raise _mismatch(self.kind, f"needs queries and keys of one width, got {query} and {key}.")
        return TensorType((query.shape[0], key.shape[0]))

    def flops(self, *inputs: TensorType) -> int:
        return 2 * inputs[0].size * inputs[1].shape[0]


@layers("pointer_logits")
class PointerLogits(Layer):
    """Log-probabilities of ids, each chosen from the vocabulary or copied from a source.

    y[t, v] = log(g[t] p[t, v] + (1 - g[t]) sum over s with i[s] = v of a[t, s]), with p the softmax of the logits,
    a the softmax of the scores over the kept s, g the sigmoid of the gate and i the source ids. Shares of a below
    1e-30 count as 0, and the share of an id that is none of the vocabulary's, 0 to V - 1, is lost. The softmax of y is
    the probability itself, in proportion where shares are lost, so that y can stand where logits are read.

    Args: none.

    Shapes: logits (N, T, V), scores (N, T, S), gate (N, T, 1), source ids (N, S), optionally a mask (N, S)
        -> (N, T, V).
    Weights: none.
    Errors: wrong-dtype, wrong-rank, shape-mismatch, mask-length.
    Differs: neither framework has it.
    Source: Gu et al. 2016; See, Liu & Manning 2017.
    """

    arity = (4, 5)
    examples = (
        Example({}, (_LOGITS, _SCORES, _GATE, _IDS)),
        Example({}, (_LOGITS, _SCORES, _GATE, _IDS, _IDS)),
        Example({}, (_LOGITS, _SCORES, TensorType((3,)), _IDS), raises="wrong-rank"),
        Example({}, (_LOGITS, _SCORES, TensorType((3, 2)), _IDS), raises="shape-mismatch"),
        Example({}, (_LOGITS, _SCORES, _GATE, TensorType((5,), "int")), raises="shape-mismatch"),
        Example({}, (_LOGITS, _SCORES, _GATE, TensorType((4,))), raises="wrong-dtype"),
        Example({}, (_LOGITS, _SCORES, _GATE, _IDS, TensorType((3,), "int")), raises="mask-length"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        logits, scores, gate, source = inputs[:4]
        require_float(self.kind, logits, scores, gate)
        require_ids(self.kind, source, "source ids")
        for x, axes in ((logits, "T, vocabulary"), (scores, "T, source"), (gate, "T, 1")):
            require_rank(self.kind, x, 2, axes)
        require_rank(self.kind, source, 1, "source")
        steps = logits.shape[0]
        if scores.shape != (steps, source.shape[0]) or gate.shape != (steps, 1):
            raise _mismatch(
                self.kind,
                f"needs a score for each of {steps} steps and {source.shape[0]} source ids, and one gate a step; got "
                f"logits {logits}, scores {scores}, gate {gate} and source ids {source}.",
            )
        for mask in inputs[4:]:
            require_mask(self.kind, mask, source.shape[0])
        return logits

    def flops(self, *inputs: TensorType) -> int:
        return 8 * inputs[0].size + 6 * inputs[1].size


@layers("copy_head")
class CopyHead(Composite):
    """The head of a decoder that may copy ids from its source.

    y = P(x E^T, (x Q + a) . (m K) / sqrt(u), x g + c, i), with P ``pointer_logits``, x the decoder's steps, m the
    memory, i the source ids, E the table, Q and K the kernels of u columns and a the queries' bias, g and c the
    gate's kernel and bias. A bias of the keys would move all scores of a step alike.

    Args:
        vocabulary: Number of ids.
        units: u; the width of x when left out.
        kernel_initializer: How E, Q, K and g start.

    Shapes: x (N, T, C), memory (N, S, M), source ids (N, S), optionally a mask (N, S) -> (N, T, vocabulary).
    Weights: ``logits.table`` (vocabulary, C), or that of the layer named in ``share``; ``query.*``, ``key.*`` and
        ``gate.*``, as those of ``dense``.
    Errors: wrong-dtype, wrong-rank, shape-mismatch, mask-length, share-mismatch.
    Differs: neither framework has it.
    Source: See, Liu & Manning 2017.
    """

    shares_itself = True
    arity = (3, 4)
    vocabulary: Positive
    units: Positive | None = None
    kernel_initializer: Initial = "glorot_uniform"

    examples = (
        Example({"vocabulary": 8}, (TensorType((3, 5)), TensorType((4, 6)), _IDS)),
        Example({"vocabulary": 9, "units": 3}, (TensorType((3, 5)), TensorType((4, 5)), _IDS, _IDS)),
        Example({"vocabulary": 8}, (TensorType((3, 5)), TensorType((4, 6)), TensorType((4,))), raises="wrong-dtype"),
        Example({"vocabulary": 8}, (TensorType((5,)), TensorType((4, 6)), _IDS), raises="wrong-rank"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x, memory, source, *mask = inputs
        for name in (x, memory):
            require_sequence(self.kind, sub.type(name))
        units = self.units or sub.type(x).shape[1]
        start = {"kernel_initializer": self.kernel_initializer, "trainable": self.trainable}
        logits = sub.add(
            "embedding_logits",
            x,
            name="logits",
            vocabulary=self.vocabulary,
            initializer=self.kernel_initializer,
            share=self.share,
            trainable=self.trainable or self.share is not None,
        )
        query = sub.add("dense", x, name="query", units=units, **start)
        key = sub.add("dense", memory, name="key", units=units, bias=False, **start)
        scores = sub.add("attention_scores", query, key)
        gate = sub.add("dense", x, name="gate", units=1, **start)
        result: str = sub.add("pointer_logits", logits, scores, gate, source, *mask)
        return result
