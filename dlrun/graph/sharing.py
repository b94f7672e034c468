"""Layers made of several that share their weights part by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from dlrun.errors import DlrunError, Path
from dlrun.graph.graph import Node
from dlrun.graph.layer import Layer, Weight


def mismatch(what: str, path: Path = ()) -> DlrunError:
    """A ``share-mismatch``."""
    return DlrunError(
        "share-mismatch",
        what,
        path=(*path, "share"),
        hint="Layers that share weights must declare the same ones, of the same shapes.",
    )


def listed(weights: Sequence[Weight]) -> str:
    """Names and shapes of weights, for a message."""
    return ", ".join(f"`{w.name}` {w.shape}" for w in weights) or "none"


def same(mine: Sequence[Weight], theirs: Sequence[Weight]) -> bool:
    """Whether two layers declare the same weights, and any at all."""
    shapes = {w.name: w.shape for w in mine}
    return bool(shapes) and shapes == {w.name: w.shape for w in theirs}


def held_here(owner: str, share: str) -> DlrunError:
    """What is said of a layer that is not to train weights which are trained elsewhere."""
    return DlrunError(
        "contradiction",
        f"`trainable: false` beside `share: {share}`: its weights are those of `{owner}`, which are trained.",
        path=("trainable",),
        hint=f"Set `trainable: false` on `{owner}`, or leave it out here.",
    )


def tied(nodes: Sequence[Node], start: int, mine: str, theirs: str, spec: Layer, held: bool) -> list[Node]:
    """The nodes, those of one composite with the weights of another's parts of the same names.

    Args:
        nodes: All so far.
        start: Where those of the composite that shares begin; they are the last.
        mine: Its name.
        theirs: The name of the composite whose weights it uses.
        spec: The composite that shares.
        held: Whether a composite around it is not trained.

    Raises:
        DlrunError: ``share-mismatch`` and ``contradiction``, at their places in the composite or in a part.
    """
    owners, own = _parts(nodes[:start], theirs), _parts(nodes[start:], mine)
    if not own:
        raise mismatch(f"no layer of this `{spec.kind}` has weights that could be shared.")
    for part in (*own, *owners):
        if part not in own or part not in owners:
            inside, outside = (theirs, mine) if part in owners else (mine, theirs)
            raise mismatch(f"`{inside}` has the weights of `{part}`, but `{outside}` has no such part.")
    roots = {mine + "." + part: node.shares or node.name for part, node in owners.items()}
    found: list[Node] = []
    for node in nodes[start:]:
        if f"{node.name}" not in roots:
            found.append(node)
            continue
        owner = owners[node.name[len(mine) + 1 :]]
        needed, there = (*node.weights, *node.shared), (*owner.weights, *owner.shared)
        if not same(needed, there):
            raise mismatch(f"`{node.name}` needs the weights {listed(needed)}, but `{owner.name}` has {listed(there)}.")
        root = roots[node.name]
        if node.shares is not None and roots.get(node.shares, node.shares) != root:
            raise mismatch(
                f"`{node.name}` has the weights of `{node.shares}`, but `share: {spec.share}` means those of `{root}`.",
                node.path,
            )
        trained = owner.layer.trainable
        if trained and not spec.trainable:
            raise held_here(theirs, str(spec.share))
        if trained and not node.layer.trainable and not held and node.shares is None:
            error = held_here(root, str(spec.share))
            error.path = (*node.path, *error.path)
            raise error
        layer = dataclasses.replace(node.layer, trainable=trained)
        kept = {w.name: w.trainable for w in there}
        shared = tuple(dataclasses.replace(w, trainable=kept[w.name]) for w in needed)
        found.append(dataclasses.replace(node, layer=layer, weights=(), shares=root, shared=shared))
    return [*nodes[:start], *found]


def _parts(nodes: Sequence[Node], scope: str) -> dict[str, Node]:
    """The layers of a composite that have weights, by their names within it."""
    inside = [node for node in nodes if node.name.startswith(scope + ".")]
    return {node.name[len(scope) + 1 :]: node for node in inside if node.weights or node.shared}
