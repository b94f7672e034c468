"""One YAML recipe, native PyTorch or native TensorFlow, the same training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.api import check, evaluate, predict, train

__version__ = "0.1.0"
__all__ = ["__version__", "check", "evaluate", "predict", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from dlrun import api

        return getattr(api, name)
    raise AttributeError(f"module `dlrun` has no attribute `{name}`")
