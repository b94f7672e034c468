"""Where a model's first weights come from, as a recipe says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlrun.errors import DlrunError


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A file of a public model repository, fetched once over HTTPS; nothing in it is ever executed.

    Args:
        repo: ``owner/name``.
        file: Path in the repository.
        revision: Branch, tag or commit; only a commit always means the same file.
        sha256: What the file must hash to; without it, what the hub publishes.
    """

    repo: str
    file: str = "model.safetensors"
    revision: str = "main"
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Weights that training starts from, instead of initial ones.

    Args:
        file: A safetensors, Keras (``.h5``, ``.weights.h5``, ``.keras``) or torch (``.pth``, ``.pt``, ``.bin``) file,
            or a checkpoint folder of a run.
        hub: The same from a public repository.
        map: How the file names its weights: ``auto``, ``canonical``, the name of a map (``dlrun.weights.maps``), or
            a mapping from this model's layers to the file's (``{conv2d_1: features.0}``; ``*`` stands for any text).
        partial: Whether weights that the file lacks or has in another shape keep their initial value; else an error.
        skip: Patterns of this model's weights that are not loaded, e.g. ``logits.*``.
    """

    file: str | None = None
    hub: Hub | None = None
    map: str | dict[str, Any] = "auto"
    partial: bool = False
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.file is None) == (self.hub is None):
            raise DlrunError(
                "contradiction",
                "`weights` needs exactly one of `file` and `hub`.",
                hint="Write `weights: {file: model.safetensors}` or `weights: {hub: {repo: owner/name}}`.",
            )
