"""Mistakes from inside an architecture name what its user can change."""

from __future__ import annotations

import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import TensorType, build_model, models


def refused(name: str, shape: tuple[int, ...], **fields: object) -> list[tuple[str, tuple[str | int, ...], str]]:
    with pytest.raises(DlrunErrors) as caught:
        build_model(models.get(name)(**fields), TensorType(shape), 3)
    return [(e.code, e.path, e.hint or "") for e in caught.value.errors]


def test_the_field_whose_default_would_do_is_to_blame() -> None:
    ((code, path, hint),) = refused("unet", (16, 16, 3), depth=6, filters=4)
    assert code == "window-too-large" and path == ("model", "depth")
    assert "It comes from `unet` with `depth: 6`;" in hint and "padding" not in hint and "dlrun layers unet" in hint


def test_where_no_field_alone_is_to_blame_all_that_were_set_are_named() -> None:
    ((_, path, hint),) = refused("unet", (8, 8, 3), depth=6, filters=4)
    assert path == ("model",) and "`depth: 6`, `filters: 4`" in hint
    ((_, path, hint),) = refused("unet", (8, 8, 3))
    assert path == ("model",) and "`depth`" in hint and "padding" not in hint


def test_an_activation_that_is_none_keeps_its_own_hint() -> None:
    found = refused("mlp", (8,), activation="relux")
    assert {code for code, _, _ in found} == {"unknown-activation"}
    assert found[0][1] == ("model", "activation") and "`relu" in found[0][2]


def test_patches_that_fit_are_named() -> None:
    ((code, path, hint),) = refused("vit", (12, 18, 3), patch=5)
    assert code == "patch-not-dividing" and path == ("model", "patch")
    assert "`1`, `2`, `3`, `6`" in hint and "resize" not in hint
