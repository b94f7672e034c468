"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, one: str, several: str | None = None) -> str:
    """A count with what it counts: ``1 sample``, ``2,000 samples``.

    Args:
        number: How many.
        one: What one of them is called.
        several: What others are called; ``one`` with an s when left out.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"
