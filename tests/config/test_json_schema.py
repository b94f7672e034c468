"""The JSON Schema: up to date, accepts what composes, refuses what does not, and says what each key means."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from dlrun.config import compose, schema
from dlrun.config.document import read
from dlrun.config.resources import resource_dir

SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PLAIN = {"data": {"source": "digits"}, "model": {"layers": ["flatten", "dense"]}}


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_committed_file_is_up_to_date():
    file = resource_dir("conf") / "recipe.schema.json"
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(json.dumps(SCHEMA)), (
        "run: dlrun schema --out conf/recipe.schema.json"
    )


@pytest.mark.parametrize("path", sorted(resource_dir("recipes").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_is_valid_and_names_its_schema(path: Path):
    VALIDATOR.validate(read(path).plain())
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../conf/recipe.schema.json"


@pytest.mark.parametrize("name", ["digits", "mnist", "mnist_mlp"])
def test_complete_values_are_valid(name):
    VALIDATOR.validate(compose([f"recipe={name}"], check_installed=False).values)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd"},
        {"optimizer": {"learning_rate": 0.1}},
        {"optimizer": {"name": "adam", "betas": [0.9, 0.99]}},
        {"optimizer": {"learning_rate": "${oc.env:RATE}"}},
        {"schedule": {"name": "step", "every_epochs": 2}},
        {"train": "smoke"},
        {"train": {"early_stopping": {"patience": 3}, "checkpoints": {"keep": 1}, "clip_norm": None}},
        {"device": "cuda:1"},
        {"device": {"name": "cpu", "threads": 2}},
        {"backend": "tensorflow"},
        {"backend": {"compile": True}},
        {"metrics": ["accuracy", {"top_k": {"k": 3}}]},
        {"defaults": ["digits"], "data": {"batch_size": 8}},
        {"defaults": [{"override /optimizer": "adam"}, "digits"]},
        {"data": {"source": {"name": "npz", "train": "x.npz"}, "validation": 0.1}},
        {
            "model": {
                "layers": [{"residual": {"layers": [{"conv2d": {"filters": 1, "kernel": [3, 3]}}]}}, {"flatten": None}]
            }
        },
        {"model": {"layers": [{"dense": {"units": "${data.classes}"}}]}},
    ],
)
def test_what_composes_is_valid(change):
    VALIDATOR.validate({**PLAIN, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "sgd"},
        {"optimizer": "agd"},
        {"optimizer": {"name": "sgd", "betas": [0.9, 0.99]}},
        {"optimizer": {"learning_rate": 0}},
        {"optimizer": {"name": "adam", "betas": [0.9]}},
        {"schedule": {"name": "step"}},
        {"train": {"epochs": 0}},
        {"train": {"epochs": 1.5}},
        {"train": "smok"},
        {"precision": "float31"},
        {"device": "gpu"},
        {"metrics": ["acuracy"]},
        {"model": {"layers": ["dropout"]}},
        {"model": {"layers": [{"dropout": 0.5}]}},
        {"model": {"layers": [{"dense": {"unit": 5}}]}},
        {"model": {"layers": [{"flatten": {}, "dense": {}}]}},
        {"model": {"layers": [{"residual": {"layers": ["relo"]}}]}},
        {"data": {"source": "digits", "validation": 1.5}},
        {"data": {"batch_size": 8}},
    ],
)
def test_what_does_not_compose_is_not_valid(change):
    assert not VALIDATOR.is_valid({**PLAIN, **change})


def test_a_recipe_needs_data_and_a_model_unless_it_starts_from_another():
    assert not VALIDATOR.is_valid({"data": {"source": "digits"}})
    assert VALIDATOR.is_valid({"defaults": ["digits"]})


def test_every_key_is_described():
    def undescribed(node: object, path: str = "") -> list[str]:
        found = []
        if isinstance(node, dict):
            for name, body in node.get("properties", {}).items():
                if isinstance(body, dict) and "const" not in body and "description" not in body:
                    found.append(f"{path}.{name}")
            for key, value in node.items():
                found += undescribed(value, f"{path}/{key}")
        elif isinstance(node, list):
            for i, value in enumerate(node):
                found += undescribed(value, f"{path}/{i}")
        return found

    assert undescribed(SCHEMA) == []
    assert SCHEMA["properties"]["seed"]["description"] == "Key of every random draw."
    assert "`stride`" not in SCHEMA["$defs"]["Layer_conv2d"]["properties"]["stride"]["description"]
