"""What is said of one sample's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrun.config import compose
from dlrun.errors import DlrunErrors
from dlrun.tasks.classification import probabilities


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_single_logit_is_that_of_the_second_class(shape: tuple[int, ...]) -> None:
    np.testing.assert_allclose(probabilities(np.full(shape, np.log(3))), [0.25, 0.75], rtol=1e-15)
    np.testing.assert_array_equal(probabilities(np.full(shape, -1e4)), [1, 0])


def test_several_logits_are_those_of_all_classes() -> None:
    np.testing.assert_allclose(probabilities(np.log([1.0, 2.0, 5.0])), [0.125, 0.25, 0.625], rtol=1e-15)


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    """As of a folder named one level too high."""
    for i in range(4):
        path = tmp_path / "data" / "train" / "cats" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    recipe = tmp_path / "r.yaml"
    recipe.write_text("""\
task: image_classification
data: {source: {name: image_folder, train: data/train, test: null, size: 4}, batch_size: 2}
model: {layers: [flatten, dense]}
""")
    with pytest.raises(DlrunErrors) as caught:
        assert compose([f"recipe={recipe}", f"data.root={tmp_path}"]).plan
    assert [e.code for e in caught.value.errors] == ["wrong-task"]
    assert "needs two classes or more" in str(caught.value)
