"""Overrides with characters that Hydra's grammar does not know, and those that the documentation shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dlrun.config.catalog import catalog_of
from dlrun.config.overrides import decoded, grammar_text, parse
from dlrun.errors import DlrunErrors

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("data.source.columns.Größe=category", "data.source.columns.Größe", "category"),
        ("data.source.columns.日本=skip", "data.source.columns.日本", "skip"),
        ("~data.source.columns.Größe", "data.source.columns.Größe", None),
        ("data.source.columns.living space=skip", "data.source.columns.living space", "skip"),
        ('data.source.columns={"Größe": category}', "data.source.columns", {"Größe": "category"}),
        ("data.source.columns={Größe: category}", "data.source.columns", {"Größe": "category"}),
        ("columns={a: {hash: 3}, 'Maß (m²)': skip}", "columns", {"a": {"hash": 3}, "Maß (m²)": "skip"}),
        ('columns={"1": skip, "true": skip, "a.b": skip}', "columns", {"1": "skip", "true": "skip", "a.b": "skip"}),
        ("data.root=/data/größe", "data.root", "/data/größe"),
        ("metrics=[ü, 'ä,ö', {x: é}]", "metrics", ["ü", "ä,ö", {"x": "é"}]),
        ("name='a: b'", "name", "a: b"),
    ],
)
def test_keys_and_values_beyond_the_grammar(text, key, value):
    (found,) = parse([text], catalog_of(None))
    assert (found.text, found.key, found.value) == (text, key, value)
    (again,) = parse([grammar_text(text)], catalog_of(None))  # as a sweep hands it to its jobs
    assert (again.key, again.value) == (key, value)
    assert text.startswith("~") or decoded(grammar_text(text)).partition("=")[0] == key


def test_the_column_of_a_table(recipe, folder):
    from dlrun.config import compose

    (folder / "t.csv").write_text("Größe,b,y\n" + "3,1,0\n4,2,1\n" * 10, encoding="utf-8")
    lines = "task: tabular_classification\ndata: {source: {name: table, train: t.csv, target: y}, batch_size: 4}\n"
    lines += 'model: {layers: [{column_embedding: {categories: "${data.columns}"}}, dense]}\n'
    found = compose([recipe(lines), "data.source.columns.Größe=category"])
    assert found.values["data"]["source"]["columns"] == {"Größe": "category"}
    assert found.origins["data.source.columns.Größe"] == "command line `data.source.columns.Größe=category`"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("data.source.delimiter=,", """'data.source.delimiter=","'"""),
        ("data.source.train=a-{000..004}.tar", """'data.source.train="a-{000..004}.tar"'"""),
        ('data.source.train=a"b.csv', """'data.source.train="a\\"b.csv"'"""),
        (
            "data.source.columns.a%b=skip",
            """`%` cannot stand in a key here; write 'data.source.columns={"a%b": skip}'""",
        ),
    ],
)
def test_a_form_that_works_is_shown_as_a_shell_takes_it(text, hint):
    with pytest.raises(DlrunErrors) as caught:
        parse([text], catalog_of(None))
    said = str(caught.value.errors[0].hint)
    assert hint in said
    (word,) = shlex.split(re.search(r"'.*'", said)[0])
    parse([word], catalog_of(None))


def _commands():
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = file.read_text(encoding="utf-8")
        for line in text.splitlines():
            if line.strip().startswith("dlrun "):
                yield file.name, [w for w in shlex.split(line, comments=True)[2:] if "=" in w and w[0] != "-"]
        for span in re.findall(r"`('?[~+]*[a-z_.]+=[^`\n]+)`", text):
            if "…" not in span and "FILE" not in span:
                yield file.name, shlex.split(span)[:1]


@pytest.mark.parametrize(("file", "words"), [(file, words) for file, words in _commands() if words])
def test_what_the_documentation_shows_is_an_override(file, words):
    assert len(parse(words, catalog_of(None))) == len(words)


def test_a_sweep_over_a_key_beyond_ascii(recipe, folder):
    from dlrun.config import multirun

    (folder / "t.csv").write_text("Größe,b,y\n" + "3,1,0\n4,2,1\n" * 10, encoding="utf-8")
    lines = "task: tabular_classification\ndata: {source: {name: table, train: t.csv, target: y}, batch_size: 4}\n"
    lines += 'model: {layers: [{column_embedding: {categories: "${data.columns}"}}, dense]}\n'
    jobs = multirun([recipe(lines), "data.source.columns.Größe=number,category"], lambda number, words, folder: words)
    assert [words[-1] for words in jobs] == [f"data.source.columns.Größe={kind}" for kind in ("number", "category")]
