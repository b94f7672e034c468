"""Every described thing has its native form in each backend, or a written reason why not."""

from __future__ import annotations

import importlib
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


@pytest.mark.parametrize("what", DESCRIBED)
def test_it_is_lowered_or_said_with_others_or_refused_with_a_reason(what: str, lowering: ModuleType) -> None:
    cls = DESCRIBED[what]
    refused: dict[type, str] = getattr(lowering, "UNSUPPORTED", {})
    answers = [cls in lowering.lowered(), issubclass(cls, Composite), cls in refused]
    assert answers.count(True) == 1, f"{what} in {lowering.__name__}: lowered, composite, refused = {answers}"
    assert len(refused.get(cls, "a reason")) > 5


def test_nothing_is_lowered_that_nobody_described(lowering: ModuleType) -> None:
    assert lowering.lowered() <= set(DESCRIBED.values())
