"""Bringing another library's arrays into a model, and taking a model's weights back; with an account of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from dlrun.errors import DlrunError, DlrunErrors, did_you_mean
from dlrun.graph import Graph
from dlrun.graph.patterns import unmatched
from dlrun.weights.arrays import Arrays, InMemory
from dlrun.weights.layout import Fold, Peer, canonical_shape, to_canonical, to_peer
from dlrun.weights.names import NameMap, Rule, alternatives

_SHOWN = 6
_COUNTERS = ("num_batches_tracked", "position_ids", "attention.masked_bias")
"""Endings of arrays that are no weights."""


@dataclass
class Account:
    """What became of each weight.

    Args:
        origin: Where the arrays came from.
        map: The name map used.
        loaded: Canonical names that got a value.
        skipped: Those that the recipe leaves out.
        missing: Those that the file lacks, with the name that was looked for (or "").
        mismatched: Those of another shape: canonical name, shape wanted, name and shape found.
        unused: Arrays of the file that the model has no place for.
    """

    origin: str
    map: str
    loaded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    mismatched: list[tuple[str, tuple[int, ...], str, tuple[int, ...]]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Weights of the model."""
        return len(self.loaded) + len(self.skipped) + len(self.missing) + len(self.mismatched)

    def lines(self) -> list[str]:
        """The account in a few lines of text."""
        said = [f"{len(self.loaded)} of {self.total} weights from {self.origin} (names: {self.map})"]
        said += self.misfits(", initial value kept")
        if self.skipped:
            said.append(f"skipped as the recipe says: {_few([f'`{n}`' for n in self.skipped])}")
        return said + self.leftovers()

    def misfits(self, so: str = "") -> list[str]:
        """Which weights the file has in another shape or not at all; ``so`` says what became of them."""
        said = []
        if self.mismatched:
            shapes = [f"`{n}` {s} is {t} {u} there" for n, s, t, u in self.mismatched]
            said.append(f"other shape{so}: {_few(shapes)}")
        if self.missing:
            said.append(f"not in the file{so}: {_few([f'`{n}`' for n in self.missing])}")
        return said

    def leftovers(self) -> list[str]:
        """Which arrays the model has no place for."""
        return [f"in the file but not in the model: {_few([f'`{n}`' for n in self.unused])}"] if self.unused else []

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "origin": self.origin,
            "map": self.map,
            "loaded": self.loaded,
            "skipped": self.skipped,
            "missing": self.missing,
            "mismatched": [
                {"name": n, "shape": list(s), "there": t, "shape_there": list(u)} for n, s, t, u in self.mismatched
            ],
            "unused": self.unused,
        }


def load(
    graph: Graph,
    arrays: Arrays | Mapping[str, np.ndarray],
    map: str | Mapping[str, Any] = "auto",
    *,
    partial: bool = False,
    skip: Sequence[str] = (),
) -> tuple[dict[str, np.ndarray], Account]:
    """Canonical weights from another library's arrays.

    Args:
        graph: The model.
        arrays: The file, or its arrays by name.
        map: As ``weights.map`` of a recipe.
        partial: Whether weights may be missing or have another shape.
        skip: Patterns of weights that are not loaded.

    Returns:
        Values by canonical name, in canonical layout, and what became of each weight.

    Raises:
        DlrunError: ``unknown-map``, ``no-map-fits``, ``weights-type``, ``non-finite-weights``; ``weights-mismatch``
            unless ``partial``; DlrunErrors: ``unmatched-pattern``.
    """
    given = arrays if isinstance(arrays, Arrays) else InMemory(arrays)
    account, wanted = plan_loading(graph, given, map, partial=partial, skip=skip)
    shapes = {name: weight.shape for name, weight in graph.weights()}
    values = {}
    for name, (peer, found, folded) in wanted.items():
        value = to_canonical(given.read(found), peer, shapes[name])
        assert value is not None, name  # its shape was looked at
        if peer.fold is not None and folded is not None:
            other = given.read(folded)
            value = value + peer.fold.factor * (other if peer.fold.rows is None else other[0])
        if not np.isfinite(value).all():
            raise DlrunError(
                "non-finite-weights",
                f"`{found}` of {given.origin} has numbers that are infinite or none at all (NaN).",
                path=("model", "weights"),
                hint=f"Take a file from before training diverged, or leave it out: `skip: [{name}]`.",
            )
        values[name] = value
    return values, account


Wanted = dict[str, tuple[Peer, str, str | None]]
"""Canonical names to load: where each stands, what the file calls it, and what it calls an array that joins it."""


def plan_loading(
    graph: Graph, arrays: Arrays, map: str | Mapping[str, Any], *, partial: bool, skip: Sequence[str]
) -> tuple[Account, Wanted]:
    """What ``load`` will do, from names and shapes alone."""
    check_wanted(graph, map, skip)
    chosen = _chosen(graph, arrays, map)
    absent = list(chosen.absent(graph, arrays, lambda name: _found(name, arrays, chosen) is not None, skip))
    if absent:
        raise DlrunErrors(absent)
    account, wanted = _matched(graph, arrays, chosen, skip)
    if not account.loaded:
        raise _nothing(graph, arrays, account)
    if not partial and (account.missing or account.mismatched):
        raise DlrunError(
            "weights-mismatch",
            f"{arrays.origin} does not have every weight of the model, so nothing is loaded: "
            + "; ".join([*account.misfits(), *account.leftovers()])
            + ".",
            path=("model", "weights"),
            hint="Set `weights.partial: true` to keep initial values there, or name them in `weights.skip`.",
        )
    for name, (_, *used) in wanted.items():
        for theirs in filter(None, used):
            _require_float(arrays, name, theirs)
    return account, wanted


def check_wanted(graph: Graph, map: str | Mapping[str, Any], skip: Sequence[str]) -> None:
    """What can be said to be wrong with a recipe's names without the file.

    Raises:
        DlrunError: ``unknown-map``; DlrunErrors: ``unmatched-pattern``.
    """
    errors = [*unmatched([(pattern, ("model", "weights", "skip", i)) for i, pattern in enumerate(skip)], graph)]
    if map != "auto":
        errors += _named(map).mistakes(graph)
    if errors:
        raise DlrunErrors(errors)


def _require_float(arrays: Arrays, name: str, theirs: str) -> None:
    kind = arrays.types[theirs]
    if not kind.startswith(("float", "bfloat")):
        raise DlrunError(
            "weights-type",
            f"`{name}` is `{theirs}` of {kind} numbers in {arrays.origin}; weights are floating-point numbers.",
            path=("model", "weights"),
            hint=f"Save the weights as float32, not quantised, or leave them out: `skip: [{name}]`.",
        )


def export(graph: Graph, weights: Mapping[str, np.ndarray], map: str | Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Canonical weights under another library's names, in its layout.

    Args:
        graph: The model.
        weights: By canonical name.
        map: The name of a map, or a mapping as in a recipe.

    Raises:
        DlrunError: ``unknown-map``; ``weights-mismatch`` for weights that the map has no name for;
            DlrunErrors: ``unmatched-pattern``.
    """
    check_wanted(graph, map, ())
    peers = _named(map).peers(graph)
    nameless = [name for name in weights if name not in peers]
    if nameless:
        raise DlrunError(
            "weights-mismatch",
            f"the map `{map}` has no name for {_few([f'`{n}`' for n in nameless])}.",
            hint="Leave them out, or use the map of this architecture.",
        )
    parts: dict[str, list[tuple[int, str]]] = {}
    for name in weights:
        peer = peers[name]
        parts.setdefault(peer.name, []).append((peer.part[0] if peer.part else 0, name))
    found = {}
    for theirs, names in parts.items():
        ordered = [name for _, name in sorted(names)]
        peer = peers[ordered[0]]
        found[theirs] = to_peer([np.asarray(weights[name]) for name in ordered], peer)
        if peer.fold is not None:
            last = np.shape(weights[ordered[0]])[-1:]
            rows = () if peer.fold.rows is None else (peer.fold.rows,)
            found[peer.fold.name] = np.zeros((*rows, *last), found[theirs].dtype)
    return found


def _chosen(graph: Graph, arrays: Arrays, map: str | Mapping[str, Any]) -> NameMap:
    if map != "auto":
        return _named(map)
    from dlrun.weights.maps import MAPS

    candidates = [_named("canonical"), *MAPS.values()]
    hits = [len(_matched(graph, arrays, candidate, ())[0].loaded) for candidate in candidates]
    return candidates[hits.index(max(hits))]


def _named(map: str | Mapping[str, Any]) -> NameMap:
    from dlrun.weights.maps import CANONICAL, MAPS, custom

    if not isinstance(map, str):
        return custom(map)
    if map == CANONICAL.name:
        return CANONICAL
    if map not in MAPS:
        names = ["auto", CANONICAL.name, *MAPS]
        raise DlrunError(
            "unknown-map",
            f"`{map}` is not a name map.",
            path=("model", "weights", "map"),
            hint=did_you_mean(map, names, "Valid: " + ", ".join(f"`{n}`" for n in names) + "."),
        )
    return MAPS[map]


def _matched(graph: Graph, arrays: Arrays, map: NameMap, skip: Sequence[str]) -> tuple[Account, Wanted]:
    peers = map.peers(graph)
    account, wanted = Account(arrays.origin, map.name), {}
    used: set[str] = set()
    for name, weight in graph.weights():
        if any(fnmatchcase(name, pattern) for pattern in skip):
            account.skipped.append(name)
            continue
        peer = peers.get(name)
        found = None if peer is None else _found(peer.name, arrays, map)
        if peer is None or found is None:
            account.missing[name] = peer.name if peer is not None else ""
            continue
        shape = arrays.shapes[found]
        if not _fits(shape, peer, weight.shape):
            account.mismatched.append((name, weight.shape, found, shape))
            used.add(found)
            continue
        folded = None if peer.fold is None else _found(peer.fold.name, arrays, map)
        used |= {found, *(() if folded is None else (folded,))}
        if peer.fold is not None and folded is not None and not _joins(arrays.shapes[folded], peer.fold, weight.shape):
            account.mismatched.append((name, weight.shape, folded, arrays.shapes[folded]))
            continue
        account.loaded.append(name)
        wanted[name] = (peer, found, folded)
    account.unused = [name for name in arrays if name not in used and not name.endswith(_COUNTERS)]
    return account, wanted


def _found(name: str, arrays: Arrays, map: NameMap) -> str | None:
    return next((n for n in alternatives(name, map.optional, map.older) if n in arrays), None)


def _joins(theirs: tuple[int, ...], fold: Fold, shape: tuple[int, ...]) -> bool:
    if fold.rows is None:
        return theirs == shape[-1:]
    return len(theirs) == 2 and theirs[0] > 0 and theirs[1:] == shape[-1:]


def _fits(theirs: tuple[int, ...], peer: Peer, shape: tuple[int, ...]) -> bool:
    if peer.part is not None:
        if not theirs or theirs[0] % peer.part[1]:
            return False
        theirs = (theirs[0] // peer.part[1], *theirs[1:])
    return canonical_shape(theirs, peer.turn, shape)


def _nothing(graph: Graph, arrays: Arrays, account: Account) -> DlrunError:
    ours = [f"`{name}`" for name, _ in graph.weights()]
    if account.mismatched:
        name, shape, found, there = account.mismatched[0]
        example = f"`{name}` {shape} is `{found}` {there} there"
    else:
        example = f"the model has {_few(ours, 2)}, the file {_few([f'`{n}`' for n in arrays], 2)}"
    return DlrunError(
        "no-map-fits",
        f"no weight of the model is in {arrays.origin}: {example}.",
        path=("model", "weights", "map"),
        hint="Say which layer is which: `map: {conv2d_1: features.0}`, or name a map.",
    )


def _few(items: Sequence[str], shown: int = _SHOWN) -> str:
    return ", ".join(items[:shown]) + (f" and {len(items) - shown} more" if len(items) > shown else "")


__all__ = ["Account", "Rule", "export", "load", "plan_loading"]
