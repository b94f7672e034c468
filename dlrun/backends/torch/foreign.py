"""Models and weights that others wrote: a user's own ``nn.Module`` in the place of a graph, and torch's own files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dlrun.backends.torch.dropout import Clock
from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.model import Model
from dlrun.backends.torch.weights import Bound, load
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.graph import Graph, Node, TensorType, Weight
from dlrun.models.native import NODE, NativeLayer, is_native
from dlrun.plan import Plan
from dlrun.randomness import derive, step_key
from dlrun.targets import make
from dlrun.update import ruled

_MASK63 = (1 << 63) - 1


def realised(plan: Plan) -> Plan:
    """The plan with the weights of its native model in the graph; a plan of layers is as it was.

    Raises:
        DlrunError: ``native-type``, ``native-output``, ``target-failed``; DlrunErrors: patterns that match no weight.
    """
    if not is_native(plan.graph):
        return plan
    main = plan.graph.nodes[-1]
    layer = main.layer
    assert isinstance(layer, NativeLayer)
    module = _made(layer, plan.graph)
    layer.made.append(module)
    weights: dict[str, list[Weight]] = {}
    for name, tensor in _tensors(module).items():
        owner, _, leaf = name.rpartition(".")
        trainable = isinstance(tensor, nn.Parameter) and tensor.requires_grad
        weights.setdefault(owner or NODE, []).append(Weight(leaf, tuple(tensor.shape), "zeros", trainable=trainable))
    main = dataclasses.replace(main, weights=tuple(weights.pop(NODE, ())))
    holders = [Node(name, layer, (), (), TensorType(()), tuple(own), main.path) for name, own in weights.items()]
    graph, errors = ruled(plan.recipe, dataclasses.replace(plan.graph, nodes=(*holders, main)))
    if errors:
        raise DlrunErrors(errors)
    return dataclasses.replace(plan, graph=graph)


def build_foreign(graph: Graph, weights: Mapping[str, np.ndarray], device: torch.device, dtype: torch.dtype) -> Model:
    """The user's module in training mode; what ``model.build`` is for graphs of layers.

    Args:
        graph: The graph of a native model.
        weights: By canonical name; those not named are as the module itself drew them.
        device: Where it lives.
        dtype: Format of its floating-point weights.
    """
    layer = graph.nodes[-1].layer
    assert isinstance(layer, NativeLayer)
    module = layer.made.pop() if layer.made else _made(layer, graph)
    module.to(device=device, dtype=dtype)
    module.register_forward_pre_hook(Reseeded(layer.seed))
    module.register_forward_hook(_answer)
    described = {name: weight for name, weight in graph.weights()}
    bound: list[Bound] = []
    for name, tensor in _tensors(module).items():
        owner, _, leaf = name.rpartition(".")
        called = name if owner else f"{NODE}.{leaf}"
        trainable = isinstance(tensor, nn.Parameter) and tensor.requires_grad
        weight = described.get(called, Weight(leaf, tuple(tensor.shape), "zeros", trainable=trainable))
        if isinstance(tensor, nn.Parameter):
            tensor.requires_grad_(weight.trainable)
        bound.append(NativeBound(called, weight, module.get_submodule(owner), leaf))
    load(bound, weights)
    module.train()
    return Model(module, bound, {})


class NativeBound(Bound):
    """A weight that keeps its own layout: names and axes are those of ``state_dict``."""

    def write(self, tensor: torch.Tensor, value: np.ndarray) -> None:
        """Copy an array into a tensor of this weight's shape (the weight or a slot)."""
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.array(value, order="C")))

    def read(self, tensor: torch.Tensor) -> np.ndarray:
        """A copy of a tensor of this weight's shape."""
        return np.array(tensor.detach().cpu().numpy(), order="C")


class Reseeded:
    """Run before a module's forward pass: its random draws are a function of (seed, step, part of the batch).

    It also gives samples the plain layout that code with ``view`` expects.

    Args:
        seed: Of draws where no clock runs.
    """

    def __init__(self, seed: int) -> None:
        self._key = derive(seed, "native", "draws")
        self._clock: Clock | None = None

    def follow(self, clock: Clock) -> None:
        """Draw by this clock from now on."""
        self._clock = clock
        self._key = derive(clock.seed, "native", "draws")

    def __call__(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        if module.training and self._clock is not None:
            self._reseed(self._clock)
        return tuple(_plain(x) for x in inputs)

    @torch.compiler.disable
    def _reseed(self, clock: Clock) -> None:
        torch.manual_seed(step_key(self._key, clock.step, clock.micro_batch) & _MASK63)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a torch file, by name, in torch's layout; nothing that is stored in it is executed.

    Raises:
        DlrunError: ``unreadable-weights``.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers do
        raise DlrunError(
            "unreadable-weights",
            f"`{path}` is no file of torch tensors alone: {' '.join(str(error).split())[:200]}",
            path=("model", "weights"),
            hint="Load it where you trust it, and save `model.state_dict()` as safetensors.",
        ) from None
    for key in ("state_dict", "model_state_dict", "model", "module"):
        if isinstance(stored, Mapping) and isinstance(stored.get(key), Mapping):
            stored = stored[key]
    found = {}
    for name, value in stored.items() if isinstance(stored, Mapping) else ():
        if isinstance(value, torch.Tensor):
            whole = value.detach().to(torch.float32) if value.dtype == torch.bfloat16 else value.detach()
            found[str(name)] = whole.numpy()
    return found


def _made(layer: NativeLayer, graph: Graph) -> nn.Module:
    """The user's module, its first weights drawn from the recipe's seed."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(layer.seed, "native", "weights") & _MASK63)
        made = make(layer.target, layer.place)
        if not isinstance(made, nn.Module):
            raise DlrunError(
                "native-type",
                f"`{layer.target['_target_']}` made a `{type(made).__name__}`; the torch backend runs torch.nn.Module.",
                path=layer.place,
                hint="Choose the backend that it is made for, or give each backend its own target.",
            )
        _try(made, graph, layer)  # lazy layers draw their weights now
    return made


def _try(module: nn.Module, graph: Graph, layer: NativeLayer) -> None:
    """Look at what the module makes of two samples; this also completes modules that wait for a first input."""
    name = layer.target["_target_"]
    floating = next((p.dtype for p in module.parameters() if p.is_floating_point() and not _waits(p)), torch.float32)
    dtype = torch.int64 if graph.input.dtype == "int" else floating
    x = _plain(to_native(torch.zeros((2, *graph.input.shape), dtype=dtype)))
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            y = _tensor(module(x))
    except Exception as error:  # whatever the user's code raises
        raise DlrunError(
            "target-failed",
            f"`{name}` fails on samples of shape {tuple(x.shape)}: {type(error).__name__}: "
            f"{' '.join(str(error).split())}",
            path=layer.place,
            hint="Images arrive as (N, channels, height, width), everything else as the data has it.",
        ) from error
    finally:
        module.train(training)
    wanted = tuple(to_native(torch.zeros((1, *graph.output.shape))).shape[1:])
    if not isinstance(y, torch.Tensor) or tuple(to_canonical(y).shape) != (2, *graph.output.shape):
        found = f"(N, {', '.join(map(str, y.shape[1:]))})" if isinstance(y, torch.Tensor) else f"a `{type(y).__name__}`"
        raise DlrunError(
            "native-output",
            f"`{name}` answers with {found}; the data and loss need (N, {', '.join(map(str, wanted))}).",
            path=layer.place,
            hint='Give it the number of outputs (`classes: "${data.classes}"`), or say its shape by `model.output`.',
        )


def _plain(x: torch.Tensor) -> torch.Tensor:
    """The same with the last axis fastest: for one channel, ``contiguous`` leaves the strides of channels last."""
    return x.contiguous().view(-1).view(x.shape)


def _waits(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, nn.parameter.UninitializedParameter)


def _tensor(y: Any) -> Any:
    """The tensor of an answer that has its logits in a field, as those of Hugging Face models."""
    return y if isinstance(y, torch.Tensor) else getattr(y, "logits", y)


def _answer(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> Any:
    return _tensor(output)


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Everything that ``state_dict`` would save, live; what is shared is there once."""
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor) and id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found
