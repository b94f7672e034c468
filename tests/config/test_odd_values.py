"""Values that nobody means: each is a mistake with a place, none an error of dlrun's own."""

from __future__ import annotations

import time

import pytest

from dlrun.config import compose
from dlrun.config.document import parse, scalar
from dlrun.config.dumping import dump
from dlrun.errors import DlrunErrors

BASE = "data: {source: digits}\nmodel: {layers: [flatten, dense]}\n"
LONG = "x" * 300


@pytest.mark.parametrize(
    "text",
    [
        BASE + "optimizer: {name: {a: 1}}\n",
        BASE + "loss: {name: [a]}\n",
        BASE + "schedule: {name: [a]}\n",
        BASE + "optimizer: {name: sgd, learning_rate: '${data.batch_size}'}\nschedule: {name: [a]}\n",
        "data: {source: digits}\nmodel: {name: [a]}\n",
        "data: {source: {name: [1]}}\nmodel: {layers: [flatten, dense]}\n",
        "data: {source: digits}\nmodel: {layers: [flatten, {dense: {kernel_initializer: {name: [a]}}}]}\n",
    ],
)
def test_a_name_that_is_no_text(recipe, mistakes, text):
    assert any(e.code.startswith("unknown-") and "name" in e.path for e in mistakes(recipe(text)))


@pytest.mark.parametrize(
    "override", ["optimizer.name=[a]", "loss={name: [a]}", "model={name: {a: 1}}", "data.source={name: [a]}"]
)
def test_a_name_that_is_no_text_on_the_command_line(recipe, mistakes, override):
    assert mistakes(recipe(), override)


@pytest.mark.parametrize(
    "value", ["!!int abc", "!!float abc", "!!bool maybe", "!!timestamp abc", "!!int 0x_", "9" * 5000, "0x" + "f" * 5000]
)
def test_a_value_that_its_tag_cannot_read(value):
    with pytest.raises(DlrunErrors) as caught:
        parse(f"a: 1\nb: {value}\n", "x.yaml")
    (error,) = caught.value.errors
    assert error.code == "yaml-syntax" and str(error.where) == "x.yaml:2:4" and len(error.message) < 200


@pytest.mark.parametrize("value", ["0x_", "0b_", "9" * 5000])
def test_text_that_is_no_number_after_all(value):
    assert scalar(value) == value


@pytest.mark.parametrize("value", ["0x_", "0b_"])
def test_a_number_without_digits_is_text(value):
    assert parse(f"a: {value}\n", "x.yaml").plain() == {"a": value}


@pytest.mark.parametrize("value", ["1" + "0" * 400, "-1" + "0" * 400])
def test_a_number_too_large_for_a_float(recipe, mistakes, value):
    (error,) = mistakes(recipe(), f"optimizer.learning_rate={value}")
    assert error.code == "out-of-range"
    (error,) = mistakes(recipe(BASE + f"optimizer: {{name: sgd, learning_rate: {value}}}\n"))
    assert error.code == "out-of-range"


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", "010"), ("1:30", "1:30"), ("-010", "-010"), ("0", 0), ("-0", 0), ("10", 10), ("0x10", 16), ("0b11", 3)],
)
def test_numbers_are_written_in_one_way(text, value):
    read = parse(f"key: {text}\n", "x.yaml").plain()["key"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", ["010", "1:30", "0o7", "1:30.5"])
def test_what_other_readers_take_for_a_number_is_quoted(text):
    import yaml

    assert yaml.safe_load(dump({"key": text})) == {"key": text}


def test_a_leading_zero_gets_a_hint(check):
    check(BASE + "seed: 010\n", "wrong-type", "3:1", "seed", ["got `010`", "Write `10`."])


def bomb(levels: int, end: str = "") -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n" + end


def merge_bomb(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("text", [bomb(8), merge_bomb(9)], ids=["aliases", "merge keys"])
def test_aliases_that_multiply(text):
    began = time.monotonic()
    with pytest.raises(DlrunErrors) as caught:
        parse(text, "x.yaml")
    (error,) = caught.value.errors
    assert error.code == "yaml-syntax" and "aliases" in error.message and error.where.line
    assert time.monotonic() - began < 10


def test_a_few_aliases_are_fine():
    assert len(parse(bomb(3), "x.yaml").plain()["a2"]) == 9


@pytest.mark.parametrize("text", ["a: " + "[" * 3000 + "]" * 3000, "a: " + "{a: " * 3000 + "}" * 3000, "- " * 500])
def test_nesting_without_end(text):
    with pytest.raises(DlrunErrors) as caught:
        parse(text + "\n", "x.yaml")
    (error,) = caught.value.errors
    assert error.code == "yaml-syntax" and "nested" in error.message and "anchor" not in error.message


def test_an_anchor_inside_itself_has_a_place():
    with pytest.raises(DlrunErrors) as caught:
        parse("b: 1\na: &a [*a]\n", "x.yaml")
    (error,) = caught.value.errors
    assert "contains itself" in error.message and error.where.line == 2


def test_a_repeat_without_end(recipe, mistakes):
    text = (
        "data: {source: digits}\nmodel:\n"
        "  layers: [flatten, {repeat: {times: 100000, layers: [{dense: {units: 1}}]}}, dense]\n"
    )
    began = time.monotonic()
    (error,) = mistakes(recipe(text))
    assert error.code == "too-many-layers" and "10,000" in error.message and error.path[:3] == ("model", "layers", 1)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "overrides",
    [
        [f"recipe={LONG}"],
        [f"recipe=./{LONG}.yaml"],
        [f"recipe={LONG}/recipe.yaml"],
        ["recipe=~nobody-has-this-name/x.yaml"],
        ["recipe='~nobody-has-this-name/a b.yaml'"],
        ["recipe=~nobody-has-this-name/a b.yaml"],
        [f"{LONG}=3"],
        [f"optimizer={LONG}"],
        [f"train.{LONG}=3"],
        [f"extensions=[{LONG}.py]"],
        ["extensions=[~nobody-has-this-name/x.py]"],
    ],
)
def test_words_no_file_system_takes(mistakes, overrides):
    assert mistakes(*overrides)


def test_a_config_folder_no_file_system_takes(mistakes):
    (error,) = mistakes("recipe=digits", config_dir=LONG)
    assert error.code == "no-config-dir"


@pytest.mark.parametrize("entry", [LONG, f"override /optimizer: {LONG}", f"/{LONG}: x", f"override /{LONG}: x"])
def test_defaults_no_file_system_takes(recipe, mistakes, entry):
    assert mistakes(recipe(f"defaults: [digits, {{{entry}}}]\n" if ":" in entry else f"defaults: [{entry}]\n"))


@pytest.mark.parametrize("text", ["name: {}\n", "output: {{name: {}}}\n"])
@pytest.mark.parametrize(
    "name", ["../../esc", "/tmp/x", "a/b", '""', ".", "..", '"a\\0b"', '"a\\nb"', LONG, "é" * 150, '" "', "'a\\b'"]
)
def test_a_name_that_cannot_be_a_folder(recipe, mistakes, text, name):
    (error,) = mistakes(recipe(BASE + text.format(name)))
    assert error.code == "bad-name" and "name" in error.path
    assert "must be a name for a folder" in error.message


@pytest.mark.parametrize(
    "override", ["name=../../esc", "output.name=/tmp/x", "output.name=..", "output.name=''", "name="]
)
def test_such_a_name_on_the_command_line(recipe, mistakes, override):
    (error,) = mistakes(recipe(), override)
    assert error.code == "bad-name" and error.where.override == override


@pytest.mark.parametrize("name", ["é", "größe", "数字", "a b", "lr=0.1", "v1.2", "_x", "-x", "..x"])
def test_names_that_can(recipe, name):
    composed = compose([recipe(BASE + f'output: {{name: "{name}"}}\n'), f'name="{name}"'])
    assert composed.recipe.output.name == name


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("output.name=é", "é"),
        ("output.name=größe 1", "größe 1"),
        ("output.name=数字-1.5", "数字-1.5"),
        ("output.name='é'", "é"),
        ('output.name="a é"', "a é"),
        ("output={name: größe, root: x}", "größe"),
    ],
)
def test_text_beyond_ascii_needs_no_quotes(recipe, override, value):
    assert compose([recipe(), override]).recipe.output.name == value


def test_lists_beyond_ascii_need_no_quotes(recipe, folder):
    from dlrun.config.catalog import Catalog
    from dlrun.config.overrides import parse as read

    (one,) = read(["x=[é,ü b,'ß',1,{a: ä}]"], Catalog())
    assert one.value == ["é", "ü b", "ß", 1, {"a": "ä"}]
    assert read(["x=choice(é,2)"], Catalog())[0].sweep


def test_recipes_beyond_ascii(recipe):
    recipe(name="recipes/é.yaml")
    recipe(name="größe/数字.yaml")
    assert compose(["recipe=é"]).recipe.name == "é"
    assert compose(["recipe=größe/数字.yaml"]).recipe.name == "数字"


@pytest.mark.parametrize(
    ("words", "epochs", "batches", "validation"),
    [
        (["train=default", "data.validation=500"], 1, 8, 500),
        (["train={epochs: 3}"], 3, 8, 256),
        (["train={limit_batches: 3}"], 1, 3, 256),
        (["train.epochs=3"], 3, 8, 256),
        (["~train.epochs"], 1, 8, 256),
        (["train=smoke"], 1, 8, 256),
        (["train.clip_norm=1"], 1, 8, 256),
        (["data={source: digits, validation: 300}"], 1, 8, 300),
    ],
)
def test_a_dry_run_shortens_what_the_command_line_does_not_set(recipe, words, epochs, batches, validation):
    text = BASE.replace("digits}", "digits, validation: 400}") + "train: {epochs: 20}\n"
    composed = compose([recipe(text), *words], smoke=True)
    train = composed.recipe.train
    assert (train.epochs, train.limit_batches, composed.recipe.data.validation) == (epochs, batches, validation)


@pytest.mark.parametrize("words", [["train=3"], ["train=[1]"]])
def test_a_dry_run_hides_no_mistake(recipe, mistakes, words):
    assert mistakes(recipe(), *words, smoke=True)
    assert mistakes(recipe(BASE + "train: [3]\n"), smoke=True)


def test_references_to_data_that_are_not_there(recipe, mistakes):
    text = 'data: {source: digits}\nmodel: {layers: [flatten, {dense: {units: "${data.classes}"}}]}\n'
    (error,) = mistakes(recipe(text), "~data")
    assert error.code == "missing-key" and error.path == ("data",)
    (error,) = mistakes(recipe(text), "data.batch_size=${data.classes}")
    assert error.code == "interpolation" and "have no classes" not in str(error) and "`data`" in (error.hint or "")
