"""Number formats: the Keras policy of a precision, and how float16 gradients are kept from vanishing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

_POLICIES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_INITIAL = 2.0**16
_CLEAN_STEPS = 2000


def policy_of(precision: str) -> str:
    """The Keras dtype policy of a recipe's precision."""
    return _POLICIES.get(precision, precision)


class LossScale:
    """A scale that doubles after 2000 clean steps and halves, the update left out, on an overflow."""

    def __init__(self) -> None:
        self.scale = tf.Variable(_INITIAL, dtype=tf.float32, trainable=False)
        self.clean_steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    def guard(self, gradients: Sequence[tf.Tensor], update: Callable[[], None]) -> None:
        """Add ``update`` to the graph, to be run only when all gradients are finite."""
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])

        def clean() -> tf.Tensor:
            update()
            grown = self.clean_steps + 1 >= _CLEAN_STEPS
            self.scale.assign(tf.where(grown, 2 * self.scale, self.scale))
            self.clean_steps.assign(tf.where(grown, tf.constant(0, tf.int64), self.clean_steps + 1))
            return tf.constant(True)

        def overflown() -> tf.Tensor:
            self.scale.assign(self.scale / 2)
            self.clean_steps.assign(0)
            return tf.constant(False)

        tf.cond(finite, clean, overflown)

    def scalars(self) -> dict[str, float]:
        """``loss_scale`` and ``clean_steps``."""
        return {"loss_scale": float(self.scale.numpy()), "clean_steps": float(self.clean_steps.numpy())}

    def restore(self, scalars: Mapping[str, float]) -> None:
        """Continue from saved values; what is missing starts anew."""
        self.scale.assign(scalars.get("loss_scale", _INITIAL))
        self.clean_steps.assign(int(scalars.get("clean_steps", 0)))
