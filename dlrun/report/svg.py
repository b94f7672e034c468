"""Pictures as SVG text: no font is embedded, so that a reader's own fonts show every script; light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dlrun.report.text import escape

BLUE, ORANGE = "#0b5fa5", "#c2570c"
"""Right and wrong. Told apart by every kind of colour vision, and by their lightness."""

_STYLE = """\
.dl text{font:12px system-ui,"Noto Sans","Noto Sans CJK JP","DejaVu Sans",sans-serif;fill:#222}
.dl .bg{fill:#fff}.dl .soft{fill:#5a5f66}.dl .on{fill:#fff}.dl .small{font-size:10px}
.dl .axis{stroke:#767b82;fill:none}.dl .grid{stroke:#d5d8dc;fill:none}
.dl .guide{stroke:#5a5f66;stroke-dasharray:5 4;fill:none}
.dl .right{fill:#0b5fa5}.dl .wrong{fill:#c2570c}.dl .point{fill:#0b5fa5;fill-opacity:.45}
@media(prefers-color-scheme:dark){.dl text{fill:#e4e6e9}.dl .bg{fill:#16181c}.dl .soft{fill:#a9afb7}.dl .on{fill:#fff}
.dl .axis{stroke:#8b9199}.dl .grid{stroke:#34383e}.dl .guide{stroke:#a9afb7}
.dl .right{fill:#4a9fe0}.dl .wrong{fill:#f08a3c}.dl .point{fill:#4a9fe0}}"""


class Drawing:
    """A picture that grows shape by shape; positions are in pixels from the top left corner.

    Args:
        width: Of the whole.
        height: Of the whole.
        title: What it shows, for those who do not see it.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        size = f"{width:.0f} {height:.0f}"
        self._parts = [
            f'<svg class="dl" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{width:.0f}" '
            f'height="{height:.0f}" role="img">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            f'<rect class="bg" width="{width:.0f}" height="{height:.0f}"/>',
        ]

    def add(self, markup: str) -> None:
        """Anything else; the caller has escaped it."""
        self._parts.append(markup)

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "middle", turn: float = 0, kind: str = "", full: str = ""
    ) -> None:
        """Text at a point of its baseline; ``full`` shows when pointed at."""
        turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        said = f' class="{kind}"' if kind else ""
        tip = f"<title>{escape(full)}</title>" if full and full != text else ""
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{said}{turned}>{escape(text)}{tip}</text>')

    def rect(
        self, x: float, y: float, width: float, height: float, *, kind: str = "", fill: str = "", tip: str = ""
    ) -> None:
        """A rectangle of a class of the style, or with attributes of its own."""
        said = f' class="{kind}"' if kind else ""
        end = f"><title>{escape(tip)}</title></rect>" if tip else "/>"
        self.add(f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"{said}{fill}{end}')

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Straight lines from point to point."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.add(f'<polyline points="{path}" class="{kind}"/>')

    def encoded(self) -> bytes:
        """The whole file."""
        return ("\n".join([*self._parts, "</svg>"]) + "\n").encode()


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``count`` of them."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return [low]
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, first + 3 * count) if i * step <= high + step * 1e-9]


def tick_text(value: float) -> str:
    """A tick's number, short."""
    return f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:.4g}"


class Plane:
    """A plot's frame: turns values into positions and draws axes.

    Args:
        drawing: The picture.
        box: Left, top, right and bottom in pixels.
        x: Lowest and highest value across.
        y: Lowest and highest value upwards.
    """

    def __init__(
        self,
        drawing: Drawing,
        box: tuple[float, float, float, float],
        x: tuple[float, float],
        y: tuple[float, float],
    ) -> None:
        self.drawing = drawing
        self.left, self.top, self.right, self.bottom = box
        self._x, self._y = x, y

    def x(self, value: float) -> float:
        """Position across."""
        low, high = self._x
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Position downwards."""
        low, high = self._y
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def axes(self, x_label: str, y_label: str, *, left_room: float = 46) -> None:
        """Axes with round numbers, a faint grid and what they mean."""
        d = self.drawing
        for value in ticks(*self._y):
            d.line([(self.left, self.y(value)), (self.right, self.y(value))], "grid")
            d.text(self.left - 6, self.y(value) + 4, tick_text(value), anchor="end", kind="soft")
        for value in ticks(*self._x):
            d.line([(self.x(value), self.bottom), (self.x(value), self.bottom + 4)], "axis")
            d.text(self.x(value), self.bottom + 18, tick_text(value), kind="soft")
        d.line([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], "axis")
        d.text((self.left + self.right) / 2, self.bottom + 36, x_label)
        d.text(self.left - left_room, (self.top + self.bottom) / 2, y_label, turn=-90)
