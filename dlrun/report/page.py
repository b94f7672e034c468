"""Parts of a page: HTML that needs nothing beside it, no script and no network, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from dlrun.report.text import escape, number

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --soft: #5a5f66; --rule: #d5d8dc }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e9; --paper: #16181c; --soft: #a9afb7; --rule: #34383e } }
body { font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK JP", sans-serif; margin: 2rem auto; max-width: 66rem;
  padding: 0 1rem; color: var(--ink); background: var(--paper) }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--rule) }
.wide { overflow-x: auto; margin: .6rem 0 1.4rem }
table { border-collapse: collapse }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; white-space: nowrap }
th, td { padding: .15rem .9rem .15rem 0; text-align: right; font-variant-numeric: tabular-nums }
th { border-bottom: 1px solid var(--soft); vertical-align: bottom } td { border-bottom: 1px solid var(--rule) }
th.words, td.words { text-align: left; overflow-wrap: anywhere }
figure { margin: .6rem 0 1.4rem } figcaption, .soft { color: var(--soft) } figcaption { max-width: 32rem }
figcaption b { color: var(--ink) }
svg { max-width: 100%; height: auto }
.side { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem }
.samples figure { margin: 0; font-size: .85rem; line-height: 1.35; overflow-wrap: anywhere }
.samples img { width: 8rem; height: 8rem; object-fit: contain; background: #8884; display: block; margin-bottom: .3rem }
.samples img.small { image-rendering: pixelated } .samples .values { font: .78rem/1.35 ui-monospace, monospace }
code { font-size: 90%; overflow-wrap: anywhere } details { margin-bottom: 1.4rem }
"""


def page(title: str, parts: Iterable[str], style: str = "") -> bytes:
    """A page of parts made by the functions below, and by those whose ``style`` is given."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head><body>"
    )
    return "\n".join([head, f"<h1>{escape(title)}</h1>", *parts, "</body></html>", ""]).encode()


def heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, *, soft: bool = False) -> str:
    """A paragraph."""
    kind = ' class="soft"' if soft else ""
    return f"<p{kind}>{escape(text)}</p>"


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], words: Sequence[str]) -> str:
    """A table; columns named in ``words`` hold text, all others numbers, which are aligned right."""
    kinds = [' class="words"' if column in words else "" for column in columns]
    head = "".join(f'<th scope="col"{k}>{escape(c)}</th>' for k, c in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{escape(number(cell))}</td>" for k, cell in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    shown = f"<caption>{escape(caption)}</caption>"
    return f'<div class="wide"><table>{shown}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def folded(summary: str, content: str) -> str:
    """Content that opens on a click."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def picture(svg: bytes, caption: str) -> str:
    """An SVG in place, with what it shows."""
    return f'<figure class="wide">{svg.decode()}<figcaption>{escape(caption)}</figcaption></figure>'


def beside(parts: Iterable[str]) -> str:
    """Parts in a row, where there is room."""
    return f'<div class="side">{"".join(parts)}</div>'


def samples(cards: Iterable[str]) -> str:
    """Samples in a grid."""
    return f'<div class="samples">{"".join(cards)}</div>'


def image_card(png: bytes, size: tuple[int, int], lines: Sequence[str], described: str) -> str:
    """A sample as a picture, with lines of text below it; pixels of small ones are to be seen."""
    data = base64.b64encode(png).decode()
    small = ' class="small"' if max(size) <= 64 else ""
    return (
        f'<figure><img{small} alt="{escape(described)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{_lines(lines)}</figcaption></figure>"
    )


def value_card(values: str, lines: Sequence[str]) -> str:
    """A sample as its values, with lines of text below it."""
    return f'<figure><div class="values">{escape(values)}</div><figcaption>{_lines(lines)}</figcaption></figure>'


def _lines(lines: Sequence[str]) -> str:
    first, *others = lines
    return "<br>".join([f"<b>{escape(first)}</b>", *map(escape, others)])
