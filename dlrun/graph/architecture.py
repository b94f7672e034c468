"""The base of every model description: a list of layers, or an architecture that adds its own."""

from __future__ import annotations

from typing import Any, ClassVar

from dlrun.described import described
from dlrun.graph.layer import Layers
from dlrun.graph.patterns import Constraint, InitializerRule, Regularizer
from dlrun.graph.pretrained import Pretrained
from dlrun.registry import Registry


@described
class Model:
    """A model's description. Architectures are registered with ``@models("name")``.

    Args:
        outputs: Names of the layers that are the model's outputs; the last one when left out. The first is the
            model's answer, further ones are read by losses only.
        initializers: How weights start, by pattern, whatever their layers say; the first rule that matches counts.
        regularizers: Penalties on weights, by pattern; the first rule that matches counts.
        constraints: Limits that weights are brought back to after each update, by pattern; the first counts.
        freeze: Patterns of weights that are not updated, e.g. `stem.*`.
        weights: Weights to start from instead of initial ones, or none.
    """

    kind: ClassVar[str] = ""

    outputs: tuple[str, ...] = ()
    initializers: tuple[InitializerRule, ...] = ()
    regularizers: tuple[Regularizer, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    freeze: tuple[str, ...] = ()
    weights: Pretrained | None = None

    @property
    def further_outputs(self) -> tuple[str, ...]:
        """Names of the layers that are outputs beside the answer, unless the recipe names the outputs."""
        return ()

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        """Add the architecture's layers through ``sub`` (see ``build.Builder``).

        Args:
            sub: What a composite layer gets: ``chain``, ``add``, ``activate``, ``scope``, ``type``.
            x: Name of the model's input.
            classes: Classes of the data, or None.

        Returns:
            The name of the output.
        """
        raise NotImplementedError


models: Registry[Model] = Registry("architecture", home="dlrun.models", default="layers")


@models("layers")
class LayerList(Model):
    """Layers one after another, or wired by name.

    Args:
        layers: Applied in order; the last one's output is the model's.
    """

    layers: Layers
