"""Initial weights: spread, independence of order, and names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.initializers import (
    Constant,
    Identity,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    check_initializer,
    fans,
    initialize,
    initializers,
)

KERNEL = (3, 3, 32, 64)
FAN_IN, FAN_OUT = 9 * 32, 9 * 64
LIMITS = {
    "glorot_uniform": math.sqrt(6 / (FAN_IN + FAN_OUT)),
    "he_uniform": math.sqrt(6 / FAN_IN),
    "lecun_uniform": math.sqrt(3 / FAN_IN),
}
SPREADS = {
    "glorot_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "he_normal": math.sqrt(2 / FAN_IN),
    "lecun_normal": math.sqrt(1 / FAN_IN),
}


@pytest.mark.parametrize(
    ("shape", "expected"), [((), (1, 1)), ((7,), (7, 7)), ((4, 5), (4, 5)), (KERNEL, (FAN_IN, FAN_OUT))]
)
def test_fans_follow_the_canonical_kernel(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert fans(shape) == expected


@pytest.mark.parametrize("name", LIMITS)
def test_uniform_fills_its_limits(name: str) -> None:
    w = initialize(name, KERNEL, 0, "conv.kernel")
    limit = LIMITS[name]
    assert 0.99 * limit < np.abs(w).max() <= limit
    assert w.std() == pytest.approx(limit / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize("name", SPREADS)
def test_normal_is_cut_at_two_deviations_and_keeps_its_spread(name: str) -> None:
    w = initialize(name, KERNEL, 0, "conv.kernel")
    assert w.std() == pytest.approx(SPREADS[name], rel=0.02)
    assert np.abs(w).max() <= 2 * SPREADS[name] / 0.8796256610342398 + 1e-12


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 2, 5)])
def test_orthogonal_columns_or_rows(shape: tuple[int, ...]) -> None:
    w = initialize("orthogonal", shape, 0, "w").reshape(-1, shape[-1])
    small = w if w.shape[0] < w.shape[1] else w.T
    np.testing.assert_allclose(small @ small.T, np.eye(len(small)), atol=1e-12)


@pytest.mark.parametrize("name", initializers.names())
def test_every_initializer_gives_float64_of_the_shape(name: str) -> None:
    w = initialize(Constant(value=3.0) if name == "constant" else name, (4, 5), 0, "w")
    assert (w.dtype, w.shape, w.flags.c_contiguous) == (np.float64, (4, 5), True)


def test_the_order_of_creation_does_not_matter() -> None:
    first = [initialize("he_normal", (3, 4), 7, name) for name in ("a", "b")]
    second = [initialize("he_normal", (3, 4), 7, name) for name in ("b", "a")][::-1]
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_the_seed_matters() -> None:
    assert not np.array_equal(initialize("he_normal", (3,), 0, "w"), initialize("he_normal", (3,), 1, "w"))


def test_numbers_do_not_change_between_versions() -> None:
    """Old checkpoints and papers rely on it: a change of these is a change of the format."""
    np.testing.assert_allclose(
        initialize("glorot_uniform", (2, 2), 0, "dense_1.kernel").ravel(),
        [0.05613015979821334, -0.5762832789169565, 0.3970226313269898, -1.094289909835224],
        rtol=1e-15,
    )


def test_unknown_initializer_names_the_nearest() -> None:
    with pytest.raises(DlrunError) as caught:
        check_initializer("he_norm", "kernel_initializer")
    assert caught.value.code == "unknown-initializer"
    assert "`he_norm`" in caught.value.message
    assert "`he_normal`" in (caught.value.hint or "")
    assert caught.value.path == ("kernel_initializer",)


def test_plain_distributions() -> None:
    w = initialize(TruncatedNormal(std=0.02), KERNEL, 0, "w")
    assert np.abs(w).max() <= 0.04
    assert w.std() == pytest.approx(0.02 * 0.8796256610342398, rel=0.02)
    w = initialize(TruncatedNormal(std=0.02, mean=1.0, cut=1.0), KERNEL, 0, "w")
    assert np.abs(w - 1).max() <= 0.02
    w = initialize(Normal(std=0.1, mean=2.0), KERNEL, 0, "w")
    assert (w.mean(), w.std()) == pytest.approx((2.0, 0.1), rel=0.02)
    assert np.abs(w - 2).max() > 0.3
    w = initialize(Uniform(low=1.0, high=3.0), KERNEL, 0, "w")
    assert 1 <= w.min() < 1.01 and 2.99 < w.max() < 3
    assert set(initialize(Constant(value=-2.5), KERNEL, 0, "w").ravel()) == {-2.5}


def test_identity_passes_its_input_on() -> None:
    np.testing.assert_array_equal(initialize("identity", (3, 3), 0, "w"), np.eye(3))
    np.testing.assert_array_equal(initialize(Identity(gain=2.0), (2, 3), 0, "w"), [[2, 0, 0], [0, 2, 0]])
    w = initialize("identity", (3, 5, 4, 4), 0, "w")
    np.testing.assert_array_equal(w[1, 2], np.eye(4))
    assert w.sum() == 4


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["conv1d", "conv1d_transpose"])
def test_a_convolution_that_starts_as_the_identity_is_one(kind: str, kernel: int) -> None:
    """With ``same`` padding, of an even kernel too."""
    torch = pytest.importorskip("torch")
    from dlrun.backends.torch.model import build
    from dlrun.graph import TensorType, build_graph, layers

    spec = layers.get(kind)(filters=3, kernel=kernel, padding="same", kernel_initializer="identity")
    graph = build_graph([spec], TensorType((7, 3)))
    weights = {n: initialize(w.initializer, w.shape, 0, n) for n, w in graph.weights()}
    model = build(graph, weights, torch.device("cpu"), torch.float64)
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    assert torch.equal(model.module(x), x)


def test_orthogonal_gain() -> None:
    w = initialize(Orthogonal(gain=3.0), (6, 4), 0, "w")
    np.testing.assert_allclose(w.T @ w, 9 * np.eye(4), atol=1e-12)


@pytest.mark.parametrize(
    ("mode", "fan"), [("fan_in", FAN_IN), ("fan_out", FAN_OUT), ("fan_avg", (FAN_IN + FAN_OUT) / 2)]
)
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
def test_variance_scaling(mode: str, fan: float, distribution: str) -> None:
    w = initialize(VarianceScaling(scale=2.0, mode=mode, distribution=distribution), KERNEL, 0, "w")
    std = math.sqrt(2 / fan)
    assert w.std() == pytest.approx(std, rel=0.02)
    furthest = {"normal": 3.5, "truncated_normal": 2 / 0.8796256610342398, "uniform": math.sqrt(3)}[distribution]
    assert (np.abs(w).max() > furthest * std) == (distribution == "normal")


def test_named_draws_are_variance_scaling() -> None:
    same = {
        "he_normal": VarianceScaling(scale=2.0),
        "glorot_uniform": VarianceScaling(mode="fan_avg", distribution="uniform"),
        "lecun_normal": VarianceScaling(),
    }
    for name, general in same.items():
        np.testing.assert_array_equal(initialize(name, (5, 7), 3, "w"), initialize(general, (5, 7), 3, "w"))


def test_torch_default_gives_the_bias_the_fan_of_its_kernel() -> None:
    kernel = initialize("torch_default", (400, 10), 0, "kernel")
    bias = initialize("torch_default", (2000,), 0, "bias", kernel=(400, 10))
    for w in (kernel, bias):
        assert 0.99 / 20 < np.abs(w).max() <= 1 / 20
    other = initialize("glorot_uniform", (2000,), 0, "bias", kernel=(400, 10))
    assert np.abs(other).max() < math.sqrt(6 / 4000)


def test_a_weight_can_tell_its_fans() -> None:
    """Depthwise: nine inputs for each output, whatever the shape's last axes are."""
    w = initialize("he_uniform", (3, 3, 64, 2), 0, "w", (9, 18))
    assert 0.99 * math.sqrt(6 / 9) < np.abs(w).max() <= math.sqrt(6 / 9)


@pytest.mark.parametrize("name", ["orthogonal", "identity"])
def test_a_bias_is_no_matrix(name: str) -> None:
    with pytest.raises(DlrunError, match="two axes") as caught:
        initializers.get(name)().check((3,))
    assert caught.value.code == "initializer-shape"


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(DlrunError) as caught:
        Uniform(low=1.0, high=1.0)
    assert caught.value.code == "empty-range"
