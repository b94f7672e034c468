"""From a list of layers to a verified graph; every mistake found is reported together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from dlrun.errors import DlrunError, DlrunErrors, Path, did_you_mean
from dlrun.graph.architecture import LayerList, Model
from dlrun.graph.graph import INPUT, Graph, Node
from dlrun.graph.layer import Composite, Layer, Weight, layers
from dlrun.graph.tensor import TensorType

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def build_graph(
    specs: Sequence[Layer], input_type: TensorType, path: Path = ("model", "layers"), outputs: Sequence[str] = ()
) -> Graph:
    """Wire ``specs`` into a graph, inferring every shape.

    Args:
        specs: Layers in the order written; each reads the one before unless it names ``inputs``.
        input_type: Type of the model's input, per sample.
        path: Where the list stands in the recipe.
        outputs: Names of the layers that are the model's outputs; the last one when left out.

    Raises:
        DlrunErrors: Every mistake found, each with its place.
    """
    builder = Builder(input_type)
    if not specs:
        raise DlrunErrors(
            [DlrunError("empty-model", "`model.layers` is empty; a model needs at least one layer.", path=path)]
        )
    builder.chain(specs, INPUT, path)
    return finished(builder, outputs)


def finished(builder: Builder, outputs: Sequence[str] = ()) -> Graph:
    """The graph of what a builder has collected.

    Raises:
        DlrunErrors: Every mistake found, each with its place.
    """
    names = builder.output_names(outputs)
    if builder.errors:
        raise DlrunErrors(_distinct(builder.errors))
    graph = Graph(builder.input_type, tuple(builder.nodes), names)
    unread = _unread(graph)
    if unread:
        raise DlrunErrors(
            [
                DlrunError(
                    "unused-layer",
                    f"`{node.name}` is read by no later layer.",
                    path=node.path,
                    hint="The output is the last layer's; name this one in the `inputs` of another, or remove it.",
                )
                for node in unread
            ]
        )
    return graph


def _distinct(errors: Sequence[DlrunError]) -> list[DlrunError]:
    """Without the repetitions that the rounds of a ``repeat`` bring."""
    return list({(e.code, e.path, e.message): e for e in reversed(errors)}.values())[::-1]


def _listed(weights: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"`{name}` {shape}" for name, shape in weights.items()) or "none"


def _unread(graph: Graph) -> list[Node]:
    read = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
    return [node for node in graph.nodes if node.name not in read]


MOST_LAYERS = 10_000
"""Beyond it a model is a slip of the pen, and no backend could build its graph."""


class Builder:
    """Collects nodes and mistakes while layers are added."""

    def __init__(self, input_type: TensorType) -> None:
        self.input_type = input_type
        self.nodes: list[Node] = []
        self.errors: list[DlrunError] = []
        self._types: dict[str, TensorType | None] = {INPUT: input_type}
        self._count: dict[str, int] = {}
        self._scopes: list[str] = []
        self._alias: dict[str, str] = {}
        self._held = 0
        """How many composites around the next layer are not trained."""

    def output_names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The nodes that ``model.outputs`` means; collects names that no layer has."""
        found = []
        for i, name in enumerate(wanted):
            actual = self._alias.get(name, name)
            if actual in self._types and actual != INPUT:
                found.append(actual)
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

    def chain(self, specs: Sequence[Layer], source: str, path: Path) -> str:
        """Add layers one after another, starting from the node ``source``; returns the last name."""
        for i, spec in enumerate(specs):
            source = self._add(spec, (source,), (*path, i, spec.kind))
        return source

    def add(self, kind: str, inputs: Sequence[str], path: Path = (), **fields: object) -> str:
        """Add one layer by kind (for composites and activations); returns its name."""
        return self._add(layers.get(kind)(**fields), tuple(inputs), path)  # type: ignore[arg-type]

    def _name(self, spec: Layer, path: Path) -> str:
        scope = "".join(s + "." for s in self._scopes)
        if spec.name is not None:
            if not _NAME.fullmatch(spec.name) or spec.name == INPUT:
                self.errors.append(
                    DlrunError(
                        "invalid-name",
                        f"`{spec.name}` cannot name a layer; names are letters, digits and `_`, not `{INPUT}`.",
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
            self.errors.append(
                DlrunError(
                    "duplicate-name",
                    f"two layers are called `{name.rsplit('.', 1)[-1]}`; names are unique.",
                    path=path,
                )
            )
        return name

    def _resolve(self, spec: Layer, before: tuple[str, ...], path: Path) -> tuple[str, ...] | None:
        if spec.inputs is None:
            return before
        found: list[str] = []
        for i, wanted in enumerate(spec.inputs):
            candidates = ["".join(s + "." for s in self._scopes[:k]) + wanted for k in range(len(self._scopes), -1, -1)]
            name = next((self._alias.get(c, c) for c in candidates if c in self._types or c in self._alias), None)
            if name is None:
                names = [n for n in (*self._types, *self._alias)]
                self.errors.append(
                    DlrunError(
                        "unknown-input",
                        f"`{wanted}` names no earlier layer.",
                        path=(*path, "inputs", i),
                        hint=did_you_mean(
                            wanted, names, "Layers can be read once they stand above; give them a `name`."
                        ),
                    )
                )
            else:
                found.append(name)
        return tuple(found) if len(found) == len(spec.inputs) else None

    def _add(self, spec: Layer, before: tuple[str, ...], path: Path, name: str | None = None) -> str:
        inputs = self._resolve(spec, before, path)
        name = self._name(spec, path) if name is None else self._claim(name, path)
        types = None if inputs is None else [self._types[i] for i in inputs]
        if inputs is None or types is None or any(t is None for t in types):
            self._types[name] = None
            return name
        known: list[TensorType] = [t for t in types if t is not None]
        if len(self.nodes) >= MOST_LAYERS:  # outside `try`: it ends the whole composite, however often that repeats
            raise DlrunError(
                "too-many-layers",
                f"the model has more than {MOST_LAYERS:,} layers.",
                path=path,
                hint="Lower `times` of a `repeat`.",
            )
        try:
            low, high = spec.arity
            if len(known) < low or (high is not None and len(known) > high):
                wants = f"{low}" if low == high else (f"at least {low}" if high is None else f"{low} to {high}")
                raise DlrunError(
                    "wrong-input-count",
                    f"`{spec.kind}` reads {wants} inputs, got {len(known)}.",
                    hint="Name them: `inputs: [first, second]`.",
                )
            if isinstance(spec, Composite):
                return self._expand(spec, name, inputs, path)
            output = spec.infer(*known)
            weights = spec.weights(*known)
            owner = self._owner(spec, weights)
        except DlrunError as error:
            error.path = (*path, *error.path) if error.path[: len(path)] != path else error.path
            self.errors.append(error)
            self._types[name] = None
            return name
        self._types[name] = output
        trainable = spec.trainable and not self._held if owner is None else owner.layer.trainable
        if trainable != spec.trainable:
            spec = dataclasses.replace(spec, trainable=trainable)
        if not trainable:
            weights = tuple(dataclasses.replace(w, trainable=False) for w in weights)
        own, shares, shared = (weights, None, ()) if owner is None else ((), owner.name, weights)
        self.nodes.append(Node(name, spec, inputs, tuple(known), output, own, path, shares, shared))
        activation = getattr(spec, "activation", None)
        if activation is not None:
            return self._activate(name, activation, path)
        return name

    def _owner(self, spec: Layer, weights: tuple[Weight, ...]) -> Node | None:
        """The node whose weights ``spec`` shares, or None.

        Raises:
            DlrunError: ``unknown-share``, ``share-mismatch`` and ``contradiction``.
        """
        if spec.share is None:
            return None
        nodes = {node.name: node for node in self.nodes}
        scopes = ["".join(s + "." for s in self._scopes[:k]) for k in range(len(self._scopes), -1, -1)]
        name = next((scope + spec.share for scope in scopes if scope + spec.share in nodes), None)
        if name is None:
            raise DlrunError(
                "unknown-share",
                f"`{spec.share}` names no earlier layer, so its weights cannot be shared.",
                path=("share",),
                hint=did_you_mean(spec.share, [n.name for n in self.nodes if n.weights], "Give that layer a `name`."),
            )
        owner = nodes[nodes[name].shares or name]
        theirs, mine = ({w.name: w.shape for w in ws} for ws in (owner.weights, weights))
        if theirs != mine or not mine:
            raise DlrunError(
                "share-mismatch",
                f"`{spec.kind}` needs the weights {_listed(mine)}, but `{spec.share}` has {_listed(theirs)}.",
                path=("share",),
                hint="Layers that share weights must declare the same ones, of the same shapes.",
            )
        if owner.layer.trainable and not spec.trainable:
            raise DlrunError(
                "contradiction",
                f"`trainable: false` beside `share: {spec.share}`: its weights are those of `{owner.name}`, which are "
                "trained.",
                path=("trainable",),
                hint=f"Set `trainable: false` on `{owner.name}`, or leave it out here.",
            )
        return owner

    def _activate(self, name: str, activation: str, path: Path) -> str:
        cls = layers.get(activation) if activation in layers else None
        if cls is None or not cls.elementwise:
            valid = [n for n in layers if layers.get(n).elementwise]
            self.errors.append(
                DlrunError(
                    "unknown-activation",
                    f"`{activation}` is not an activation.",
                    path=(*path, "activation"),
                    hint=did_you_mean(activation, valid, "Valid: " + ", ".join(f"`{n}`" for n in valid) + "."),
                )
            )
            return name
        result = self._add(cls(), (name,), (*path, "activation"), f"{name}_{activation}")
        self._alias[name] = result
        return result

    def _expand(self, spec: Composite, name: str, inputs: tuple[str, ...], path: Path) -> str:
        found = len(self.errors)
        self._scopes.append(name.rsplit(".", 1)[-1])
        self._held += not spec.trainable
        try:
            result = spec.expand(_Scope(self, path), *inputs)
        finally:
            self._held -= not spec.trainable
            self._scopes.pop()
        if name not in self._types:
            self._alias[name] = result
        if len(self.errors) > found:
            self._types[result] = None
        return result


def build_model(model: Model, input_type: TensorType, classes: int | None) -> Graph:
    """The graph of a model's description.

    Args:
        model: A list of layers or an architecture.
        input_type: Type of the model's input, per sample.
        classes: Classes of the data, or None.

    Raises:
        DlrunErrors: Every mistake found, each with its place.
    """
    if isinstance(model, LayerList):
        return build_graph(model.layers, input_type, outputs=model.outputs)
    builder = Builder(input_type)
    try:
        last = model.expand(_Scope(builder, ("model",)), INPUT, classes)
    except DlrunError as error:
        error.path = error.path if error.path[:1] == ("model",) else ("model", *error.path)
        builder.errors.append(error)
        last = INPUT
    return finished(builder, model.outputs or ((last, *model.further_outputs) if last != INPUT else ()))


@dataclasses.dataclass(frozen=True)
class _Scope:
    """What a composite sees while it expands: its own name scope and place."""

    builder: Builder
    path: Path

    def type(self, name: str) -> TensorType | None:
        """Type of a node, or None when it could not be inferred."""
        return self.builder._types[name]

    def chain(self, specs: Sequence[Layer], source: str, field: str = "layers") -> str:
        """Add the layers of one of the composite's fields; returns the last name."""
        return self.builder.chain(specs, source, (*self.path, field))

    def fork(self, specs: Sequence[Layer], source: str, field: str) -> list[str]:
        """Add the layers of one of the composite's fields side by side, all reading ``source``; returns their names."""
        return [self.builder._add(s, (source,), (*self.path, field, i, s.kind)) for i, s in enumerate(specs)]

    def scope(self, name: str) -> _Inner:
        """A context in which names get a further prefix."""
        return _Inner(self.builder, name)

    def add(self, kind: str, *inputs: str, **fields: object) -> str:
        """Add one layer of this kind; returns its name."""
        return self.builder.add(kind, inputs, self.path, **fields)

    def activate(self, name: str, activation: str) -> str:
        """Follow a node by an element-wise layer, for the composite's own ``activation``; returns its name."""
        return self.builder._activate(name, activation, self.path)


@dataclasses.dataclass(frozen=True)
class _Inner:
    builder: Builder
    name: str

    def __enter__(self) -> None:
        self.builder._scopes.append(self.name)

    def __exit__(self, *_: object) -> None:
        self.builder._scopes.pop()
