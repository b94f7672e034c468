"""Models and weights that others wrote: a user's own ``nn.Module`` in the place of a graph, and torch's own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dlrun.backends.foreign import failed, with_weights, wrong_answer, wrong_type
from dlrun.backends.torch.dropout import Clock
from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.model import Model
from dlrun.backends.torch.weights import Bound, load
from dlrun.errors import DlrunError
from dlrun.graph import Graph, TensorType, Weight
from dlrun.models.native import NODE, NativeLayer
from dlrun.plan import Plan
from dlrun.randomness import derive, step_key
from dlrun.targets import make

_MASK63 = (1 << 63) - 1


def realised(plan: Plan) -> Plan:
    """The plan with the weights of its native model in the graph: see ``with_weights``."""
    return with_weights(plan, _made, lambda module: {name: _weight(name, t) for name, t in _tensors(module).items()})


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
        weight = described.get(called) or _weight(name, tensor)
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
            try:
                whole = value.detach().to(torch.float32) if value.dtype == torch.bfloat16 else value.detach()
                found[str(name)] = whole.numpy()
            except Exception:  # sparse, quantised, without values (meta), of a type that numpy has not
                kind = ", ".join(str(what).removeprefix("torch.") for what in (value.dtype, value.layout, value.device))
                raise DlrunError(
                    "unreadable-weights",
                    f"`{name}` in `{path}` is no plain tensor of numbers ({kind}).",
                    path=("model", "weights"),
                    hint="Save it where it was made as dense float32.",
                ) from None
    return found


def _made(layer: NativeLayer, graph: Graph) -> nn.Module:
    """The user's module, its first weights drawn from the recipe's seed."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(layer.seed, "native", "weights") & _MASK63)
        made = make(layer.target, layer.place)
        if not isinstance(made, nn.Module):
            raise wrong_type(layer, made, "torch", "torch.nn.Module")
        _try(made, graph, layer)  # lazy layers draw their weights now
    return made


def _try(module: nn.Module, graph: Graph, layer: NativeLayer) -> None:
    """Look at what the module makes of two samples; this also completes modules that wait for a first input."""
    floating = next((p.dtype for p in module.parameters() if p.is_floating_point() and not _waits(p)), torch.float32)
    dtype = torch.int64 if graph.input.dtype == "int" else floating
    x = _plain(to_native(torch.zeros((2, *graph.input.shape), dtype=dtype)))
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            y = _tensor(module(x))
    except Exception as error:  # whatever the user's code raises
        raise failed(layer, x.shape, error, "(N, channels, height, width)") from error
    finally:
        module.train(training)
    if not isinstance(y, torch.Tensor) or tuple(to_canonical(y).shape) != (2, *graph.output.shape):
        wanted = TensorType(tuple(to_native(torch.zeros((1, *graph.output.shape))).shape[1:]))
        raise wrong_answer(layer, y, y.shape if isinstance(y, torch.Tensor) else None, wanted)


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


def _weight(name: str, tensor: torch.Tensor) -> Weight:
    trainable = isinstance(tensor, nn.Parameter) and tensor.requires_grad
    return Weight(name.rpartition(".")[2], tuple(tensor.shape), "zeros", trainable=trainable)


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Everything that ``state_dict`` would save, live; what is shared is there once."""
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor) and id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found
