"""Names and numbers as a page or picture shows them, whatever characters they hold."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlrun.data.source import Column

_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
_UNFIT = re.compile("[^\t\n\r -~\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML has no place for, and control characters that HTML has none for."""


def escape(text: str) -> str:
    """Text for HTML and XML, also inside an attribute; what XML has no place for becomes U+FFFD."""
    return html.escape(_UNFIT.sub("\ufffd", text))


def width(text: str) -> float:
    """About how wide a text is, in font sizes."""
    return sum(_width(c) for c in text)


def _width(character: str) -> float:
    if unicodedata.combining(character) or character in _JOINERS:
        return 0.0
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.58


def shortened(text: str, limit: float) -> str:
    """The text, or its beginning with an ellipsis where it is wider than ``limit`` font sizes."""
    if width(text) <= limit:
        return text
    kept = ""
    for character in text:
        if width(kept) + _width(character) > limit - 0.8:
            break
        kept += character
    while kept and (kept[-1] in _JOINERS or unicodedata.combining(kept[-1])):
        kept = kept[:-1]  # a joined sign is kept whole or not at all
    return f"{kept}…"


def number(value: Any) -> str:
    """A measurement as a person reads it; nothing where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.4f}"


def cells(columns: Sequence[Column], values: np.ndarray, limit: int | None = None) -> list[str]:
    """The cells of a table's row as stored, (columns,), each with its column's name; the first ``limit`` of them."""
    pairs = list(zip(columns, values.tolist(), strict=True))[:limit]
    return [f"{column.name}: {_cell(column, value)}" for column, value in pairs]


def _cell(column: Column, value: float) -> str:
    if column.categories is None:
        return f"{value:g}"
    if value == 0:
        return "(unknown)"
    return f"#{value:.0f}" if column.buckets else column.categories[int(value) - 1]


def percent(share: float) -> str:
    """A share of one in percent; what is not all of it is never rounded up to 100 %."""
    if share < 1 and round(share * 100, 1) >= 100:
        return "> 99.9 %"
    return f"{share * 100:.1f} %"
