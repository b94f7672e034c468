"""What an artefact says of the values it takes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dlrun.data.source import Place, Signature, sources
from dlrun.export.stored import from_8_bit, input_range
from dlrun.graph import TensorType

GREY, NUMBERS = TensorType((8, 8, 1)), TensorType((3,))


@pytest.mark.parametrize(
    ("x", "scale", "dtype", "known", "how"),
    [
        (GREY, 1 / 255, "uint8", (0, 255), None),
        (GREY, 1 / 16, "uint8", (0, 16), "round(v * 16 / 255)"),
        (GREY, 1 / 1.5, "float32", (0, 1.5), "v * 1.5 / 255"),
        (GREY, 1.0, "float32", None, None),
        (NUMBERS, 1 / 16, "uint8", (0, 16), None),
        (TensorType((7,), "int"), 1.0, "int64", None, None),
    ],
)
def test_range_of_stored_samples(x, scale, dtype, known, how):
    signature = Signature(x, TensorType((), "int"), 10, None, {"train": 100}, scale, dtype)
    assert input_range(signature) == (known and pytest.approx(known))
    assert from_8_bit(signature) == how


def test_it_is_what_prediction_does_to_an_image(tmp_path):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(values).save(tmp_path / "a.png")
    source = sources.get("digits")()
    signature = source.signature(Place(None, False))
    how = from_8_bit(signature)
    expected = [eval(how, {"v": int(v), "round": round}) for v in values.ravel()]
    assert source.read([tmp_path / "a.png"], signature).ravel().tolist() == expected
