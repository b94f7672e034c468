"""Names of published files, one module per library, and those that a recipe writes itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlrun.graph import Graph
from dlrun.weights.layout import Peer
from dlrun.weights.maps import huggingface, keras_files, torch_files, torchvision
from dlrun.weights.names import NameMap, leaf_of, turn_of

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
        for ours, theirs in self.written:
            pattern = re.compile("(.*)".join(map(re.escape, ours.split("*"))))
            for node in graph.nodes:
                for weight in node.weights:
                    name = f"{node.name}.{weight.name}"
                    turn = turn_of(node, weight) if self.style == "torch" else "same"
                    leaf = leaf_of(node, weight, self.style)
                    joint = "." if self.style == "torch" else "/"
                    if leaf is not None and (layer := pattern.fullmatch(node.name)):
                        found.setdefault(name, Peer(f"{_filled(theirs, layer.groups())}{joint}{leaf}", turn))
                    elif whole := pattern.fullmatch(name):
                        found.setdefault(name, Peer(_filled(theirs, whole.groups()), turn))
        return found


def _filled(template: str, texts: tuple[str | Any, ...]) -> str:
    for text in texts:
        template = template.replace("*", text, 1)
    return template


def custom(written: Mapping[str, Any]) -> NameMap:
    """The map that a recipe writes: `{conv2d_1: features.0, "block*": "layer*"}`."""
    pairs = tuple((str(ours), str(theirs)) for ours, theirs in written.items())
    style = "keras" if any("/" in theirs for _, theirs in pairs) else "torch"
    return Custom("the recipe's own", style=style, written=pairs)  # type: ignore[arg-type]
