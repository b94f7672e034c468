"""Attention: the core that mixes values, and the layers that project into it and out of it."""

from __future__ import annotations

import math
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.layer import Composite, Example, Layer, layers, require_mask, require_sequence
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial

Positive = Annotated[int, Gt(0)]
Rate = Annotated[float, Ge(0), Lt(1)]
_X, _LONG = TensorType((5, 6)), TensorType((7, 6))
_MASK, _LONG_MASK = TensorType((5,), "int"), TensorType((7,), "int")


def _divided(kind: str, x: TensorType, field: str, heads: int) -> int:
    """Channels per head of ``x``.

    Raises:
        DlrunError: ``heads-not-dividing``.
    """
    if x.shape[1] % heads:
        divisors = ", ".join(str(h) for h in range(1, x.shape[1] + 1) if x.shape[1] % h == 0)
        raise DlrunError(
            "heads-not-dividing",
            f"`{field}: {heads}` does not divide the {x.shape[1]} channels of {x}, which `{kind}` reads.",
            path=(field,),
            hint=f"Use one of {divisors}.",
        )
    return x.shape[1] // heads


def _groups(heads: int, kv_heads: int | None) -> int:
    """Heads of the keys and values.

    Raises:
        DlrunError: ``kv-heads-not-dividing``.
    """
    if kv_heads is None:
        return heads
    if heads % kv_heads:
        raise DlrunError(
            "kv-heads-not-dividing",
            f"`kv_heads: {kv_heads}` does not divide `heads: {heads}`; each serves as many query heads.",
            path=("kv_heads",),
            hint="Use one of " + ", ".join(str(h) for h in range(1, heads + 1) if heads % h == 0) + ".",
        )
    return kv_heads


@layers("dot_product_attention")
class DotProductAttention(Layer):
    """Values averaged by how well each key fits the query, in several heads.

    y[t] = sum over s of a[t, s] v[s], with a[t] the softmax over the kept s of c q[t] . k[s], for each
    head: q the query, k the keys, v the values, c the scale. Where no s is kept, y is 0.

    Args:
        heads: Query heads, side by side in the last axis.
        kv_heads: Heads of keys and values, each serving heads / kv_heads query heads in a row; as many as heads
            when left out.
        causal: Whether step t keeps only s <= t.
        scale: c; one over the square root of a head's channels when left out.
        dropout: Share of a zeroed in training, the rest scaled, drawn as `dropout` draws.

    Shapes: query (N, T, heads d), keys (N, S, kv_heads d), values (N, S, kv_heads e), optionally a mask (N, S)
        of the keys -> (N, T, heads e).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, mask-length, heads-not-dividing, kv-heads-not-dividing, shape-mismatch,
        causal-lengths.
    Differs: torch's attention modules mask with True where a key is dropped; Keras averages all values where
        none is kept.
    Source: Vaswani et al. 2017; Ainslie et al. 2023 (kv_heads).
    """

    arity = (3, 4)
    heads: Positive
    kv_heads: Positive | None = None
    causal: bool = False
    scale: Annotated[float, Gt(0)] | None = None
    dropout: Rate = 0.0

    examples = (
        Example({"heads": 2}, (_X, _X, _X)),
        Example({"heads": 3, "causal": True}, (_X, _X, TensorType((5, 9)))),
        Example({"heads": 2, "scale": 0.3}, (_X, _LONG, _LONG, _LONG_MASK)),
        Example({"heads": 3, "causal": True}, (_X, _X, _X, _MASK)),
        Example(
            {"heads": 4, "kv_heads": 2, "dropout": 0.4}, (TensorType((5, 8)), TensorType((3, 4)), TensorType((3, 2)))
        ),
        Example({"heads": 2, "kv_heads": 1, "causal": True}, (_X, TensorType((5, 3)), TensorType((5, 2)), _MASK)),
        Example({"heads": 4}, (_X, _X, _X), raises="heads-not-dividing"),
        Example({"heads": 3, "kv_heads": 2}, (_X, _X, _X), raises="kv-heads-not-dividing"),
        Example({"heads": 2}, (_X, TensorType((5, 4)), _X), raises="shape-mismatch"),
        Example({"heads": 2}, (_X, _LONG, _X), raises="shape-mismatch"),
        Example({"heads": 2, "causal": True}, (_X, _LONG, _LONG), raises="causal-lengths"),
        Example({"heads": 2}, (_X, _LONG, _LONG, _MASK), raises="mask-length"),
        Example({"heads": 2}, (_X, _X, _X, TensorType((5,))), raises="wrong-dtype"),
        Example({"heads": 2}, (_X, TensorType((5, 6), "int"), _X), raises="wrong-dtype"),
        Example({"heads": 2}, (TensorType((6,)), _X, _X), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        query, key, value = inputs[:3]
        for x in inputs[:3]:
            require_sequence(self.kind, x)
        for mask in inputs[3:]:
            require_mask(self.kind, mask, key.shape[0])
        groups = _groups(self.heads, self.kv_heads)
        units = _divided(self.kind, query, "heads", self.heads)
        field = "heads" if self.kv_heads is None else "kv_heads"
        theirs = _divided(self.kind, key, field, groups)
        values = _divided(self.kind, value, field, groups)
        if units != theirs or key.shape[0] != value.shape[0]:
            raise DlrunError(
                "shape-mismatch",
                f"`{self.kind}` needs query and keys of one width per head and a value for each key; got query {query} "
                f"in {self.heads} heads, keys {key} and values {value} in {groups}.",
            )
        if self.causal and query.shape[0] != key.shape[0]:
            raise DlrunError(
                "causal-lengths",
                f"`causal` needs as many queries as keys, got {query.shape[0]} and {key.shape[0]}.",
                path=("causal",),
                hint="Attention to another sequence is not causal; leave `causal` out.",
            )
        return TensorType((query.shape[0], self.heads * values))

    def factor(self, query: TensorType) -> float:
        """c."""
        return self.scale or 1 / math.sqrt(query.shape[1] // self.heads)

    def flops(self, *inputs: TensorType) -> int:
        query, key, _ = inputs[:3]
        out = self.infer(*inputs)
        return 2 * key.shape[0] * (query.size + out.size) + 5 * self.heads * query.shape[0] * key.shape[0]


@described
class _Projected(Composite):
    """What attention layers share: projections of queries, keys and values, and of what comes out."""

    heads: Positive
    head_units: Positive | None = None
    kv_heads: Positive | None = None
    rotary: bool = False
    rotary_base: Annotated[float, Gt(0)] = 10000.0
    dropout: Rate = 0.0
    bias: bool = True
    output_bias: bool = True
    units: Positive | None = None
    kernel_initializer: Initial = "glorot_uniform"

    def attend(self, sub: Any, x: str, memory: str, mask: tuple[str, ...], causal: bool) -> str:
        """Queries from ``x``, keys and values from ``memory``; returns the output's name."""
        wide: TensorType = sub.type(x)
        for name in dict.fromkeys((x, memory)):
            require_sequence(self.kind, sub.type(name))
        units = self.head_units or _divided(self.kind, wide, "heads", self.heads)
        groups = _groups(self.heads, self.kv_heads)

        def project(name: str, source: str, columns: int, bias: bool) -> str:
            projected: str = sub.add(
                "dense",
                source,
                name=name,
                units=columns,
                bias=bias,
                kernel_initializer=self.kernel_initializer,
                trainable=self.trainable,
            )
            return projected

        query = project("query", x, self.heads * units, self.bias)
        key = project("key", memory, groups * units, self.bias)
        value = project("value", memory, groups * units, self.bias)
        if self.rotary:
            query = sub.add("rotary_position", query, heads=self.heads, base=self.rotary_base)
            key = sub.add("rotary_position", key, heads=groups, base=self.rotary_base)
        mixed = sub.add(
            "dot_product_attention",
            query,
            key,
            value,
            *mask,
            name="mix",
            heads=self.heads,
            kv_heads=self.kv_heads,
            causal=causal,
            dropout=self.dropout,
        )
        return project("output", mixed, self.units or wide.shape[1], self.output_bias)


@layers("self_attention")
class SelfAttention(_Projected):
    """Multi-head attention of a sequence to itself.

    y = A(x Q + a, x K + b, x V + c) O + d, with A ``dot_product_attention``, Q, K, V and O the kernels of query, key,
    value and output, and a, b, c and d their biases.

    Args:
        heads: Query heads.
        head_units: Channels of a head; C / heads when left out.
        kv_heads: Heads of keys and values, each serving several query heads; as many as heads when left out.
        causal: Whether a step sees only itself and earlier ones.
        rotary: Whether ``rotary_position`` turns queries and keys.
        rotary_base: Its base.
        dropout: Share of the attention zeroed in training.
        bias: Whether there are a, b and c.
        output_bias: Whether there is d.
        units: Channels of y; C when left out.
        kernel_initializer: How all kernels start.

    Shapes: (N, L, C), optionally a mask (N, L) -> (N, L, units).
    Weights: ``query.*``, ``key.*``, ``value.*`` and ``output.*``, as those of ``dense``.
    Errors: wrong-rank, wrong-dtype, mask-length, heads-not-dividing, kv-heads-not-dividing, odd-head.
    Differs: torch packs Q, K and V into one matrix, which changes how it starts and how it is clipped.
    Source: Vaswani et al. 2017.
    """

    known_as = ("attention", "multi_head_attention", "mha")

    arity = (1, 2)
    causal: bool = False

    examples = (
        # biases only beside `rotary`: without it that of the keys moves all scores alike and has no gradient
        Example({"heads": 2, "bias": False}, (_X,)),
        Example({"heads": 3, "causal": True, "dropout": 0.3, "bias": False}, (_X, _MASK)),
        Example({"heads": 4, "head_units": 4, "kv_heads": 2, "rotary": True, "output_bias": False}, (_X, _MASK)),
        Example({"heads": 4}, (_X,), raises="heads-not-dividing"),
        Example({"heads": 3, "kv_heads": 2}, (_X,), raises="kv-heads-not-dividing"),
        Example({"heads": 2, "rotary": True}, (_X,), raises="odd-head"),
        Example({"heads": 2}, (_MASK,), raises="wrong-dtype"),
        Example({"heads": 2}, (TensorType((6,)),), raises="wrong-rank"),
        Example({"heads": 2}, (_X, _LONG_MASK), raises="mask-length"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x, *mask = inputs
        return self.attend(sub, x, x, tuple(mask), self.causal)


@layers("cross_attention")
class CrossAttention(_Projected):
    """Multi-head attention of a sequence to another one, the memory.

    y = A(x Q + a, m K + b, m V + c) O + d, with m the memory, A ``dot_product_attention``, Q, K, V and O the kernels
    of query, key, value and output, and a, b, c and d their biases.

    Args:
        heads: Query heads.
        head_units: Channels of a head; C / heads when left out.
        kv_heads: Heads of keys and values, each serving several query heads; as many as heads when left out.
        rotary: Whether ``rotary_position`` turns queries and keys.
        rotary_base: Its base.
        dropout: Share of the attention zeroed in training.
        bias: Whether there are a, b and c.
        output_bias: Whether there is d.
        units: Channels of y; C when left out.
        kernel_initializer: How all kernels start.

    Shapes: (N, T, C), memory (N, S, M), optionally a mask (N, S) of the memory -> (N, T, units).
    Weights: ``query.*``, ``key.*``, ``value.*`` and ``output.*``, as those of ``dense``.
    Errors: wrong-rank, wrong-dtype, mask-length, heads-not-dividing, kv-heads-not-dividing, odd-head.
    Differs: torch packs Q, K and V into one matrix, which changes how it starts and how it is clipped.
    Source: Vaswani et al. 2017.
    """

    arity = (2, 3)

    examples = (
        Example({"heads": 2, "bias": False}, (_X, TensorType((7, 4)))),
        Example({"heads": 3, "kv_heads": 1, "dropout": 0.3, "units": 5, "bias": False}, (_X, _LONG, _LONG_MASK)),
        Example({"heads": 4}, (_X, _LONG), raises="heads-not-dividing"),
        Example({"heads": 2}, (_X, _LONG_MASK), raises="wrong-dtype"),
        Example({"heads": 2}, (_X, _LONG, _MASK), raises="mask-length"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x, memory, *mask = inputs
        return self.attend(sub, x, memory, tuple(mask), causal=False)
