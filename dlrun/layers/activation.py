"""Element-wise activations and softmax; those of straight pieces and those with weights are in `piecewise`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt

from dlrun.graph.layer import Example, Layer, layers, require_float
from dlrun.graph.tensor import TensorType

NO_NUMBERS = Example({}, (TensorType((4,), "int"),), raises="wrong-dtype")
POINTS = (Example({}, (TensorType((9,)),)), Example({}, (TensorType((3, 4, 2)),)), NO_NUMBERS)


class Elementwise(Layer):
    """An activation that changes each number by itself."""

    elementwise = True
    examples: ClassVar[tuple[Example, ...]] = POINTS

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size


@layers("relu")
class ReLU(Elementwise):
    """Rectified linear unit.

    y = max(x, 0); the gradient at 0 is 0.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Nair & Hinton 2010.
    """


@layers("relu6")
class ReLU6(Elementwise):
    """Rectified linear unit cut at 6.

    y = min(max(x, 0), 6).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Howard et al. 2017.
    """


@layers("leaky_relu")
class LeakyReLU(Elementwise):
    """Rectified linear unit with a slope below zero.

    y = x for x > 0, else s x, with s the slope.

    Args:
        slope: s, the gradient below zero.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: Keras' slope is 0.3 (layer) or 0.2 (function).
    Source: Maas, Hannun & Ng 2013.
    """

    slope: float = 0.01
    examples = (*POINTS, Example({"slope": 0.2}, (TensorType((9,)),)))


@layers("elu")
class ELU(Elementwise):
    """Exponential linear unit.

    y = x for x > 0, else a (exp(x) - 1), with a the alpha.

    Args:
        alpha: a, minus the value approached for very negative x.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Clevert, Unterthiner & Hochreiter 2015.
    """

    alpha: float = 1.0
    examples = (*POINTS, Example({"alpha": 0.7}, (TensorType((9,)),)))


@layers("celu")
class CELU(Elementwise):
    """Continuously differentiable exponential linear unit.

    y = x for x > 0, else a (exp(x / a) - 1), with a the alpha.

    Args:
        alpha: a, minus the value approached for very negative x; above 0.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: Keras' gradient at 0 is 2.
    Source: Barron 2017.
    """

    alpha: Annotated[float, Gt(0)] = 1.0
    examples = (*POINTS, Example({"alpha": 0.7}, (TensorType((9,)),)))


@layers("selu")
class SELU(Elementwise):
    """Scaled exponential linear unit.

    y = 1.0507009873554805 x for x > 0, else 1.7580993408473766 (exp(x) - 1); the gradient at 0
    is that of the lower branch.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: TensorFlow's gradient at 0 is that of the upper branch.
    Source: Klambauer et al. 2017.
    """


@layers("gelu")
class GELU(Elementwise):
    """Gaussian error linear unit.

    y = x (1 + erf(x / sqrt 2)) / 2, or its tanh approximation x (1 + tanh(sqrt(2 / pi) (x +
    0.044715 x^3))) / 2.

    Args:
        approximate: ``none`` for erf, ``tanh`` for the approximation.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: keras.ops approximates by default.
    Source: Hendrycks & Gimpel 2016.
    """

    approximate: Literal["none", "tanh"] = "none"
    examples = (*POINTS, Example({"approximate": "tanh"}, (TensorType((9,)),)))


@layers("gelu_tanh")
class GELUTanh(Elementwise):
    """Gaussian error linear unit by tanh, for a field that takes a name only; as `gelu: {approximate: tanh}`.

    y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Hendrycks & Gimpel 2016; the GPT-2 code.
    """


@layers("quick_gelu")
class QuickGELU(Elementwise):
    """Gaussian error linear unit approximated by a sigmoid.

    y = x / (1 + exp(-1.702 x)).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: neither framework has it.
    Source: Hendrycks & Gimpel 2016; the CLIP code.
    """


@layers("silu")
class SiLU(Elementwise):
    """Sigmoid linear unit (swish).

    y = x / (1 + exp(-x)).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Elfwing, Uchibe & Doya 2017.
    """

    known_as = ("swish",)


@layers("mish")
class Mish(Elementwise):
    """Self-regularised smooth unit.

    y = x tanh(log(1 + exp(x))).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Misra 2019.
    """


@layers("softplus")
class Softplus(Elementwise):
    """Smooth rectifier.

    y = log(1 + exp(x)).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: torch is linear above 20, 2e-9 off in float64; 40 is used.
    Source: Dugas et al. 2000.
    """


@layers("softsign")
class Softsign(Elementwise):
    """Rational sigmoid.

    y = x / (1 + abs(x)).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Turian, Bergstra & Bengio 2009.
    """


@layers("sigmoid")
class Sigmoid(Elementwise):
    """Logistic function.

    y = 1 / (1 + exp(-x)).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Verhulst 1838.
    """


@layers("log_sigmoid")
class LogSigmoid(Elementwise):
    """Logarithm of the logistic function.

    y = -log(1 + exp(-x)).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: none.
    """


@layers("tanh")
class Tanh(Elementwise):
    """Hyperbolic tangent.

    y = tanh(x).

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: LeCun et al. 1998.
    """


@layers("hard_sigmoid")
class HardSigmoid(Elementwise):
    """Piecewise linear sigmoid.

    y = min(max(x + 3, 0), 6) / 6.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: torch's own float64 gradient is only single precision; relu6 is used.
    Source: Howard et al. 2019.
    """


@layers("hard_swish")
class HardSwish(Elementwise):
    """Piecewise quadratic swish.

    y = x min(max(x + 3, 0), 6) / 6.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Howard et al. 2019.
    """


@layers("softmax")
class Softmax(Layer):
    """Probabilities over the last axis.

    y[c] = exp(x[c]) / sum over k of exp(x[k]).

    Args: none.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing. Losses here read logits, so a classifier needs no softmax of its own.
    Source: Bridle 1990.
    """

    examples = POINTS

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x

    def flops(self, *inputs: TensorType) -> int:
        return 3 * inputs[0].size


@layers("log_softmax")
class LogSoftmax(Layer):
    """Logarithms of the probabilities over the last axis.

    y[c] = x[c] - log(sum over k of exp(x[k])).

    Args: none.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing. Losses here read logits, and take these for logits too.
    Source: Bridle 1990.
    """

    examples = POINTS

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x

    def flops(self, *inputs: TensorType) -> int:
        return 3 * inputs[0].size
