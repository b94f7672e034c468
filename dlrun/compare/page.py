"""The one page of a comparison: HTML that needs nothing beside it."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from dlrun.report.page import folded, heading
from dlrun.report.page import page as framed

__all__ = ["escape", "folded", "heading", "number", "page", "paragraph", "picture", "table"]

_STYLE = """
:root { --pass: #16722f; --fail: #b3261e }
@media (prefers-color-scheme: dark) { :root { --pass: #6cc784; --fail: #ff8a80 } }
th:first-child, td:first-child { text-align: left }
.pass { color: var(--pass) } .fail { color: var(--fail); font-weight: bold }
"""

Row = Sequence[Any]


def page(title: str, parts: Iterable[str]) -> bytes:
    """A page of parts made by the functions below."""
    return framed(title, parts, _STYLE)


def paragraph(text: str) -> str:
    """A paragraph; the words pass and fail are coloured when they begin it."""
    first, _, rest = text.partition(" ")
    word = first.rstrip(":.")
    if word in ("pass", "fail"):
        return f'<p><span class="{word}">{escape(first)}</span> {escape(rest)}</p>'
    return f"<p>{escape(text)}</p>"


def table(columns: Row, rows: Iterable[Row]) -> str:
    """A table."""
    head = "".join(f"<th>{escape(str(c))}</th>" for c in columns)
    body = "".join("<tr>" + "".join(_cell(c) for c in row) + "</tr>\n" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>\n{body}</table></div>'


def picture(svg: bytes) -> str:
    """An SVG in place."""
    text = svg.decode()
    return text[text.index("<svg") :]


def escape(text: str) -> str:
    """Text as HTML shows it, backquoted parts as code."""
    parts = html.escape(text, quote=False).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 and i < len(parts) - 1 else p for i, p in enumerate(parts))


def number(value: Any) -> str:
    """A measurement as a person reads it."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return "not a number"
        return "0" if value == 0 else f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.6g}"
    return "" if value is None else str(value)


def _cell(value: Any) -> str:
    text = escape(number(value))
    return f'<td class="{text}">{text}</td>' if text in ("pass", "fail") else f"<td>{text}</td>"
