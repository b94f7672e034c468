"""Files that are not well formed, and defaults lists that cannot be composed: code, words and place of each."""

from __future__ import annotations

import pytest

DATA = "data: {source: digits}\n"
MODEL = "model:\n  layers:\n    - flatten\n    - dense\n"

CASES = {
    # id: (recipe, code, place in small.yaml, path, words)
    "defaults that are no list": ("defaults: adam\n" + DATA + MODEL, "bad-defaults", "1:1", None, ["must be a list"]),
    "defaults with an unknown group": (
        "defaults:\n  - override /optimiser: adam\n" + DATA + MODEL,
        "unknown-group",
        "2:5",
        None,
        ["`optimiser` is not a group", "`optimizer`?"],
    ),
    "defaults with an unknown option": (
        "defaults:\n  - override /optimizer: adamm\n" + DATA + MODEL,
        "unknown-optimizer",
        "2:5",
        None,
        ["`adamm` is not an optimizer", "`adam`"],
    ),
    "defaults without override": (
        "defaults:\n  - /optimizer: sgd\n" + DATA + MODEL,
        "bad-defaults",
        "2:5",
        None,
        ["Write `- override /optimizer: sgd`."],
    ),
    "defaults without a slash": (
        "defaults:\n  - override optimizer: sgd\n" + DATA + MODEL,
        "bad-defaults",
        "2:5",
        None,
        ["Write `- override /optimizer: sgd`."],
    ),
    "defaults with an unknown recipe": (
        "defaults: [digitz]\n" + DATA + MODEL,
        "unknown-recipe",
        "1:12",
        None,
        ["`digitz`", "`digits`?", "dlrun recipes"],
    ),
    "override before another entry": (
        "defaults:\n  - override /optimizer: sgd\n  - digits\n" + DATA + MODEL,
        "bad-defaults",
        "",
        None,
        ["overrides come last"],
    ),
    "choice in two places": (
        "defaults:\n  - override /optimizer: adam\n" + DATA + MODEL + "optimizer: {name: sgd}\n",
        "contradiction",
        "8:13",
        "optimizer",
        ["`optimizer` is `sgd` here but `adam` in `defaults`"],
    ),
    "duplicate key": (
        DATA + MODEL + "seed: 1\nseed: 2\n",
        "duplicate-key",
        "7:1",
        None,
        ["`seed` is written twice", "line 6"],
    ),
    "duplicate key in a section": (
        "data: {source: digits, shuffle: true, shuffle: false}\n" + MODEL,
        "duplicate-key",
        "1:39",
        None,
        ["`shuffle`"],
    ),
    "bad indentation": (
        "data:\n  source: digits\n batch_size: 3\n" + MODEL,
        "yaml-syntax",
        "3:2",
        None,
        ["not valid YAML", "indentation"],
    ),
    "tab": ("data:\n\tsource: digits\n" + MODEL, "yaml-syntax", "2:1", None, ["spaces, not tabs"]),
    "bracket that is not closed": (DATA + MODEL + "metrics: [accuracy\n", "yaml-syntax", "7:1", None, ["brackets"]),
    "reference without quotes": (
        DATA + "model:\n  layers:\n    - dense: {units: ${data.classes}}\n",
        "yaml-syntax",
        "4:23",
        None,
        ["not valid YAML", "quotes"],
    ),
    "two documents": (DATA + MODEL + "---\nseed: 1\n", "yaml-syntax", "6:1", None, ["second document"]),
    "list at the top": ("- data\n", "yaml-syntax", "1:1", None, ["must be a mapping"]),
    "custom tag": (
        DATA + MODEL + "seed: !!python/name:os.system\n",
        "yaml-syntax",
        "6:7",
        None,
        ["the tag `!!python/name:os.system` is not allowed"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_mistake_is_reported_once_with_code_place_and_words(check, case):
    check(*case)


def test_a_file_that_is_not_text(folder, mistakes):
    (folder / "bad.yaml").write_bytes(b"data: {source: digits}\nname: \xff\xfe\n")
    (error,) = mistakes("recipe=./bad.yaml")
    assert error.code == "yaml-syntax" and "UTF-8" in str(error) and "bad.yaml:2" in str(error)
