"""What layers over sequences compute, against a few lines of numpy or torch's own modules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlrun.graph import Graph, TensorType, build_graph, layers
from dlrun.initializers import initialize
from dlrun.randomness import stream

IDS = np.array([[3, 1, 2, 4, 6], [5, 2, 0, 0, 0], [0, 0, 0, 0, 0], [1, 6, 6, 1, 0]])
"""Sequences of 5, 2, 0 and 4 steps; 0 is padding."""

LENGTHS = (IDS != 0).sum(1)
CHANNELS, UNITS = 6, 3


def layer(kind: str, **fields: Any) -> Any:
    return layers.get(kind)(**fields)


def padded(kind: str, **fields: Any) -> Graph:
    """Ids looked up, then the layer with their mask."""
    specs = [
        layer("padding_mask", name="mask"),
        layer("embedding", vocabulary=7, units=CHANNELS, inputs=("input",), name="x"),
        layer(kind, inputs=("x", "mask"), name="it", **fields),
    ]
    return build_graph(specs, TensorType((5,), "int"))


def drawn(graph: Graph) -> dict[str, np.ndarray]:
    return {name: stream(1, name).uniform(-0.7, 0.7, w.shape) for name, w in graph.weights()}


@pytest.fixture(params=["torch", "tensorflow"])
def run(request: pytest.FixtureRequest, natives: dict[str, Any]) -> Any:
    """Runs a graph on one backend in float64; the cotangent is all ones."""

    def ran(graph: Graph, weights: dict[str, np.ndarray], x: np.ndarray, training: bool = True) -> Any:
        return natives[request.param].run(graph, weights, x, np.ones((len(x), *graph.output.shape)), training)

    return ran


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def walk(kind: str, x: np.ndarray, w: dict[str, np.ndarray], way: str) -> np.ndarray:
    """The states of one sequence (L, C) -> (L, units), step by step."""
    h, c = np.zeros(UNITS), np.zeros(UNITS)
    states = np.zeros((len(x), UNITS))
    kernel, recurrent, bias = (w[f"it.{n}{way}"] for n in ("kernel", "recurrent_kernel", "bias"))
    for t, now in enumerate(x):
        z = now @ kernel + bias
        if kind == "simple_rnn":
            h = np.tanh(z + h @ recurrent)
        elif kind == "lstm":
            i, f, g, o = np.split(z + h @ recurrent, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (xr, xz, xn), (hr, hz, hn) = np.split(z, 3), np.split(h @ recurrent + w[f"it.recurrent_bias{way}"], 3)
            r, u = sigmoid(xr + hr), sigmoid(xz + hz)
            h = (1 - u) * np.tanh(xn + r * hn) + u * h
        states[t] = h
    return states


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("kind", ["simple_rnn", "lstm", "gru"])
def test_recurrent_layers_stop_at_each_end(kind: str, sequences: bool, run: Any) -> None:
    graph = padded(kind, units=UNITS, bidirectional=True, return_sequences=sequences)
    w = drawn(graph)
    expected = np.zeros((len(IDS), 5, 2 * UNITS))
    ends = np.zeros((len(IDS), 2 * UNITS))
    for n, length in enumerate(LENGTHS):
        x = w["x.table"][IDS[n, :length]]
        both = walk(kind, x, w, ""), walk(kind, x[::-1], w, "_backward")[::-1]
        expected[n, :length] = np.concatenate(both, axis=-1)
        if length:
            ends[n] = np.concatenate((both[0][-1], both[1][0]))
    for training in (True, False):
        found = run(graph, w, IDS, training).output
        np.testing.assert_allclose(found, expected if sequences else ends, rtol=0, atol=1e-13)


@pytest.mark.parametrize("length", [1, 15, 16, 31, 32, 33, 50])
def test_long_sequences_are_cut_into_turns_without_a_seam(length: int, natives: dict[str, Any]) -> None:
    """TensorFlow's loop holds 16 steps a turn; lengths around its multiples, values and gradients."""
    graph = build_graph(
        [layer("lstm", units=3, bidirectional=True), layer("gru", units=2), layer("simple_rnn", units=2)],
        TensorType((length, 2)),
    )
    w, x = drawn(graph), stream(2, "x").standard_normal((3, length, 2))
    for training in (True, False):
        ours, theirs = (n.run(graph, w, x, np.ones((3, length, 2)), training) for n in natives.values())
        np.testing.assert_allclose(ours.output, theirs.output, rtol=0, atol=1e-13)
        for name, gradient in theirs.gradients.items():
            np.testing.assert_allclose(ours.gradients[name], gradient, rtol=0, atol=1e-11, err_msg=name)


def test_the_forget_gate_starts_open() -> None:
    graph = build_graph([layer("lstm", units=2, forget_bias=1.5)], TensorType((3, 2)))
    bias = {w.name: w for _, w in graph.weights()}["bias"]
    found = initialize(bias.initializer, bias.shape, 0, "bias")
    np.testing.assert_array_equal(found, [0, 0, 1.5, 1.5, 0, 0, 0, 0])


def test_the_padding_row_gets_no_gradient(run: Any) -> None:
    specs = [layer("embedding", vocabulary=7, units=2, padding=0, multiplier=3.0, name="x")]
    graph = build_graph(specs, TensorType((5,), "int"))
    counts = np.bincount(IDS.ravel(), minlength=7)
    counts[0] = 0
    found = run(graph, drawn(graph), IDS)
    np.testing.assert_allclose(found.gradients["x.table"], 3.0 * np.repeat(counts[:, None], 2, 1))
    np.testing.assert_allclose(found.output, 3 * drawn(graph)["x.table"][IDS])


def test_masks_and_shifted_ids(run: Any) -> None:
    mask = build_graph([layer("padding_mask", padding=2)], TensorType((5,), "int"))
    np.testing.assert_array_equal(run(mask, {}, IDS).output, IDS != 2)
    shifted = build_graph([layer("shift_right", start=9)], TensorType((5,), "int"))
    np.testing.assert_array_equal(run(shifted, {}, IDS).output, np.c_[np.full(4, 9), IDS[:, :-1]])


def test_a_tied_table_is_trained_from_both_ends(run: Any) -> None:
    specs = [
        layer("embedding", vocabulary=7, units=4, name="x"),
        layer("embedding_logits", vocabulary=7, share="x"),
    ]
    graph = build_graph(specs, TensorType((5,), "int"))
    w = drawn(graph)
    assert list(w) == ["x.table"]
    table = w["x.table"]
    found = run(graph, w, IDS)
    np.testing.assert_allclose(found.output, table[IDS] @ table.T)
    read, looked = table[IDS].sum((0, 1)), np.bincount(IDS.ravel(), minlength=7)[:, None] * table.sum(0)
    np.testing.assert_allclose(found.gradients["x.table"], read + looked)


def test_positions(run: Any) -> None:
    x = np.zeros((1, 3, 4))
    sines = build_graph([layer("sinusoidal_position")], TensorType((3, 4)))
    by_hand = [[0, 1, 0, 1], *[[math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)] for t in (1, 2)]]
    np.testing.assert_allclose(run(sines, {}, x).output[0], by_hand, atol=1e-15)
    learned = build_graph([layer("learned_position", length=5, name="p")], TensorType((3, 4)))
    table = np.arange(20.0).reshape(5, 4)
    np.testing.assert_array_equal(run(learned, {"p.table": table}, x).output[0], table[:3])
    token = build_graph([layer("class_token", name="c")], TensorType((3, 4)))
    np.testing.assert_array_equal(
        run(token, {"c.token": np.arange(4.0)}, x + 7).output[0], [np.arange(4), *[[7] * 4] * 3]
    )


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotation_keeps_what_depends_on_distance(interleaved: bool, run: Any) -> None:
    graph = build_graph([layer("rotary_position", heads=2, base=10.0, interleaved=interleaved)], TensorType((4, 8)))
    same = np.tile(stream(0, "x").standard_normal((1, 1, 8)), (1, 4, 1))
    turned = run(graph, {}, same).output[0]
    np.testing.assert_allclose(turned[0], same[0, 0])
    products = [[turned[t, h] @ turned[s, h] for t in range(4) for s in range(4)] for h in (slice(0, 4), slice(4, 8))]
    for found in products:
        grid = np.reshape(found, (4, 4))
        for apart in range(4):
            np.testing.assert_allclose(np.diag(grid, apart), grid[0, apart])
    pair = (0, 1) if interleaved else (0, 2)
    a, b = same[0, 0, pair[0]], same[0, 0, pair[1]]
    assert turned[1, pair[0]] == pytest.approx(a * math.cos(1) - b * math.sin(1))


def test_attention_sees_what_is_kept(run: Any) -> None:
    graph = padded("self_attention", heads=3, kv_heads=1, causal=True)
    w = drawn(graph)
    x, size = w["x.table"][IDS], CHANNELS // 3
    q, k, v = (x @ w[f"it.{n}.kernel"] + w[f"it.{n}.bias"] for n in ("query", "key", "value"))
    mixed = np.zeros((*IDS.shape, CHANNELS))
    for n in range(len(IDS)):
        for t in range(5):
            kept = [s for s in range(t + 1) if IDS[n, s]]
            for h in range(3):
                part = slice(h * size, (h + 1) * size)
                scores = np.exp([q[n, t, part] @ k[n, s] / math.sqrt(size) for s in kept])
                if kept:
                    mixed[n, t, part] = scores / scores.sum() @ v[n, kept]
    expected = mixed @ w["it.output.kernel"] + w["it.output.bias"]
    np.testing.assert_allclose(run(graph, w, IDS).output, expected, rtol=0, atol=1e-13)


def test_a_pointer_mixes_choosing_and_copying(run: Any) -> None:
    specs = [
        layer("padding_mask", name="mask"),
        layer("embedding", vocabulary=7, units=4, inputs=("input",), name="x"),
        layer("copy_head", vocabulary=7, inputs=("x", "x", "input", "mask"), name="it"),
    ]
    graph = build_graph(specs, TensorType((5,), "int"))
    w = drawn(graph)
    x = w["x.table"][IDS]
    logits = x @ w["it.logits.table"].T
    scores = np.exp((x @ w["it.query.kernel"] + w["it.query.bias"]) @ (x @ w["it.key.kernel"]).transpose(0, 2, 1) / 2)
    scores = scores * (IDS != 0)[:, None]
    share = scores / np.maximum(scores.sum(-1, keepdims=True), 1e-300)
    gate = sigmoid(x @ w["it.gate.kernel"] + w["it.gate.bias"])
    copied = np.einsum("nts,nsv->ntv", share, np.eye(7)[IDS])
    expected = gate * np.exp(logits) / np.exp(logits).sum(-1, keepdims=True) + (1 - gate) * copied
    found = run(graph, w, IDS).output
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(np.exp(found[[0, 1, 3]]).sum(-1), 1)


def test_source_ids_outside_the_vocabulary_are_copied_nowhere(run: Any) -> None:
    """Below it, above it, and in reach of another sample's ids."""
    specs = [
        layer("embedding", vocabulary=40, units=4, name="x", inputs=("input",)),
        layer("dense", units=7, name="logits", inputs=("x",)),
        layer("attention_scores", inputs=("x", "x"), name="scores"),
        layer("dense", units=1, name="gate", inputs=("x",)),
        layer("pointer_logits", inputs=("logits", "scores", "gate", "shifted"), name="it"),
    ]
    specs.insert(0, layer("shift_right", start=9, name="shifted"))
    graph = build_graph(specs, TensorType((5,), "int"))
    w = drawn(graph)
    ids = np.array([[0, 13, 3, 7, 1], [6, 5, 21, 8, 2]])
    source = np.concatenate([[[9], [9]], ids[:, :-1]], axis=1)
    x = w["x.table"][ids]
    logits = x @ w["logits.kernel"] + w["logits.bias"]
    scores = np.exp(x @ x.transpose(0, 2, 1) / 2)
    gate = sigmoid(x @ w["gate.kernel"] + w["gate.bias"])
    known = (source < 7)[..., None] * np.eye(7)[np.minimum(source, 6)]
    copied = np.einsum("nts,nsv->ntv", scores / scores.sum(-1, keepdims=True), known)
    expected = gate * np.exp(logits) / np.exp(logits).sum(-1, keepdims=True) + (1 - gate) * copied
    np.testing.assert_allclose(np.exp(run(graph, w, ids).output), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("norm", ["first", "last"])
def test_an_encoder_block_is_torchs_own(norm: str, run: Any) -> None:
    torch = pytest.importorskip("torch")
    own = torch.nn.TransformerEncoderLayer(
        d_model=CHANNELS,
        nhead=2,
        dim_feedforward=9,
        dropout=0.0,
        activation="relu",
        layer_norm_eps=1e-5,
        batch_first=True,
        norm_first=norm == "first",
        dtype=torch.float64,
    )
    graph = padded("transformer_encoder_block", heads=2, feedforward_units=9, activation="relu", norm=norm)
    w = drawn(graph)

    def put(parameter: Any, *names: str) -> None:
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.concatenate([w[f"it.{n}"].T for n in names])))

    for part in ("kernel", "bias"):
        native = "weight" if part == "kernel" else "bias"
        attention = [f"self_attention.{n}.{part}" for n in ("query", "key", "value")]
        put(getattr(own.self_attn, f"in_proj_{native}"), *attention)
        put(getattr(own.self_attn.out_proj, native), f"self_attention.output.{part}")
        put(getattr(own.linear1, native), f"feed_forward.expand.{part}")
        put(getattr(own.linear2, native), f"feed_forward.contract.{part}")
    for native, name in ((own.norm1, "self_attention_norm"), (own.norm2, "feed_forward_norm")):
        put(native.weight, f"{name}.scale")
        put(native.bias, f"{name}.shift")
    x = torch.from_numpy(w["x.table"][IDS])
    expected = own.train()(x, src_key_padding_mask=torch.from_numpy(IDS == 0)).detach().numpy()
    found = run(graph, w, IDS).output
    rows = LENGTHS > 0  # where nothing is kept torch's module gives no number
    np.testing.assert_allclose(found[rows], expected[rows], rtol=0, atol=1e-12)
