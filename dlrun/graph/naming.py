"""Names of layers while a graph is built: who has which, who means whom, and what is wrong with that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dlrun.errors import DlrunError, Path, did_you_mean, dotted
from dlrun.graph.draft import Draft
from dlrun.graph.graph import INPUT
from dlrun.graph.layer import Layer, layers
from dlrun.graph.tensor import TensorType

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NOWHERE = ""
"""Stands for an input that no layer is known for."""


class Names:
    """The names given so far, and the mistakes found."""

    def __init__(self) -> None:
        self.errors: list[DlrunError] = []
        self.all_read = True
        """Whether all that layers read is known, so that what nobody reads is a mistake."""
        self.hidden: list[str] = []
        """Beginnings of names that layers with mistakes may have given."""
        self._any_name = self._any_automatic = False
        self._types: dict[str, TensorType | None] = {}
        self._places: dict[str, Path] = {}
        self._count: dict[str, int] = {}
        self._scopes: list[str] = []
        self._alias: dict[str, str] = {}
        self._sharable: list[str] = []
        self._missed: list[tuple[DlrunError, str, list[str]]] = []
        """References that found nothing: the mistake, the name, and where it was looked for."""

    @contextmanager
    def _collected(self, path: Path) -> Iterator[None]:
        """Collect the mistake that the block raises; its place is below ``path``."""
        try:
            yield
        except DlrunError as error:
            error.path = (*path, *error.path) if error.path[: len(path)] != path else error.path
            self.errors.append(error)

    def unsure(self, spec: Draft, name: str) -> None:
        """Note which names and readings a layer with mistakes may hide."""
        self._any_name |= spec.anonymous or "name" in spec.unknown
        self._any_automatic |= spec.of is None and spec.name is None
        if spec.nested:
            self.hidden.append(name + ".")
        if spec.nested or "activation" in spec.unknown:
            self.hidden.append(name + "_")
        if spec.nested or spec.anonymous or "inputs" in spec.unknown:
            self.all_read = False

    def mistakes(self) -> list[DlrunError]:
        """All mistakes; of a name that was given further down, this is said."""
        for error, wanted, candidates in self._missed:
            place = next((self._places[c] for c in candidates if c in self._places), None)
            if place is None:
                continue
            verb = "shares the weights of" if error.code == "unknown-share" else "reads"
            if error.path[: len(place)] == place:
                error.message = f"`{wanted}` {verb} itself; a layer {verb} earlier ones only."
                error.hint = "Name a layer that stands above it."
            else:
                error.message = f"`{wanted}` is defined later, at `{dotted(place)}`; a layer {verb} earlier ones only."
                error.hint = f"Move `{wanted}` up, or name a layer that stands above."
        return self.errors

    def output_names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The nodes that ``model.outputs`` means; collects names that no layer has."""
        found = []
        for i, name in enumerate(wanted):
            actual = self._alias.get(name, name)
            if actual in self._types and actual != INPUT:
                found.append(actual)
                continue
            self.all_read = False
            if self._excused([name]):
                continue
            self.errors.append(
                DlrunError(
                    "unknown-output",
                    f"`{name}` names no layer of the model.",
                    path=("model", "outputs", i),
                    hint=did_you_mean(name, [n for n in (*self._types, *self._alias) if n != INPUT]),
                )
            )
        return tuple(found)

    def _name(self, spec: Layer, path: Path) -> str:
        scope = "".join(s + "." for s in self._scopes)
        if spec.name == INPUT:
            self.errors.append(
                DlrunError(
                    "invalid-name",
                    f"`{INPUT}` is the name of the model's data, so no layer can have it.",
                    path=(*path, "name"),
                    hint="Choose another name.",
                )
            )
            self.all_read, self._types[INPUT] = False, None  # who reads it from here on may mean this layer
        elif spec.name is not None:
            if not _NAME.fullmatch(spec.name):
                self.errors.append(
                    DlrunError(
                        "invalid-name",
                        f"`{spec.name}` cannot name a layer; names are letters, digits and `_`.",
                        path=(*path, "name"),
                    )
                )
            return self._claim(scope + spec.name, (*path, "name"))
        while True:
            key = scope + spec.kind
            self._count[key] = self._count.get(key, 0) + 1
            name = f"{key}_{self._count[key]}"
            if name not in self._types and name not in self._alias:
                return name

    def _claim(self, name: str, path: Path) -> str:
        if name in self._types or name in self._alias:
            first = self._places.get(name)
            self.all_read = False
            self.errors.append(
                DlrunError(
                    "duplicate-name",
                    f"two layers are called `{name.rsplit('.', 1)[-1]}`; names are unique.",
                    path=path,
                    hint=f"The first is `{dotted(first)}`; choose another name." if first else None,
                )
            )
        return name

    def _candidates(self, wanted: str) -> list[str]:
        """What a name may mean, from the innermost scope outwards."""
        return ["".join(s + "." for s in self._scopes[:k]) + wanted for k in range(len(self._scopes), -1, -1)]

    def _excused(self, candidates: Sequence[str]) -> bool:
        """Whether a name that is not known may be that of a layer with mistakes."""
        kind, _, number = candidates[-1].rpartition("_")
        automatic = self._any_automatic and number.isdigit() and kind.rpartition(".")[2] in layers
        hidden = any(c.startswith(h) for c in candidates for h in self.hidden)
        return self._any_name or automatic or hidden

    def _resolve(self, inputs: Sequence[str], path: Path) -> tuple[str, ...]:
        """The nodes that ``inputs`` means, ``NOWHERE`` where there is none; collects what no layer is called."""
        found: list[str] = []
        for i, wanted in enumerate(inputs):
            candidates = self._candidates(wanted)
            name = next((self._alias.get(c, c) for c in candidates if c in self._types or c in self._alias), None)
            found.append(NOWHERE if name is None else name)
            if name is not None:
                continue
            self.all_read = False  # the layer that is meant is not unused
            if not self._excused(candidates):
                error = DlrunError(
                    "unknown-input",
                    f"`{wanted}` names no earlier layer.",
                    path=(*path, "inputs", i),
                    hint=did_you_mean(
                        wanted,
                        [*self._types, *self._alias],
                        "Layers can be read once they stand above; give them a `name`.",
                    ),
                )
                self.errors.append(error)
                self._missed.append((error, wanted, candidates))
        return tuple(found)

    def _owner_name(self, spec: Layer, own: str) -> str | None:
        """The layer whose weights the one called ``own`` shares; None if it has its own, or if it may share those of
        a layer with mistakes.

        Raises:
            DlrunError: ``unknown-share``.
        """
        if spec.share is None:
            return None
        candidates = self._candidates(spec.share)
        named = (c for c in candidates if (c in self._types or c in self._alias) and c != INPUT)
        name = next(named, None)
        if name is None and not self._excused(candidates):
            error = DlrunError(
                "unknown-share",
                f"`{spec.share}` names no earlier layer, so its weights cannot be shared.",
                path=("share",),
                hint=did_you_mean(
                    spec.share,
                    [n for n in self._sharable if not n.startswith(own + ".")],
                    "Give that layer a `name`.",
                ),
            )
            self._missed.append((error, spec.share, candidates))
            raise error
        return name
