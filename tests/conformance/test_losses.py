"""Every loss in every example: both backends give the numpy reference's value and one gradient, whole and in parts.

Parametrised over the registry: a new loss is tested by being registered with examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunError, DlrunErrors
from dlrun.losses import Example, Loss, label_type, losses
from dlrun.losses.weighted_sum import WeightedSum
from dlrun.randomness import stream

TOLERANCE = {"float64": 1e-12, "float32": 5e-6}
"""Largest difference, as a share of the largest value (of 1, where all is smaller)."""

FAR = 100.0
"""The largest output tried; in float32 an example may name a smaller one, with the reason."""

CASES = [
    pytest.param(kind, i, id=f"{kind}-{i}")
    for kind in losses
    for i, example in enumerate(losses.get(kind).examples)
    if example.raises is None
]
MISTAKES = [
    pytest.param(kind, i, id=f"{kind}-{i}")
    for kind in losses
    for i, example in enumerate(losses.get(kind).examples)
    if example.raises is not None
]


def ordinary(shape: tuple[int, ...], example: Example, largest: float) -> np.ndarray:
    """Numbers of usual size."""
    return 2 * stream(1, str(shape)).standard_normal(shape)


def zeros(shape: tuple[int, ...], example: Example, largest: float) -> np.ndarray:
    """All alike."""
    return np.zeros(shape)


def far(shape: tuple[int, ...], example: Example, largest: float) -> np.ndarray:
    """Where exponentials overflow and probabilities vanish."""
    return largest * stream(2, str(shape)).choice([-1.0, 1.0], shape)


def whole(shape: tuple[int, ...], example: Example, largest: float) -> np.ndarray:
    """Ties, and the points where functions bend."""
    return np.round(2 * stream(3, str(shape)).standard_normal(shape))


def hit(shape: tuple[int, ...], example: Example, largest: float) -> np.ndarray:
    """The labels themselves, where there are as many numbers."""
    y = example.labels.astype(np.float64)
    return np.resize(np.nan_to_num(y, nan=1.0), shape)


POINTS = {draw.__name__: draw for draw in (ordinary, zeros, far, whole, hit)}
Native = Callable[[Loss, dict[str, np.ndarray], np.ndarray, int], tuple[float, list[np.ndarray]]]
"""(loss, outputs by name, labels, parts of the batch) -> value and gradient of each output."""


def with_torch(spec: Loss, outputs: dict[str, np.ndarray], y: np.ndarray, parts: int) -> tuple[float, list[np.ndarray]]:
    import torch

    from dlrun.backends.torch.losses import native_loss

    dtype = next(iter(outputs.values())).dtype
    native = native_loss(spec, torch.device("cpu"), getattr(torch, str(dtype)), tuple(outputs))
    sources = [torch.tensor(x, requires_grad=True) for x in outputs.values()]
    target = native.target(torch.from_numpy(y), tuple(sources[0].shape[1:]))

    def read(rows: Any) -> Any:
        return sources[0][rows] if len(sources) == 1 else tuple(s[rows] for s in sources)

    if parts == 1:
        value = native.mean(read(slice(None)), target)
    else:
        weight = native.weight(target)
        pieces = torch.arange(len(y)).tensor_split(parts)
        value = sum(native.part(read(rows), target[rows], weight) for rows in pieces)
    value.backward()
    return value.item(), [np.zeros(s.shape) if s.grad is None else s.grad.numpy() for s in sources]


def with_tensorflow(
    spec: Loss, outputs: dict[str, np.ndarray], y: np.ndarray, parts: int, exact: bool = False, graph: bool = False
) -> tuple[float, list[np.ndarray]]:
    from dlrun.backends.tensorflow.losses import lower_loss  # sets up Keras before TensorFlow is imported

    import tensorflow as tf  # isort: skip

    dtype = str(next(iter(outputs.values())).dtype)
    lowered = lower_loss(spec, dtype, exact, tuple(outputs))
    target = tf.constant(y, "int64" if y.dtype.kind in "iu" else dtype)

    def run(*sources: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(sources)
            weight, value = lowered.weight(target), 0.0
            for rows in np.array_split(np.arange(len(y)), parts):
                piece = slice(rows[0], rows[-1] + 1)
                read = [s[piece] for s in sources]
                value += lowered.part(read[0] if len(read) == 1 else read, target[piece], weight)
        return value, tape.gradient(value, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    call = tf.function(run, autograph=False) if graph else run
    value, gradients = call(*(tf.constant(x) for x in outputs.values()))
    assert value.dtype == dtype and value.shape == ()
    return float(value), [np.asarray(g) for g in gradients]


def reference(spec: Loss, outputs: dict[str, np.ndarray], y: np.ndarray) -> float:
    """The loss in numpy; of several outputs, the sum of its terms."""
    if not isinstance(spec, WeightedSum):
        return spec.reference(next(iter(outputs.values())), y)
    answer = next(iter(outputs))
    return sum(t.weight * t.loss.reference(outputs[t.output or answer], y) for t in spec.terms)


def case(kind: str, index: int, point: str, dtype: str) -> tuple[Loss, dict[str, np.ndarray], np.ndarray]:
    example = losses.get(kind).examples[index]
    y, largest = example.labels, FAR if dtype == "float64" else example.largest
    outputs = {
        name: POINTS[point]((len(y), *x.shape), example, largest).astype(dtype)
        + (0 if i == 0 else np.asarray(0.25, dtype))
        for i, (name, x) in enumerate(example.outputs.items())
    }
    return losses.get(kind)(**example.fields), outputs, y if y.dtype.kind in "iu" else y.astype(dtype)


def off(a: np.ndarray | float, b: np.ndarray | float, least: float = 1.0) -> float:
    """Largest difference as a share of the largest value, or of ``least``."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    return float(np.abs(a - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), least))


@pytest.mark.usefixtures("natives")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("kind", "index"), CASES)
def test_both_backends_are_the_reference(kind: str, index: int, point: str, dtype: str) -> None:
    spec, outputs, y = case(kind, index, point, dtype)
    expected = reference(spec, outputs, y)
    assert math.isfinite(expected)
    ours, our_slopes = with_torch(spec, outputs, y, 1)
    theirs, their_slopes = with_tensorflow(spec, outputs, y, 1)
    found = {"torch": off(ours, expected), "tensorflow": off(theirs, expected)}
    least = 1 / max(x.size for x in outputs.values())
    for name, ours_, theirs_ in zip(outputs, our_slopes, their_slopes, strict=True):
        assert np.isfinite(ours_).all(), name
        found[f"d {name}"] = off(ours_, theirs_, least)
    wrong = {what: share for what, share in found.items() if not share <= TOLERANCE[dtype]}
    assert not wrong


@pytest.mark.usefixtures("natives")
@pytest.mark.parametrize(("kind", "index"), CASES)
def test_gradients_are_the_slopes_of_the_reference(kind: str, index: int) -> None:
    spec, outputs, y = case(kind, index, "ordinary", "float64")
    _, gradients = with_torch(spec, outputs, y, 1)
    h = 1e-6
    for name, gradient in zip(outputs, gradients, strict=True):
        slopes = np.zeros_like(gradient)
        for place in np.ndindex(*gradient.shape):
            nudge = np.zeros_like(gradient)
            nudge[place] = h
            above, below = ({**outputs, name: outputs[name] + sign * nudge} for sign in (1, -1))
            slopes[place] = (reference(spec, above, y) - reference(spec, below, y)) / (2 * h)
        assert off(gradient, slopes) < 1e-7


@pytest.mark.usefixtures("natives")
@pytest.mark.parametrize(("kind", "index"), CASES)
def test_a_batch_in_parts_is_the_batch(kind: str, index: int) -> None:
    spec, outputs, y = case(kind, index, "ordinary", "float64")
    parts = min(3, len(y))
    expected, slopes = with_torch(spec, outputs, y, 1)
    for value, gradients in (
        with_torch(spec, outputs, y, parts),
        with_tensorflow(spec, outputs, y, parts),
        with_tensorflow(spec, outputs, y, parts, exact=True, graph=True),
    ):
        assert off(value, expected) <= 1e-13
        for a, b in zip(gradients, slopes, strict=True):
            assert off(a, b) <= 1e-12


@pytest.mark.parametrize(("kind", "index"), CASES)
def test_sums_of_parts_add_up(kind: str, index: int) -> None:
    """Evaluation: the batch size does not matter."""
    spec, outputs, y = case(kind, index, "ordinary", "float64")
    answer = next(iter(outputs))
    spec, output = spec.answering(answer), outputs[answer]
    parts = [spec.sums(output[i : i + 1], y[i : i + 1]) for i in range(len(y))]
    total, weight = (np.sum([part[k] for part in parts], axis=0) for k in (0, 1))
    assert spec.value(total, weight) == pytest.approx(spec.reference(output, y), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("kind", "index"), CASES)
def test_examples_pass_the_check(kind: str, index: int) -> None:
    example = losses.get(kind).examples[index]
    losses.get(kind)(**example.fields).check_outputs(example.outputs, label_type(example.labels), example.classes)


@pytest.mark.parametrize(("kind", "index"), MISTAKES)
def test_mistakes_are_caught_before_any_backend(kind: str, index: int) -> None:
    example = losses.get(kind).examples[index]
    with pytest.raises(DlrunError) as caught:
        losses.get(kind)(**example.fields).check_outputs(example.outputs, label_type(example.labels), example.classes)
    errors = caught.value.errors if isinstance(caught.value, DlrunErrors) else (caught.value,)
    assert example.raises in [e.code for e in errors]
    for e in errors:
        assert "`" in e.message and e.hint and e.path[:1] in (("loss",), ("model",))
        assert e.code in (losses.get(kind).__doc__ or "") or isinstance(losses.get(kind)(**example.fields), WeightedSum)


def test_every_loss_has_examples() -> None:
    assert not [kind for kind in losses if all(e.raises for e in losses.get(kind).examples)]


def test_a_difference_is_measured() -> None:
    """The ruler itself: a NaN, a shift and a small remainder are seen."""
    a = np.arange(4.0)
    assert off(a, a) == 0.0
    assert off(a, a[::-1]) == pytest.approx(1.0)
    assert math.isnan(off(a * np.nan, a))
    assert off(1e-3, 0.0) == 1e-3
