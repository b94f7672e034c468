"""Names of published files, one module per library, and those that a recipe writes itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dlrun.errors import DlrunError, did_you_mean
from dlrun.graph import Graph
from dlrun.weights.layout import Peer
from dlrun.weights.maps import huggingface, keras_files, torch_files, torchvision
from dlrun.weights.names import NameMap, leaf_of, orders_of, turn_of
from dlrun.weights.order import axis_orders

MAPS: dict[str, NameMap] = {
    one.name: one for module in (torchvision, huggingface, torch_files, keras_files) for one in module.MAPS
}
"""Every map that a recipe can name."""


@dataclass(frozen=True)
class Canonical(NameMap):
    """dlrun's own names and layout."""

    def peers(self, graph: Graph) -> dict[str, Peer]:
        return {name: Peer(name) for name, _ in graph.weights()}


CANONICAL = Canonical("canonical")


@dataclass(frozen=True)
class Custom(NameMap):
    """Names as a recipe writes them.

    Args:
        written: From this model's layers to the file's, or from weights to arrays; a ``*`` on the left stands for any
            text, and one on the right for what it stood for.
    """

    written: tuple[tuple[str, str], ...] = ()

    def peers(self, graph: Graph) -> dict[str, Peer]:
        found: dict[str, Peer] = {}
        for _, _, meant in self._entries(graph):
            found = meant | found
        return found

    def absent(
        self, graph: Graph, names: Iterable[str], has: Callable[[str], bool], skip: Sequence[str]
    ) -> Iterator[DlrunError]:
        names = list(names)
        for ours, theirs, meant in self._entries(graph):
            wanted = [p.name for name, p in meant.items() if not any(fnmatchcase(name, pattern) for pattern in skip)]
            if not wanted or any(map(has, wanted)):
                continue
            known = [*dict.fromkeys(re.split(r"[./][^./]*$", name)[0] for name in names), *names]
            looked = ", ".join(f"`{name}`" for name in wanted[:2])
            yield DlrunError(
                "unmatched-pattern",
                f"`{theirs}` in the map is nothing in the file, which has no array called {looked}.",
                path=("model", "weights", "map", ours),
                hint=did_you_mean(theirs, known, f"The file has {', '.join(f'`{n}`' for n in names[:12])}."),
            )

    def _entries(self, graph: Graph) -> Iterator[tuple[str, str, dict[str, Peer]]]:
        """Each entry as written, and where the weights that it means stand."""
        orders = orders_of(graph, self.style)
        for ours, theirs in self.written:
            found: dict[str, Peer] = {}
            pattern = _pattern(ours)
            for node in graph.nodes:
                for weight in node.weights:
                    name = f"{node.name}.{weight.name}"
                    turn = turn_of(node, weight) if self.style == "torch" else "same"
                    leaf = leaf_of(node, weight, self.style)
                    joint = "." if self.style == "torch" else "/"
                    rows, columns = axis_orders(node, weight, orders)
                    if leaf is not None and (layer := pattern.fullmatch(node.name)):
                        called = f"{_filled(theirs, layer.groups())}{joint}{leaf}"
                    elif whole := pattern.fullmatch(name):
                        called = _filled(theirs, whole.groups())
                    else:
                        continue
                    found[name] = Peer(called, turn, rows=rows, columns=columns)
            yield ours, theirs, found

    def mistakes(self, graph: Graph) -> Iterator[DlrunError]:
        layers = [node.name for node in graph.nodes if node.weights]
        names = [*layers, *(name for name, _ in graph.weights())]
        for ours, _ in self.written:
            if not any(_pattern(ours).fullmatch(name) for name in names):
                yield DlrunError(
                    "unmatched-pattern",
                    f"`{ours}` in the map is neither a layer with weights nor a weight of the model.",
                    path=("model", "weights", "map", ours),
                    hint=did_you_mean(ours, names, f"Layers: {', '.join(f'`{n}`' for n in layers[:12])}."),
                )


def _pattern(ours: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(map(re.escape, ours.split("*"))))


def _filled(template: str, texts: tuple[str | Any, ...]) -> str:
    for text in texts:
        template = template.replace("*", text, 1)
    return template


def custom(written: Mapping[str, Any]) -> NameMap:
    """The map that a recipe writes: `{conv2d_1: features.0, "block*": "layer*"}`."""
    pairs = tuple((str(ours), str(theirs)) for ours, theirs in written.items())
    style = "keras" if any("/" in theirs for _, theirs in pairs) else "torch"
    return Custom("the recipe's own", style=style, written=pairs)  # type: ignore[arg-type]
