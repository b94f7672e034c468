"""What is said of the schedule when a run goes on for another number of epochs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dlrun.run.resume import horizon_note
from dlrun.schedules import schedules


def note(schedule: str, **fields: Any) -> str | None:
    optimizer = SimpleNamespace(learning_rate=0.001)
    recipe = SimpleNamespace(optimizer=optimizer, schedule=schedules.get(schedule)(**fields))
    plan: Any = SimpleNamespace(total_steps=15, steps_per_epoch=5, recipe=recipe)
    loaded: Any = SimpleNamespace(facts={"total_steps": 10}, position=SimpleNamespace(step=5))
    return horizon_note(plan, loaded)


@pytest.mark.parametrize(("schedule", "fields"), [("constant", {}), ("multi_step", {"milestones": (2,)})])
def test_nothing_where_the_rate_stays(schedule: str, fields: dict[str, Any]) -> None:
    assert note(schedule, **fields) is None


def test_the_rate_before_and_after() -> None:
    assert "now spans 15 updates instead of 10: the learning rate of update 6 is" in str(note("cosine"))
    assert "is 0.001 (was 0.001)" in str(note("cosine", warmup_steps=5)), "it will differ further on"
