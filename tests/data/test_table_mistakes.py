"""Tables that are wrong: each mistake is told with its file, line and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError, DlrunErrors

GOOD = "a,b,y\n1,x,0\n2,z,1\n3,x,0\n"
MANY = "a,b,y\n" + "".join(f"{i},x{i % 3},{i % 2}\n" for i in range(30))


def table(tmp_path: Path, text: str, **fields: Any) -> Any:
    (tmp_path / "a.csv").write_text(text)
    return sources.get("table")(**{"train": str(tmp_path / "a.csv"), "target": "y", **fields})


def error_of(tmp_path: Path, text: str, **fields: Any) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        table(tmp_path, text, **fields).signature(Place())
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("text", "fields", "code", "path", "words", "hint"),
    [
        (GOOD, {"target": "Y"}, "missing-column", "target", "no column `Y`", "Did you mean `y`?"),
        (GOOD, {"target": "price"}, "missing-column", "target", "no column `price`", "Its columns: `a`, `b`, `y`."),
        (
            GOOD.replace(",", ";"),
            {},
            "missing-column",
            "target",
            "no column `y`",
            'Its one column is called `a;b;y`: write `delimiter: ";"`.',
        ),
        (GOOD, {"columns": {"aa": "skip"}}, "unknown-column", "columns.aa", "no column `aa`", "Did you mean `a`?"),
        (GOOD, {"columns": {"y": "skip"}}, "contradiction", "columns.y", "`y` is the target", "Remove it."),
        (
            GOOD,
            {"columns": {"a": "skip", "b": "skip"}},
            "no-columns",
            "columns",
            "no column of",
            "",
        ),
        (
            GOOD.replace("a,b", ",b"),
            {},
            "unnamed-column",
            "columns",
            "column 1 of",
            'Write `"": skip` in `columns`',
        ),
        ("a,e,y\n1,,0\n2,NA,1\n", {}, "empty-column", "columns.e", "no value in the column `e`", "`e: skip`"),
        (
            MANY + "abc,x1,0\n31..5,x1,0\n",
            {},
            "mixed-column",
            "columns.a",
            "numbers in the column `a`, but at `a.csv:32` `a` is `abc`, not a number, the first of 2 such values.",
            "Add the text to `missing`, or write `a: number` in `columns`, which makes such rows bad ones, or "
            "`a: category`.",
        ),
        (
            "a,y\n" + "".join(f"{i},{i}\n" for i in range(30)) + "1,high\n",
            {},
            "mixed-column",
            "target",
            "at `a.csv:32` `y` is `high`, not a number.",
            "write `target_type: number`, which",
        ),
        (
            "a,n,y\n" + "".join(f"{i},name {i},{i % 2}\n" for i in range(21)),
            {},
            "distinct-texts",
            "columns.n",
            "another text in each of the 21 values of `n`",
            "Write `n: skip` in `columns`; `n: category` keeps them.",
        ),
        ("a,y\n1,p\n2,p\n", {}, "single-class", "target", "the one class `p` in `y`", "`target_type: number`"),
        ("a,y\n1,\n2,\n", {}, "empty-data", "target", "no value of the target `y`", ""),
        (GOOD, {"classes": ("0", "1", "2")}, "empty-class", "classes", "no row of the class `2`", "Valid: `0`, `1`."),
        (GOOD, {"classes": ("0", "7")}, "empty-class", "classes", "no row of the class `7`", ""),
        (GOOD + "4,x,2\n", {"classes": ("0", "1")}, "unknown-class", "train", "the class `2` at `a.csv:5`", "`0`, `1`"),
        (
            GOOD + "old,x,2\n",
            {"columns": {"a": "number"}, "bad_rows": "skip"},
            "empty-class",
            "train",
            "the class `2` in bad rows only",
            "Correct these rows.",
        ),
        (GOOD, {"columns": {"b": {"hsh": 3}}}, "wrong-source", "columns.b", "`b` has `hsh` where `hash` belongs", ""),
        (GOOD, {"delimiter": "::"}, "wrong-source", "delimiter", "`::` is no single character", '`delimiter: ";"`'),
        (GOOD, {"decimal": ",", "delimiter": ","}, "wrong-source", "decimal", "`,` separates values and is", ""),
        (GOOD, {"classes": ("0", "0")}, "wrong-source", "classes", "needs two different names", ""),
        (
            GOOD,
            {"classes": ("0", "1"), "target_type": "number"},
            "wrong-source",
            "classes",
            "a target that is a number has no `classes`",
            "",
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, fields: Any, code: str, path: str, words: str, hint: str) -> None:
    error = error_of(tmp_path, text, **fields)
    assert (error.code, ".".join(map(str, error.path))) == (code, f"data.source.{path}")
    assert words in error.message
    assert hint in (error.hint or "")


def test_several_mistakes_are_told_together(tmp_path: Path) -> None:
    error = error_of(tmp_path, GOOD, delimiter="::", classes=("0",))
    assert isinstance(error, DlrunErrors) and len(error.errors) == 2


def test_mistakes_of_different_columns_are_told_together(tmp_path: Path) -> None:
    text = "a,b,c,y\n" + "".join(f'"{i},5",,x{i},{i}\n' for i in range(30)) + '"1,5",,x,old\n'
    error = error_of(tmp_path, text, columns={"d": "skip"})
    assert isinstance(error, DlrunErrors)
    assert [(e.code, e.path[2:]) for e in error.errors] == [
        ("unknown-column", ("columns", "d")),
        ("wrong-decimal", ("columns", "a")),
        ("empty-column", ("columns", "b")),
        ("distinct-texts", ("columns", "c")),
        ("mixed-column", ("target",)),
    ]
    error = error_of(tmp_path, text, columns={"d": "skip", "a": "skip", "b": "skip", "c": "skip"}, target="z")
    assert isinstance(error, DlrunErrors)
    assert [(e.code, e.path[2:]) for e in error.errors][:2] == [
        ("missing-column", ("target",)),
        ("unknown-column", ("columns", "d")),
    ]


@pytest.mark.parametrize("columns", [{}, {"d": "skip"}])
def test_another_delimiter_is_seen_where_decimals_have_commas(tmp_path: Path, columns: Any) -> None:
    error = error_of(tmp_path, "a;y\n1,5;0\n2,5;1\n", columns=columns)
    assert (error.code, error.path) == ("empty-data", ("data", "source", "train"))
    assert error.hint == 'Its one column is called `a;y`: write `delimiter: ";"`.'
    some = error_of(tmp_path, "a;y\n1,5;0\n2;1\n", columns=columns)
    assert (some.code, some.hint) == ("missing-column", error.hint)


BAD = [
    ("1,x", "it has 2 values, not 3"),
    ("1,x,0,9", "it has 4 values, not 3"),
    ("old,x,0", "`a` is `old`, not a number"),
    ("inf,x,0", "`a` is `inf`, not a finite number"),
    ("1e999,x,0", "`a` is `1e999`, not a finite number"),
    ("1_000,x,0", "`a` is `1_000`, not a number"),
    ("-nan,x,0", "`a` is `-nan`, not a number"),
    ("a,b,y", "it is the header once more"),
    ("5,x,", "the target `y` is missing"),
]


@pytest.mark.parametrize(("row", "words"), BAD)
def test_a_bad_row_stops_or_is_skipped_and_counted(tmp_path: Path, row: str, words: str) -> None:
    text, numbers = f"{MANY}{row}\n7,x0,1\n", {"columns": {"a": "number"}}
    error = error_of(tmp_path, text, **numbers)
    assert (error.code, error.path) == ("bad-rows", ("data", "source", "train"))
    assert f"a.csv` has 1 row that cannot be used. `a.csv:32`: {words}." in error.message
    assert "`bad_rows: skip`" in (error.hint or "")
    source = table(tmp_path, text, **numbers, bad_rows="skip")
    signature = source.signature(Place())
    assert signature.sizes == {"train": 31}
    assert source.load("train", Place()).x[:, 0].tolist() == [*range(30), 7]
    (note,) = signature.notes
    assert note.endswith(f"a.csv`: 1 bad row is left out; `a.csv:32`: {words}.")


@pytest.mark.filterwarnings("error")
def test_a_target_that_float32_cannot_hold_is_a_bad_row(tmp_path: Path) -> None:
    text = "a,y\n1,0.5\n2,1e39\n3,-3.4e38\n"
    error = error_of(tmp_path, text)
    assert error.code == "bad-rows"
    assert "has 1 row that cannot be used. `a.csv:3`: `y` is `1e39`, beyond the range of float32." in error.message
    source = table(tmp_path, text, bad_rows="skip")
    assert source.signature(Place()).sizes == {"train": 2}
    assert source.load("train", Place()).y.max() == 0.5


def test_all_bad_rows_are_counted_and_five_are_named(tmp_path: Path) -> None:
    text = MANY + "".join(row + "\n" for row, _ in BAD)
    error = error_of(tmp_path, text, columns={"a": "number"})
    assert "has 9 rows that cannot be used" in error.message and error.message.endswith("; and 4 more.")
    for line, (_, words) in enumerate(BAD, 32):
        assert (f"`a.csv:{line}`: {words}" in error.message) == (line < 37)
    signature = table(tmp_path, text, columns={"a": "number"}, bad_rows="skip").signature(Place())
    assert signature.sizes == {"train": 30} and "9 bad rows are left out" in signature.notes[0]


def test_nothing_is_left_after_skipping(tmp_path: Path) -> None:
    error = error_of(tmp_path, "a,y\nx,1\nz,0\n", columns={"a": "number"}, bad_rows="skip")
    assert error.code == "empty-data" and "none of its rows can be used" in error.message


def test_a_test_file_with_mistakes(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("a,y\n1,0\n")
    error = error_of(tmp_path, GOOD, test=str(tmp_path / "b.csv"))
    assert (error.code, error.path) == ("missing-column", ("data", "source", "test"))
    (tmp_path / "b.csv").write_text("a,b,y\n1,x,0\n2,x,5\n")
    error = error_of(tmp_path, GOOD, test=str(tmp_path / "b.csv"))
    assert (error.code, error.path) == ("unknown-class", ("data", "source", "test"))
    assert "the class `5` at `b.csv:3`." in error.message


OTHER_MARK = "age;job;y\n" + "".join(f"{i % 7},{i % 10};x{i % 3};{i % 2}\n" for i in range(40))


@pytest.mark.parametrize("values", [OTHER_MARK, OTHER_MARK.replace("6,6;", "six;")])
def test_numbers_under_the_other_decimal_mark(tmp_path: Path, values: str) -> None:
    error = error_of(tmp_path, values, delimiter=";")
    assert (error.code, error.path) == ("wrong-decimal", ("data", "source", "columns", "age"))
    assert "a.csv` has numbers with `,` as the decimal mark in the column `age`: `a.csv:2` has `0,0`." in error.message
    assert error.hint == 'Write `decimal: ","`; `age: category` keeps the texts.'
    error = error_of(tmp_path, values.replace(",", "."), delimiter=";", decimal=",")
    assert error.code == "wrong-decimal" and (error.hint or "").startswith('Write `decimal: "."`;')
    source = table(tmp_path, values, delimiter=";", columns={"age": "category"})
    assert source.signature(Place()).columns[0].ids > 30


def test_a_target_under_the_other_decimal_mark(tmp_path: Path) -> None:
    text = "a;y\n" + "".join(f"{i};{i},5\n" for i in range(9))
    error = error_of(tmp_path, text, delimiter=";")
    assert (error.code, error.path) == ("wrong-decimal", ("data", "source", "target"))
    assert error.hint == 'Write `decimal: ","`; `target_type: class` keeps the texts.'
    assert table(tmp_path, text, delimiter=";", target_type="class").signature(Place()).classes == 9


def test_marks_that_may_separate_thousands_are_told(tmp_path: Path) -> None:
    text = "a;y\n" + "".join(f"{i},500;{i % 2}\n" for i in range(1, 9))
    hint = error_of(tmp_path, text, delimiter=";").hint or ""
    assert hint.endswith(" Where `,` separates thousands, take it out of the file instead.")


def test_the_other_mark_in_a_column_of_numbers_is_told_with_the_row(tmp_path: Path) -> None:
    error = error_of(tmp_path, OTHER_MARK, delimiter=";", columns={"age": "number"})
    assert "`a.csv:2`: `age` is `0,0`, not a number whose decimal mark is `.`;" in error.message


def test_whole_numbers_with_a_few_texts_have_no_decimal_mark(tmp_path: Path) -> None:
    assert error_of(tmp_path, MANY + "n.a.,x1,0\n").code == "mixed-column"


@pytest.mark.parametrize("setting", [{"delimiter": ";"}, {"header": ("a", "y")}])
def test_settings_of_text_that_no_file_has_use_for(tmp_path: Path, setting: Any) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1, "y": 0}\n{"a": 2, "y": 1}\n')
    train, (name,) = str(tmp_path / "a.jsonl"), setting
    error = error_of(tmp_path, GOOD, train=train, **setting)
    assert (error.code, error.path) == ("wrong-source", ("data", "source", name))
    assert error.message == f"`{name}` says nothing of `json_lines`, which has names and no delimiters."
    assert error.hint == f"Remove `{name}`."
    written = GOOD.replace(",", ";") if name == "delimiter" else "1,0\n2,1\n"
    both = table(tmp_path, written, test=train, columns={"b": "skip"} if name == "delimiter" else {}, **setting)
    assert both.signature(Place()).sizes["test"] == 2, "the file for training has use for it"
