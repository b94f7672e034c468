"""Counts in sentences."""

from __future__ import annotations

import pytest

from dlrun.data.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("sample",), "0 samples"),
        (1, ("sample",), "1 sample"),
        (2000, ("sample",), "2,000 samples"),
        (1, ("class", "classes"), "1 class"),
        (3, ("class", "classes"), "3 classes"),
    ],
)
def test_counted(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said
