"""Layers in which one part of the numbers opens and closes another; said with other layers."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Gt

from dlrun.errors import DlrunError, did_you_mean
from dlrun.graph.layer import Composite, Example, layers, require_float
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, check_initializer


def check_activation(name: str, field: str) -> None:
    """Raise ``unknown-activation`` at ``field`` unless ``name`` is an element-wise layer's."""
    if name not in layers or not layers.get(name).elementwise:
        valid = [n for n in layers if layers.get(n).elementwise]
        raise DlrunError(
            "unknown-activation",
            f"`{name}` is not an activation.",
            path=(field,),
            hint=did_you_mean(name, valid, "Valid: " + ", ".join(f"`{n}`" for n in valid) + "."),
        )


@layers("glu")
class GLU(Composite):
    """Gated linear unit: one half of the channels opens and closes the other.

    y = a s(b), with a the first half of the channels, b the second and s the gate's activation; the other way
    round with gate_first.

    Args:
        gate: s, an element-wise layer: `sigmoid`, `gelu` (GEGLU), `silu` (SwiGLU), `identity` (bilinear), ….
        gate_first: Whether b is the first half.

    Shapes: (N, *, 2 C) -> (N, *, C).
    Weights: none.
    Errors: wrong-dtype, channels-not-divisible, unknown-activation.
    Differs: TensorFlow lacks it; torch has the sigmoid only.
    Source: Dauphin et al. 2016; Shazeer 2020.
    """

    gate: str = "sigmoid"
    gate_first: bool = False

    examples = (
        Example({}, (TensorType((3, 6)),)),
        Example({"gate": "silu", "gate_first": True}, (TensorType((8,)),)),
        Example({"gate": "gelu"}, (TensorType((2, 3, 4)),)),
        Example({}, (TensorType((3, 5)),), raises="channels-not-divisible"),
        Example({"gate": "sigmoyd"}, (TensorType((3, 6)),), raises="unknown-activation"),
        Example({}, (TensorType((3, 6), "int"),), raises="wrong-dtype"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x: TensorType = sub.type(inputs[0])
        require_float(self.kind, x)
        check_activation(self.gate, "gate")
        half, odd = divmod(x.shape[-1], 2)
        if odd:
            raise DlrunError(
                "channels-not-divisible",
                f"`glu` needs an even number of channels, got `{x.shape[-1]}` in {x}.",
                hint="Give the layer before it twice the channels you want.",
            )
        halves = [sub.add("slice", inputs[0], axis=-1, start=i * half, stop=(i + 1) * half) for i in (0, 1)]
        opened, gate = reversed(halves) if self.gate_first else halves
        result: str = sub.add("multiply", opened, sub.add(self.gate, gate))
        return result


@layers("squeeze_excite")
class SqueezeExcite(Composite):
    """Channels weighed by what the whole map holds.

    y[…, c] = x[…, c] s(W2 a(W1 m + b1) + b2)[c], with m the mean of x over all positions, W1 and W2 the kernels
    and b1 and b2 the biases of `reduce` and `expand`, a the activation and s the gate.

    Args:
        units: Channels in between.
        reduction: Their share of x's channels instead, as the divisor of these; rounded down, at least 1.
        multiple: With `reduction`: rounded to the nearest multiple of it, but not below 0.9 of the share.
        activation: a, an element-wise layer.
        gate: s, an element-wise layer.
        bias: Whether there are b1 and b2.
        kernel_initializer: How W1 and W2 start.
        bias_initializer: How b1 and b2 start.

    Shapes: (N, *, C) -> (N, *, C), with one to three axes before C.
    Weights: ``<name>.reduce.kernel`` (C, units), ``<name>.reduce.bias`` (units,), ``<name>.expand.kernel`` (units, C),
        ``<name>.expand.bias`` (C,).
    Errors: wrong-rank, wrong-dtype, units-or-reduction, unknown-activation, unknown-initializer.
    Differs: neither framework has it. Networks differ in what `units` is a share of: EfficientNet takes a quarter of
        its block's input, MobileNetV3 of the widened channels, in multiples of 8.
    Source: Hu, Shen & Sun 2017.
    """

    known_as = ("se",)

    units: Annotated[int, Gt(0)] | None = None
    reduction: Annotated[float, Gt(0)] | None = None
    multiple: Annotated[int, Gt(0)] = 1
    activation: str = "relu"
    gate: str = "sigmoid"
    bias: bool = True
    kernel_initializer: Initial = "glorot_uniform"
    bias_initializer: Initial = "zeros"

    examples = (
        Example({"reduction": 2}, (TensorType((3, 4, 6)),)),
        Example({"units": 2, "activation": "silu"}, (TensorType((3, 2, 4)),)),
        Example(
            {"reduction": 4, "multiple": 8, "gate": "hard_sigmoid", "bias": False},
            (TensorType((2, 2, 8)),),
        ),
        Example({"units": 2}, (TensorType((5, 3)),)),
        Example({"units": 2}, (TensorType((2, 3, 2, 3)),)),
        Example({"units": 2}, (TensorType((4,)),), raises="wrong-rank"),
        Example({}, (TensorType((3, 4, 6)),), raises="units-or-reduction"),
        Example({"units": 2, "reduction": 4}, (TensorType((3, 4, 6)),), raises="units-or-reduction"),
        Example({"units": 2, "gate": "sigmoyd"}, (TensorType((3, 4, 6)),), raises="unknown-activation"),
        Example({"units": 2, "activation": "softmax"}, (TensorType((3, 4, 6)),), raises="unknown-activation"),
        Example({"units": 2, "kernel_initializer": "he"}, (TensorType((3, 4, 6)),), raises="unknown-initializer"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x: TensorType = sub.type(inputs[0])
        require_float(self.kind, x)
        if not 2 <= x.rank <= 4:
            raise DlrunError(
                "wrong-rank",
                f"`squeeze_excite` needs one to three axes of positions before the channels, got {x}.",
                hint="Use it before `flatten` or global pooling.",
            )
        check_activation(self.activation, "activation")
        check_activation(self.gate, "gate")
        check_initializer(self.kernel_initializer, "kernel_initializer")
        check_initializer(self.bias_initializer, "bias_initializer")
        channels = x.shape[-1]
        fields = {
            "bias": self.bias,
            "kernel_initializer": self.kernel_initializer,
            "bias_initializer": self.bias_initializer,
        }
        mean = sub.add(f"global_avg_pool{x.rank - 1}d", inputs[0])
        squeezed = sub.add(
            "dense", mean, units=self._units(channels), name="reduce", activation=self.activation, **fields
        )
        gate = sub.add("dense", squeezed, units=channels, name="expand", activation=self.gate, **fields)
        each = sub.add("reshape", gate, shape=(*(1,) * (x.rank - 1), channels))
        result: str = sub.add("multiply", inputs[0], each)
        return result

    def _units(self, channels: int) -> int:
        if (self.units is None) == (self.reduction is None):
            raise DlrunError(
                "units-or-reduction",
                f"`squeeze_excite` needs `units` or `reduction`, got {'neither' if self.units is None else 'both'}.",
                hint="`units` is a number of channels, `reduction: 16` a sixteenth of them.",
            )
        if self.units is not None:
            return self.units
        assert self.reduction is not None
        if self.multiple == 1:
            return max(1, int(channels / self.reduction))
        return rounded_channels(channels / self.reduction, self.multiple)


def rounded_channels(wanted: float, multiple: int) -> int:
    """The nearest multiple, at least one, raised by one more where it would fall below 0.9 of what is wanted."""
    nearest = max(multiple, int(wanted + multiple / 2) // multiple * multiple)
    return nearest + multiple if nearest < 0.9 * wanted else nearest
