"""What a side of a comparison yields: its updates, one after another, with samples of its arrays.

A side is anything with a label that yields steps; nothing after this file knows how they were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dlrun.randomness import stream

LARGEST = 65_536
"""Elements of an array that are compared at most."""

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Step:
    """One update of a side.

    Args:
        number: Counted from 1; 0 is the start, which has weights and nothing else.
        loss: Of the update's batch, before the update.
        outputs: What each layer put out, by node; the first update's only.
        gradients: Of the loss, before penalties and clipping, by canonical weight name.
        weights: After the update, by canonical name.

    Arrays hold at most ``LARGEST`` elements each, see ``sampled``.
    """

    number: int
    loss: float = float("nan")
    outputs: Arrays = field(default_factory=dict)
    gradients: Arrays = field(default_factory=dict)
    weights: Arrays = field(default_factory=dict)


class Side(Protocol):
    """One of the two trainings compared."""

    @property
    def label(self) -> str:
        """How reports call it."""
        ...

    def steps(self) -> Iterator[Step]:
        """The start, then every update in order."""
        ...


def sampled(name: str, array: np.ndarray) -> np.ndarray:
    """An array's elements in canonical order, of a large one ``LARGEST`` whose places its name decides."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat if flat.size <= LARGEST else flat[_places(name, flat.size)]


@lru_cache(maxsize=4096)
def _places(name: str, size: int) -> np.ndarray:
    return np.sort(stream(0, "compare", name).integers(0, size, LARGEST))


class Recording:
    """A side on disk: a file per update and ``losses.json``, in a folder of their own.

    Args:
        folder: Where they are, or will be.
        label: How reports call the side.
    """

    def __init__(self, folder: Path, label: str) -> None:
        self.folder = folder
        self._label = label

    @property
    def label(self) -> str:
        """How reports call it."""
        return self._label

    def write(self, step: Step) -> None:
        """Keep the arrays of an update; losses follow with ``finish``."""
        from safetensors.numpy import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{kind}/{name}": sampled(name, array) for kind in _KINDS for name, array in getattr(step, kind).items()
        }
        save_file(arrays, self._file(step.number))

    def finish(self, losses: list[float], noise: list[list[float]]) -> None:
        """Keep the losses, and those of each repetition from weights moved by one unit in the last place."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "losses.json").write_text(json.dumps({"losses": losses, "noise": noise}))

    def steps(self) -> Iterator[Step]:
        """The start, then every update in order."""
        from safetensors.numpy import load_file

        for number, loss in enumerate([float("nan"), *self._losses()["losses"]]):
            kinds: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in _KINDS}
            for key, array in load_file(self._file(number)).items():
                kind, _, name = key.partition("/")
                kinds[kind][name] = array
            yield Step(number, loss, **kinds)

    def noise(self) -> np.ndarray:
        """Losses of the repetitions, float64 (repetitions, updates)."""
        found = self._losses()
        return np.array(found["noise"], np.float64).reshape(-1, len(found["losses"]))

    def _losses(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "losses.json").read_text())
        return found

    def _file(self, number: int) -> Path:
        return self.folder / f"step-{number:08d}.safetensors"


_KINDS = ("outputs", "gradients", "weights")
