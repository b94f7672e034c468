"""Reading YAML: values as Hydra reads them, places, merge keys; and writing it back."""

from __future__ import annotations

import pytest
import yaml
from omegaconf import OmegaConf

from dlrun.config.document import parse, scalar
from dlrun.config.dumping import dump
from dlrun.errors import DlrunErrors

SCALARS = (
    "1e-3 1E3 1.5 -2 +3 0x10 1_000 .5 .5e-3 1. true yes off null ~ Null none 2024-01-02 12:30 1e e3 .inf -.inf 0o7 "
    "1.2.3 '1' \"é\""
)


@pytest.mark.parametrize("text", SCALARS.split())
def test_scalars_mean_what_they_mean_to_hydra(text):
    ours = parse(f"key: {text}\n", "x.yaml").plain()["key"]
    theirs = OmegaConf.create(f"key: {text}\n").key
    assert (ours, type(ours)) == (theirs, type(theirs)) or text == "12:30"


def test_a_clock_time_is_not_a_number_of_seconds():
    assert parse("key: 12:30:01.5\n", "x.yaml").plain()["key"] == "12:30:01.5"


def test_keys_are_names():
    assert parse("on: 1\n2: x\nnull: y\n", "x.yaml").plain() == {"on": 1, "2": "x", "null": "y"}


def test_places_are_those_of_keys_and_items():
    root = parse("a:\n  b: 1\n  c:\n    - x\n    - y: {z: 2}\n", "x.yaml")
    assert str(root.locate(("a", "b"))) == "x.yaml:2:3"
    assert str(root.locate(("a", "c", 0))) == "x.yaml:4:7"
    assert str(root.locate(("a", "c", 1, "y", "z"))) == "x.yaml:5:11"
    assert str(root.locate(("a", "c", 1, "y", "missing"))) == "x.yaml:5:7"
    assert str(root.locate(("nothing",))) == "x.yaml:1:1"


def test_anchors_and_merge_keys():
    root = parse("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nagain: *b\n", "x.yaml")
    assert root.plain() == {"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}, "again": {"x": 1, "y": 2}}


def test_an_anchor_inside_itself_is_a_mistake_of_syntax():
    with pytest.raises(DlrunErrors) as caught:
        parse("a: &a [*a]\n", "x.yaml")
    assert caught.value.code == "yaml-syntax"


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "null\n", "---\n"])
def test_an_empty_file_is_an_empty_mapping(text):
    assert parse(text, "x.yaml").plain() == {}


@pytest.mark.parametrize(
    "text", ["1e-3", "1e5", "true", "no", "", " x", "é", "a: b", "x #y", "0x10", "-1", "~", "\n", "1:30"]
)
def test_text_is_written_so_that_it_reads_back_as_text(text):
    assert parse(dump({"key": text, "list": [text]}), "x.yaml").plain() == {"key": text, "list": [text]}


@pytest.mark.parametrize("number", [1e-8, 1e22, 0.1, 1.0, -0.0, 123456789, 1e-300, 2.5e-05])
def test_numbers_are_written_exactly(number):
    read = parse(dump({"key": number}), "x.yaml").plain()["key"]
    assert (read, type(read)) == (number, type(number))


def test_what_is_written_is_plain_yaml_for_everybody():
    text = dump({"model": {"layers": [{"conv2d": {"filters": 3, "kernel": [3, 3]}}, {"flatten": {}}]}, "metrics": []})
    assert yaml.safe_load(text)["model"]["layers"] == [{"conv2d": {"filters": 3, "kernel": [3, 3]}}, "flatten"]
    assert "- conv2d: {filters: 3, kernel: [3, 3]}\n" in text


@pytest.mark.parametrize(("text", "value"), [("12", 12), ("1e-3", 1e-3), ("true", True), ("abc", "abc"), ("", None)])
def test_text_as_a_value(text, value):
    assert scalar(text) == value
