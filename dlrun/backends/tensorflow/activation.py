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


@lowers(activation.CELU)
class CELU(Lowered):
    """Own form: the gradient of keras.ops.celu at 0 is that of both branches together."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        alpha = self.layer.alpha
        return tf.where(x > 0, x, alpha * tf.math.expm1(tf.minimum(x, 0) / alpha))


@lowers(activation.SELU)
class SELU(Lowered):
    """Own form: the gradient of tf.nn.selu at 0 is that of the upper branch."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * tf.math.expm1(tf.minimum(x, 0)))


@lowers(activation.GELU)
class GELU(Lowered):
    """Own form: the constants of tf.nn.gelu are float32."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return _gelu_tanh(x) if self.layer.approximate == "tanh" else 0.5 * x * (1 + tf.math.erf(x * math.sqrt(0.5)))


@lowers(activation.GELUTanh)
class GELUTanh(Lowered):
    """The approximation by tanh."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return _gelu_tanh(x)


def _gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    return 0.5 * x * (1 + tf.math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


@lowers(activation.QuickGELU)
class QuickGELU(Lowered):
    """x sigmoid(1.702 x)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * tf.math.sigmoid(1.702 * x)


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


@lowers(activation.LogSigmoid)
class LogSigmoid(Lowered):
    """-softplus(-x)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.math.log_sigmoid(x)


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


class _FullPrecision(Lowered):
    """Answers in full precision under a mixed policy."""

    def compute_output_spec(self, inputs: keras.KerasTensor, **_: object) -> keras.KerasTensor:
        """As its input, in full precision."""
        return keras.KerasTensor(inputs.shape, dtype=self.variable_dtype)


@lowers(activation.Softmax)
class Softmax(_FullPrecision):
    """Probabilities over the last axis."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.cast(x, self.variable_dtype), axis=-1)


@lowers(activation.LogSoftmax)
class LogSoftmax(_FullPrecision):
    """Logarithms of the probabilities over the last axis."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(tf.cast(x, self.variable_dtype), axis=-1)
