"""What is said of one sample's classes."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.tasks.classification import probabilities


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_single_logit_is_that_of_the_second_class(shape: tuple[int, ...]) -> None:
    np.testing.assert_allclose(probabilities(np.full(shape, np.log(3))), [0.25, 0.75], rtol=1e-15)
    np.testing.assert_array_equal(probabilities(np.full(shape, -1e4)), [1, 0])


def test_several_logits_are_those_of_all_classes() -> None:
    np.testing.assert_allclose(probabilities(np.log([1.0, 2.0, 5.0])), [0.125, 0.25, 0.625], rtol=1e-15)
