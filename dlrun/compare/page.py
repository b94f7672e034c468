"""The one page of a comparison: HTML that needs nothing beside it."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } th, td { padding: .15rem .8rem .15rem 0; text-align: right }
th { border-bottom: 1px solid #999 } th:first-child, td:first-child { text-align: left }
.pass { color: #16722f } .fail { color: #b3261e; font-weight: bold } code { font-size: 90% }
svg { max-width: 100%; height: auto }
details { margin-bottom: 1.5rem }
"""

Row = Sequence[Any]


def page(title: str, parts: Iterable[str]) -> bytes:
    """A page of parts made by the functions below."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return "\n".join([head, f"<h1>{escape(title)}</h1>", *parts, "</html>", ""]).encode()


def heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{escape(text)}</h2>"


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
    return f"<table><tr>{head}</tr>\n{body}</table>"


def folded(summary: str, content: str) -> str:
    """Content that opens on a click."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


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
