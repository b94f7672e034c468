"""Element-wise activations and softmax; constants take the tensor's own dtype."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import activation


@lowers(activation.ReLU)
class ReLU(Lowered):
    """max(x, 0)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(x)


@lowers(activation.ReLU6)
class ReLU6(Lowered):
    """min(max(x, 0), 6)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu6(x)


@lowers(activation.LeakyReLU)
class LeakyReLU(Lowered):
    """x above zero, else slope times x; tf.nn.leaky_relu keeps its slope in float32."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.where(x > 0, x, self.layer.slope * x)


@lowers(activation.ELU)
class ELU(Lowered):
    """x above zero, else alpha (exp(x) - 1)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.where(x > 0, x, self.layer.alpha * tf.math.expm1(tf.minimum(x, 0)))


@lowers(activation.SELU)
class SELU(Lowered):
    """Own form: the gradient of tf.nn.selu at 0 is that of the upper branch."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * tf.math.expm1(tf.minimum(x, 0)))


@lowers(activation.GELU)
class GELU(Lowered):
    """Own form: the constants of tf.nn.gelu are float32."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if self.layer.approximate == "tanh":
            return 0.5 * x * (1 + tf.math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
        return 0.5 * x * (1 + tf.math.erf(x * math.sqrt(0.5)))


@lowers(activation.SiLU)
class SiLU(Lowered):
    """x sigmoid(x)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * tf.math.sigmoid(x)


@lowers(activation.Mish)
class Mish(Lowered):
    """x tanh(softplus(x))."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * tf.math.tanh(tf.math.softplus(x))


@lowers(activation.Softplus)
class Softplus(Lowered):
    """log(1 + exp(x))."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.math.softplus(x)


@lowers(activation.Softsign)
class Softsign(Lowered):
    """x / (1 + abs(x))."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softsign(x)


@lowers(activation.Sigmoid)
class Sigmoid(Lowered):
    """1 / (1 + exp(-x))."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.math.sigmoid(x)


@lowers(activation.Tanh)
class Tanh(Lowered):
    """Hyperbolic tangent."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.math.tanh(x)


@lowers(activation.HardSigmoid)
class HardSigmoid(Lowered):
    """relu6(x + 3) / 6."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu6(x + 3) / 6


@lowers(activation.HardSwish)
class HardSwish(Lowered):
    """x relu6(x + 3) / 6."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * (tf.nn.relu6(x + 3) / 6)


@lowers(activation.Softmax)
class Softmax(Lowered):
    """Probabilities over the last axis, in full precision under a mixed policy."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.cast(x, self.variable_dtype), axis=-1)

    def compute_output_spec(self, inputs: keras.KerasTensor, **_: object) -> keras.KerasTensor:
        """As its input, in full precision."""
        return keras.KerasTensor(inputs.shape, dtype=self.variable_dtype)
