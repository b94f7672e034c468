"""Every described thing has its native form in each backend, or a written reason why not."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from types import ModuleType

import pytest

from dlrun.backends import BACKENDS
from dlrun.graph import Composite, layers
from dlrun.losses import losses
from dlrun.optimizers import optimizers

DESCRIBED = {
    f"{role}-{kind}": registry.get(kind)
    for role, registry in (("layer", layers), ("loss", losses), ("optimizer", optimizers))
    for kind in registry
}


@pytest.fixture(params=BACKENDS)
def lowering(request: pytest.FixtureRequest) -> ModuleType:
    """A backend's table of lowerings."""
    pytest.importorskip(request.param)
    importlib.import_module(f"dlrun.backends.{request.param}")
    return importlib.import_module(f"dlrun.backends.{request.param}.lowering")


def answers(cls: type, lowered: Collection[type], refused: Mapping[type, str]) -> list[str]:
    """All that a backend says of a class; a refusal counts by its reason."""
    said = {
        "lowered": cls in lowered,
        "composite": issubclass(cls, Composite),
        "refused": len(refused.get(cls, "")) > 5,
    }
    return [answer for answer, given in said.items() if given]


def test_every_answer_is_counted() -> None:
    """The ruler itself: no backend has a gap now, the next may."""
    dense, separable = layers.get("dense"), layers.get("separable_conv2d")
    assert answers(dense, {dense}, {}) == ["lowered"]
    assert answers(dense, {}, {dense: "no matrix product"}) == ["refused"]
    assert answers(dense, {}, {dense: ""}) == answers(dense, {separable}, {separable: "no reason"}) == []
    assert answers(separable, {separable}, {separable: "no reason"}) == ["lowered", "composite", "refused"]


@pytest.mark.parametrize("what", DESCRIBED)
def test_it_is_lowered_or_said_with_others_or_refused_with_a_reason(what: str, lowering: ModuleType) -> None:
    found = answers(DESCRIBED[what], lowering.lowered(), getattr(lowering, "UNSUPPORTED", {}))
    assert len(found) == 1, f"{what} in {lowering.__name__}: {found}"


def test_nothing_is_lowered_that_nobody_described(lowering: ModuleType) -> None:
    assert lowering.lowered() <= set(DESCRIBED.values())
