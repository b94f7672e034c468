"""What the configuration's tests share: small recipes on embedded data, in an empty working folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dlrun.errors import DlrunError, DlrunErrors, dotted

SMALL = """\
data: {source: digits, batch_size: 64, validation: 100}
model:
  layers:
    - conv2d: {filters: 4, kernel: 3, activation: relu}
    - max_pool2d: {size: 2}
    - conv2d: {filters: 6, kernel: 3}
    - flatten
    - dense: {units: 12, name: hidden}
    - dropout: {rate: 0.25}
    - dense
optimizer: {name: adam, learning_rate: 3e-3, betas: [0.8, 0.99]}
train: {epochs: 2}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; data and backends are the embedded and installed ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLRUN_DATA", raising=False)
    return tmp_path


@pytest.fixture
def recipe(folder: Path) -> Callable[..., str]:
    """Write a recipe and return the override that chooses it."""

    def write(text: str = SMALL, name: str = "small.yaml") -> str:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return f"recipe=./{name}"

    return write


@pytest.fixture
def mistakes() -> Callable[..., list[DlrunError]]:
    """Every mistake found in composing these overrides."""

    def find(*overrides: str, **options: object) -> list[DlrunError]:
        from dlrun.config import compose

        with pytest.raises(DlrunErrors) as caught:
            compose(overrides, **options)
        assert caught.value.exit_code == 2
        for error in caught.value.errors:
            text = str(error)
            assert str(error.where), f"not located: {text}"
            for foreign in ("hydra.cc", "HydraException", "omegaconf", "OmegaConf", "Traceback", "Key '", "use +"):
                assert foreign not in text, text
        return list(caught.value.errors)

    return find


@pytest.fixture
def check(recipe: Callable[..., str], mistakes: Callable[..., list[DlrunError]]) -> Callable[..., None]:
    """Compose a recipe with one mistake: it is reported once, with its code, place, path and words."""

    def one(text: str, code: str, place: str, path: str | None, words: list[str]) -> None:
        errors = mistakes(recipe(text))
        if text:  # an empty file lacks both data and a model
            assert len(errors) == 1, [str(e) for e in errors]
        error = errors[0]
        assert error.code == code, str(error)
        assert str(error.where) == (f"small.yaml:{place}" if place else "small.yaml")
        assert path is None or dotted(error.path) == path
        for word in words:
            assert word in str(error)

    return one
