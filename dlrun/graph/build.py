"""From a list of layers to a verified graph; every mistake found is reported together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from dlrun.errors import DlrunError, DlrunErrors, Path, did_you_mean
from dlrun.graph.architecture import LayerList, Model
from dlrun.graph.draft import Draft
from dlrun.graph.graph import INPUT, Graph, Node
from dlrun.graph.inside import own_fields
from dlrun.graph.layer import Composite, Layer, Weight, layers
from dlrun.graph.naming import Names
from dlrun.graph.sharing import held_here, listed, mismatch, same, tied
from dlrun.graph.tensor import TensorType


class UnusedLayers(DlrunErrors):
    """Layers that nothing reads, where nothing else is wrong with the graph.

    Args:
        errors: One for each.
        graph: The model as it stands.
    """

    def __init__(self, errors: Sequence[DlrunError], graph: Graph) -> None:
        super().__init__(errors)
        self.graph = graph


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
        DlrunErrors: Every mistake found, each with its place; ``UnusedLayers`` if that is all.
    """
    return finished(_listed(specs, input_type, path), outputs)


def _listed(specs: Sequence[Layer], input_type: TensorType | None, path: Path) -> Builder:
    builder = Builder(input_type)
    if not specs:
        raise DlrunErrors(
            [DlrunError("empty-model", "`model.layers` is empty; a model needs at least one layer.", path=path)]
        )
    builder.chain(specs, INPUT, path)
    return builder


def draft_mistakes(model: LayerList, input_type: TensorType | None) -> list[DlrunError]:
    """What is wrong with the wiring of a model, some layers of which may be drafts.

    Args:
        model: The layers.
        input_type: Type of the model's input, per sample, if it is known.

    Raises:
        DlrunError: Where nothing can be wired at all.
    """
    builder = _listed(model.layers, input_type, ("model", "layers"))
    names = builder.output_names(model.outputs)
    return _distinct([*builder.mistakes(), *builder.unused(names)])


def finished(builder: Builder, outputs: Sequence[str] = ()) -> Graph:
    """The graph of what a builder has collected.

    Raises:
        DlrunErrors: Every mistake found, each with its place.
    """
    names = builder.output_names(outputs)
    wrong, unused = builder.mistakes(), builder.unused(names)
    if wrong:
        raise DlrunErrors(_distinct([*wrong, *unused]))
    assert builder.input_type is not None
    graph = Graph(builder.input_type, tuple(builder.nodes), names)
    if unused:
        raise UnusedLayers(unused, graph)
    return graph


def _distinct(errors: Sequence[DlrunError]) -> list[DlrunError]:
    """Without the repetitions that the rounds of a ``repeat`` bring."""
    return list({(e.code, e.path, e.message): e for e in reversed(errors)}.values())[::-1]


MOST_LAYERS = 10_000
"""Beyond it a model is a slip of the pen, and no backend could build its graph."""


class Builder(Names):
    """Collects nodes and mistakes while layers are added."""

    def __init__(self, input_type: TensorType | None) -> None:
        super().__init__()
        self.input_type = input_type
        self.nodes: list[Node] = []
        self.own_error: DlrunError | None = None
        """The one that an architecture itself raised, which speaks of its fields already."""
        self._types[INPUT] = input_type
        self._read: set[str] = set()
        self._leaves: list[str] = []
        """Names of all layers that are not made of others."""
        self._composites: dict[str, bool] = {}
        """Those that are, and whether all is known of each."""
        self._full = False
        self._vague = 0
        """How many layers so far compute nobody knows what."""
        self._held = 0
        """How many composites around the next layer are not trained."""

    def unused(self, outputs: Sequence[str]) -> list[DlrunError]:
        """A mistake for each layer that nothing reads, if everything that is read is known."""
        read = self._read | set(outputs or self._leaves[-1:])
        return [
            DlrunError(
                "unused-layer",
                f"`{name}` is read by no later layer.",
                path=self._places[name],
                hint="The output is the last layer's. Name this one in the `inputs` of another or in `model.outputs`, "
                "or remove it.",
            )
            for name in self._leaves
            if self.all_read and name not in read
        ]

    def chain(self, specs: Sequence[Layer], source: str, path: Path) -> str:
        """Add layers one after another, starting from the node ``source``; returns the last name."""
        for i, spec in enumerate(specs):
            source = self._add(spec, (source,), (*path, i, spec.kind))
        return source

    def add(self, kind: str, inputs: Sequence[str], path: Path = (), **fields: object) -> str:
        """Add one layer by kind (for composites and activations); returns its name."""
        return self._add(layers.get(kind)(**fields), tuple(inputs), path)  # type: ignore[arg-type]

    def _add(self, spec: Layer, before: tuple[str, ...], path: Path, name: str | None = None) -> str:
        inputs = before if spec.inputs is None else self._resolve(spec.inputs, path)
        name = self._name(spec, path) if name is None else self._claim(name, path)
        self._places.setdefault(name, path)
        if len(self._leaves) >= MOST_LAYERS:  # outside `try`: it ends the whole composite, however often that repeats
            self.all_read, self._types[name] = False, None
            if self._full and not self._scopes:
                return name  # it has been said
            self._full = True
            raise DlrunError(
                "too-many-layers",
                f"the model has more than {MOST_LAYERS:,} layers.",
                path=path,
                hint="Lower `times` of a `repeat`.",
            )
        with self._collected(path):
            self._count_inputs(spec, inputs)
        if isinstance(spec, Composite):
            self._composites[name] = False
            known = all(self._types.get(i) is not None for i in inputs)
            if self._fits(spec, len(inputs)) and (known or spec.blind):
                return self._expand(spec, name, inputs, path)
            with self._collected(path):
                self._owner_name(spec, name)
            self._read.update(inputs)
            self._forget(name)
            return name
        self._leaves.append(name)
        self._read.update(inputs)
        self._types[name] = None
        if isinstance(spec, Draft):
            return self._draft(spec, name, path)
        with self._collected(path):
            self._node(spec, name, inputs, path)
        if self._types[name] is None:
            self._vague += 1
        activation = getattr(spec, "activation", None)
        return name if activation is None else self._activate(name, activation, path)

    def _fits(self, spec: Layer, count: int) -> bool:
        low, high = spec.arity
        return low <= count and (high is None or count <= high)

    def _count_inputs(self, spec: Layer, inputs: tuple[str, ...]) -> None:
        if self._fits(spec, len(inputs)) or (isinstance(spec, Draft) and "inputs" in spec.unknown):
            return
        self.all_read = False  # what it should have read is not unused
        low, high = spec.arity
        wants = f"{low}" if low == high else (f"at least {low}" if high is None else f"{low} to {high}")
        raise DlrunError(
            "wrong-input-count",
            f"`{spec.kind}` reads {wants} inputs, got {len(inputs)}.",
            hint="Name them: `inputs: [first, second]`.",
        )

    def _node(self, spec: Layer, name: str, inputs: tuple[str, ...], path: Path) -> None:
        """Add the node of a layer of which all is known; of another, look at what it shares."""
        types = [self._types.get(i) for i in inputs]
        known: list[TensorType] = [t for t in types if t is not None]
        if len(known) < len(types) or not self._fits(spec, len(types)):
            self._owner_name(spec, name)
            return
        output = spec.infer(*known)
        weights = spec.weights(*known)
        owner = self._owner(spec, name, weights)
        self._types[name] = output
        trainable = spec.trainable and not self._held if owner is None else owner.layer.trainable
        if trainable != spec.trainable:
            spec = dataclasses.replace(spec, trainable=trainable)
        if not trainable:
            weights = tuple(dataclasses.replace(w, trainable=False) for w in weights)
        if weights:
            self._sharable.append(name)
        own, shares, shared = (weights, None, ()) if owner is None else ((), owner.name, weights)
        self.nodes.append(Node(name, spec, inputs, tuple(known), output, own, path, shares, shared))

    def _draft(self, spec: Draft, name: str, path: Path) -> str:
        """Add a layer with mistakes in its fields."""
        self._vague += 1
        with self._collected(path):
            self._owner_name(spec, name)
        self.unsure(spec, name)
        if spec.activation is None:
            return name
        if not spec.nested:
            return self._activate(name, spec.activation, path)
        with self._collected(path):
            _activation(spec.activation)
        return name

    def _owner(self, spec: Layer, own: str, weights: tuple[Weight, ...]) -> Node | None:
        """The node whose weights ``spec`` shares, or None.

        Raises:
            DlrunError: ``unknown-share``, ``share-mismatch`` and ``contradiction``.
        """
        name = self._owner_name(spec, own)
        if name is None:
            return None
        if name in self._composites:
            raise mismatch(f"`{spec.share}` is made of several layers, and `{spec.kind}` is one; name one of them.")
        nodes = {node.name: node for node in self.nodes}
        if name not in nodes:
            return None
        owner = nodes[nodes[name].shares or name]
        if not same(weights, owner.weights):
            raise mismatch(
                f"`{spec.kind}` needs the weights {listed(weights)}, but `{spec.share}` has {listed(owner.weights)}."
            )
        if owner.layer.trainable and not spec.trainable:
            raise held_here(owner.name, str(spec.share))
        return owner

    def _activate(self, name: str, activation: str, path: Path) -> str:
        with self._collected(path):
            result = self._add(_activation(activation), (name,), (*path, "activation"), f"{name}_{activation}")
            self._alias[name] = result
            return result
        return name

    def _expand(self, spec: Composite, name: str, inputs: tuple[str, ...], path: Path) -> str:
        found, vague, start = len(self.errors), self._vague, len(self.nodes)
        self._scopes.append(name.rsplit(".", 1)[-1])
        self._held += not spec.trainable
        result = None
        try:
            with self._collected(path):
                result = spec.expand(_Scope(self, path), *inputs)
        finally:
            self._held -= not spec.trainable
            self._scopes.pop()
        if result is None:
            self._forget(name)
            return name
        known = (len(self.errors), self._vague) == (found, vague)
        if not spec.shares_itself:
            with self._collected(path):
                owner = self._owner_name(spec, name)
                if owner is not None and owner not in self._composites and self._types.get(owner) is not None:
                    raise mismatch(f"`{spec.share}` is one layer; `{spec.kind}` shares with layers made of several.")
                if owner is not None and known and self._composites.get(owner):
                    self.nodes = tied(self.nodes, start, name, owner, spec, self._held > 0)
        self._composites[name] = known
        self._sharable.append(name)
        if name not in self._types:
            self._alias[name] = result
        if len(self.errors) > found:
            self._types[result] = None
        return result

    def _forget(self, name: str) -> None:
        """Nothing is known of a composite's parts."""
        self._types[name] = None
        self._vague += 1
        self.all_read = False
        self.hidden.append(name + ".")


def _activation(name: str) -> Layer:
    """The element-wise layer of this name.

    Raises:
        DlrunError: ``unknown-activation``.
    """
    cls = layers.get(name) if name in layers else None
    if cls is None or not cls.elementwise:
        valid = [n for n in layers if layers.get(n).elementwise]
        raise DlrunError(
            "unknown-activation",
            f"`{name}` is not an activation.",
            path=("activation",),
            hint=did_you_mean(name, valid, "Valid: " + ", ".join(f"`{n}`" for n in valid) + "."),
        )
    return cls()


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
    builder, last = _built(model, input_type, classes)
    own = builder.own_error
    inner = [error for error in builder.errors if error is not own]
    builder.errors = own_fields(model, inner, lambda other: _built(other, input_type, classes)[0].errors)
    builder.errors += [] if own is None else [own]
    return finished(builder, model.outputs or ((last, *model.further_outputs) if last != INPUT else ()))


def _built(model: Model, input_type: TensorType, classes: int | None) -> tuple[Builder, str]:
    """What an architecture makes, and the name of its last layer."""
    builder = Builder(input_type)
    try:
        return builder, model.expand(_Scope(builder, ("model",)), INPUT, classes)
    except DlrunError as error:
        error.path = error.path if error.path[:1] == ("model",) else ("model", *error.path)
        builder.errors.append(error)
        builder.all_read = False
        builder.own_error = error if error.code != "too-many-layers" else None
        return builder, INPUT


@dataclasses.dataclass(frozen=True)
class _Scope:
    """What a composite sees while it expands: its own name scope and place."""

    builder: Builder
    path: Path

    def type(self, name: str) -> TensorType | None:
        """Type of a node, or None when it could not be inferred."""
        return self.builder._types.get(name)

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
