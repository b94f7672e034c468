"""Penalties on weights and limits that weights are brought back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from dlrun.graph.patterns import Constraint, Regularizer
from dlrun.update import Update


class Rules:
    """What the recipe's patterns do around an update.

    Args:
        weights: Trained variables by canonical name.
        updates: Penalty and limit of each.
    """

    def __init__(self, weights: Mapping[str, tf.Variable], updates: Mapping[str, Update]) -> None:
        self._weights = [(w, updates[name].regularizer, updates[name].constraint) for name, w in weights.items()]

    def penalised(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The gradients with those of the penalties, in the order of the weights."""
        pairs = zip(self._weights, gradients, strict=True)
        return [g if rule is None else _penalised(w, g, rule) for (w, rule, _), g in pairs]

    def limit(self) -> None:
        """Add to the graph: bring weights back within their limits."""
        for w, _, constraint in self._weights:
            if constraint is not None:
                w.assign(_limited(tf.convert_to_tensor(w), constraint))


def _penalised(w: tf.Variable, g: tf.Tensor, rule: Regularizer) -> tf.Tensor:
    if rule.l1:
        g = g + rule.l1 * tf.sign(w)
    return g + 2 * rule.l2 * w if rule.l2 else g


def _limited(w: tf.Tensor, constraint: Constraint) -> tf.Tensor:
    if constraint.non_negative:
        w = tf.maximum(w, 0)
    if constraint.max_norm is None and not constraint.unit_norm:
        return w
    norm = tf.sqrt(tf.reduce_sum(w * w, axis=constraint.axes(tuple(w.shape)), keepdims=True))
    if constraint.max_norm is not None:
        return w * (constraint.max_norm / tf.maximum(norm, constraint.max_norm))
    return w / tf.where(norm > 0, norm, tf.ones_like(norm))
