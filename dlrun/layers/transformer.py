"""Transformer blocks and stacks of them, said with attention, dense layers, norms and dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.described import described
from dlrun.graph.layer import Composite, Example, layers, require_float, require_sequence
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial

Positive = Annotated[int, Gt(0)]
Rate = Annotated[float, Ge(0), Lt(1)]
_X, _MASK = TensorType((5, 6)), TensorType((5,), "int")
_MEMORY, _MEMORY_MASK = TensorType((4, 3)), TensorType((4,), "int")
_SMALL = {"heads": 2, "feedforward_units": 7, "attention_bias": False}
_BAD = (
    Example({**_SMALL, "heads": 4}, (_X,), raises="heads-not-dividing"),
    Example({**_SMALL, "heads": 3, "kv_heads": 2}, (_X,), raises="kv-heads-not-dividing"),
    Example({**_SMALL, "activation": "gelo"}, (_X,), raises="unknown-activation"),
    Example(_SMALL, (_MASK,), raises="wrong-dtype"),
    Example(_SMALL, (TensorType((6,)),), raises="wrong-rank"),
    Example(_SMALL, (_X, _MEMORY_MASK), raises="mask-length"),
)


@layers("feed_forward")
class FeedForward(Composite):
    """Two dense layers with an activation between them.

    y = d(f(x W + b)) V + c, with f the activation, d the dropout, W and V the kernels, b and c the biases. Gated,
    it is y = d(f(x G + a) (x W + b)) V + c, with G and a the gate's kernel and bias.

    Args:
        units: Columns of W.
        activation: f.
        gated: Whether a second projection is multiplied by the activated one.
        dropout: Share of elements zeroed between the two layers, in training.
        bias: Whether there are a, b and c.
        kernel_initializer: How all kernels start.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``expand.*`` and ``contract.*``, as those of ``dense``; gated also ``gate.*``.
    Errors: wrong-dtype, unknown-activation.
    Differs: nothing.
    Source: Vaswani et al. 2017; Shazeer 2020 (gated: `silu` makes SwiGLU, `gelu` GEGLU).
    """

    units: Positive
    activation: str = "gelu"
    gated: bool = False
    dropout: Rate = 0.0
    bias: bool = True
    kernel_initializer: Initial = "glorot_uniform"

    examples = (
        Example({"units": 7}, (_X,)),
        Example({"units": 5, "activation": "silu", "gated": True, "bias": False, "dropout": 0.3}, (_X,)),
        Example({"units": 5}, (_MASK,), raises="wrong-dtype"),
        Example({"units": 5, "activation": "gelo"}, (_X,), raises="unknown-activation"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        (x,) = inputs
        require_float(self.kind, sub.type(x))
        start = {"bias": self.bias, "kernel_initializer": self.kernel_initializer, "trainable": self.trainable}
        wide = sub.add(
            "dense", x, name="expand", units=self.units, activation=None if self.gated else self.activation, **start
        )
        if self.gated:
            gate = sub.add("dense", x, name="gate", units=self.units, activation=self.activation, **start)
            wide = sub.add("multiply", gate, wide)
        if self.dropout:
            wide = sub.add("dropout", wide, rate=self.dropout)
        result: str = sub.add("dense", wide, name="contract", units=sub.type(x).shape[-1], **start)
        return result


@described
class _Block(Composite):
    """What encoder and decoder blocks share."""

    heads: Positive
    feedforward_units: Positive
    activation: str = "gelu"
    norm: Literal["first", "last"] = "first"
    norm_kind: Literal["layer_norm", "rms_norm"] = "layer_norm"
    epsilon: Annotated[float, Gt(0)] = 1e-5
    dropout: Rate = 0.0
    attention_dropout: Rate = 0.0
    feedforward_dropout: Rate = 0.0
    stochastic_depth: Rate = 0.0
    head_units: Positive | None = None
    kv_heads: Positive | None = None
    rotary: bool = False
    rotary_base: Annotated[float, Gt(0)] = 10000.0
    gated: bool = False
    attention_bias: bool = True
    feedforward_bias: bool = True
    kernel_initializer: Initial = "glorot_uniform"

    def require(self, sub: Any, *sequences: str) -> None:
        """Raise unless every one is a sequence of vectors."""
        for name in sequences:
            require_sequence(self.kind, sub.type(name))

    def branch(self, sub: Any, x: str, name: str, inner: Callable[[str], str]) -> str:
        """``x`` with what ``inner`` makes of it added, normalised before or after."""
        y = inner(self.normal(sub, x, name) if self.norm == "first" else x)
        if self.dropout:
            y = sub.add("dropout", y, rate=self.dropout)
        if self.stochastic_depth:
            y = sub.add("stochastic_depth", y, rate=self.stochastic_depth)
        total: str = sub.add("add", x, y)
        return total if self.norm == "first" else self.normal(sub, total, name)

    def normal(self, sub: Any, x: str, name: str) -> str:
        """The norm of the branch called ``name``."""
        result: str = sub.add(self.norm_kind, x, name=f"{name}_norm", epsilon=self.epsilon, trainable=self.trainable)
        return result

    def attend(self, sub: Any, kind: str, *inputs: str, **fields: Any) -> str:
        """Attention with this block's fields."""
        result: str = sub.add(
            kind,
            *inputs,
            name=kind,
            heads=self.heads,
            head_units=self.head_units,
            kv_heads=self.kv_heads,
            dropout=self.attention_dropout,
            bias=self.attention_bias,
            output_bias=self.attention_bias,
            kernel_initializer=self.kernel_initializer,
            trainable=self.trainable,
            **fields,
        )
        return result

    def feed_forward(self, sub: Any, x: str) -> str:
        """The block's last branch."""
        return self.branch(
            sub,
            x,
            "feed_forward",
            lambda y: sub.add(
                "feed_forward",
                y,
                name="feed_forward",
                units=self.feedforward_units,
                activation=self.activation,
                gated=self.gated,
                dropout=self.feedforward_dropout,
                bias=self.feedforward_bias,
                kernel_initializer=self.kernel_initializer,
                trainable=self.trainable,
            ),
        )


@layers("transformer_encoder_block")
class TransformerEncoderBlock(_Block):
    """Self-attention, then a feed-forward layer, each added to its own input.

    With the norm first, h = x + d(A(n(x))) and y = h + d(F(m(h))); with the norm last, h = n(x + d(A(x))) and
    y = m(h + d(F(h))). A is ``self_attention``, F ``feed_forward``, n and m the norms, d the dropout. With
    ``causal`` it is the block of GPT.

    Args:
        heads: Heads of the attention.
        feedforward_units: Units between the feed-forward layers.
        activation: Between them.
        norm: Before each branch (``first``) or after each sum (``last``, as in BERT).
        norm_kind: Which norm.
        epsilon: That of the norms.
        dropout: Share of each branch's output zeroed in training.
        attention_dropout: Share of the attention zeroed in training.
        feedforward_dropout: Share of what is between the feed-forward layers zeroed in training.
        stochastic_depth: Share of samples that skip a branch in training.
        head_units: Channels of a head; C / heads when left out.
        kv_heads: Heads of keys and values; as many as heads when left out.
        rotary: Whether ``rotary_position`` turns queries and keys.
        rotary_base: Its base.
        gated: Whether the feed-forward layer is gated.
        attention_bias: Whether query, key, value and output have biases.
        feedforward_bias: Whether the feed-forward layers have.
        kernel_initializer: How all kernels start.
        causal: Whether a step sees only itself and earlier ones.

    Shapes: (N, L, C), optionally a mask (N, L) -> (N, L, C).
    Weights: ``self_attention.*``, ``self_attention_norm.*``, ``feed_forward.*``, ``feed_forward_norm.*``.
    Errors: wrong-rank, wrong-dtype, mask-length, heads-not-dividing, kv-heads-not-dividing, odd-head,
        unknown-activation.
    Differs: torch's nn.TransformerEncoderLayer is ``norm: last``, ``activation: relu`` and all three dropouts alike.
    Source: Vaswani et al. 2017; Xiong et al. 2020 (norm first); Radford et al. 2018 (causal).
    """

    arity = (1, 2)
    causal: bool = False

    examples: ClassVar[tuple[Example, ...]] = (
        Example(_SMALL, (_X,)),
        # without `rotary` the keys' bias moves all scores alike and has no gradient
        Example(
            {"heads": 3, "feedforward_units": 4, "rotary": True, "norm": "last", "activation": "silu", "gated": True},
            (_X, _MASK),
        ),
        Example(
            {**_SMALL, "causal": True, "dropout": 0.2, "attention_dropout": 0.3, "feedforward_dropout": 0.1},
            (_X, _MASK),
        ),
        *_BAD,
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x, *mask = inputs
        self.require(sub, x)
        own = {"causal": self.causal, "rotary": self.rotary, "rotary_base": self.rotary_base}
        x = self.branch(sub, x, "self_attention", lambda y: self.attend(sub, "self_attention", y, *mask, **own))
        return self.feed_forward(sub, x)


@layers("transformer_decoder_block")
class TransformerDecoderBlock(_Block):
    """Causal self-attention, attention to a memory, then a feed-forward layer, each added to its own input.

    With the norm first, h = x + d(A(n(x))), g = h + d(B(m(h), z)) and y = g + d(F(o(g))), each norm after its
    sum with the norm last. A is causal ``self_attention``, B ``cross_attention`` to the memory z, F
    ``feed_forward``, n, m and o the norms, d the dropout.

    Args:
        heads: Heads of both attentions.
        feedforward_units: Units between the feed-forward layers.
        activation: Between them.
        norm: Before each branch (``first``) or after each sum (``last``).
        norm_kind: Which norm.
        epsilon: That of the norms.
        dropout: Share of each branch's output zeroed in training.
        attention_dropout: Share of the attentions zeroed in training.
        feedforward_dropout: Share of what is between the feed-forward layers zeroed in training.
        stochastic_depth: Share of samples that skip a branch in training.
        head_units: Channels of a head; C / heads when left out.
        kv_heads: Heads of keys and values; as many as heads when left out.
        rotary: Whether ``rotary_position`` turns queries and keys of the self-attention.
        rotary_base: Its base.
        gated: Whether the feed-forward layer is gated.
        attention_bias: Whether query, key, value and output have biases.
        feedforward_bias: Whether the feed-forward layers have.
        kernel_initializer: How all kernels start.

    Shapes: (N, T, C), memory (N, S, M), optionally a mask (N, S) of the memory -> (N, T, C).
    Weights: ``self_attention.*``, ``cross_attention.*``, ``feed_forward.*``, and each with ``_norm``.
    Errors: wrong-rank, wrong-dtype, mask-length, heads-not-dividing, kv-heads-not-dividing, odd-head,
        unknown-activation.
    Differs: torch's nn.TransformerDecoderLayer is ``norm: last``, ``activation: relu`` and all three dropouts alike.
    Source: Vaswani et al. 2017.
    """

    arity = (2, 3)

    examples: ClassVar[tuple[Example, ...]] = (
        Example(_SMALL, (_X, _MEMORY)),
        Example({**_SMALL, "norm": "last", "dropout": 0.2, "attention_dropout": 0.3}, (_X, _MEMORY, _MEMORY_MASK)),
        Example({**_SMALL, "heads": 4}, (_X, _MEMORY), raises="heads-not-dividing"),
        Example(_SMALL, (_X, _MASK), raises="wrong-dtype"),
        Example(_SMALL, (_X, _MEMORY, _MASK), raises="mask-length"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x, *memory = inputs
        self.require(sub, x, memory[0])
        own = {"causal": True, "rotary": self.rotary, "rotary_base": self.rotary_base}
        x = self.branch(sub, x, "self_attention", lambda y: self.attend(sub, "self_attention", y, **own))
        x = self.branch(sub, x, "cross_attention", lambda y: self.attend(sub, "cross_attention", y, *memory))
        return self.feed_forward(sub, x)
