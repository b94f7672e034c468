"""Initial weights: spread, independence of order, and names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.initializers import INITIALIZERS, check_initializer, fans, initialize

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


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_gives_float64_of_the_shape(name: str) -> None:
    w = initialize(name, (4, 5), 0, "w")
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
