"""Kinds of files: CSV and TSV in any encoding, JSON lines, Parquet, gzipped; and files that are none of them."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.data.source import Column, Place, Signature, sources
from dlrun.errors import DlrunError

CSV = "a,b,y\n1,x,0\n2,z,1\n,x,0\n"
X = [[1, 1], [2, 2], [np.nan, 1]]


def table(path: Path, **fields: Any) -> Any:
    return sources.get("table")(**{"train": str(path), "target": "y", **fields})


def error_of(path: Path, **fields: Any) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        table(path, **fields).signature(Place())
    assert caught.value.exit_code == 2
    return caught.value


def check(path: Path, **fields: Any) -> Signature:
    source = table(path, **fields)
    np.testing.assert_array_equal(source.load("train", Place()).x, X)
    signature: Signature = source.signature(Place())
    assert signature.columns == (Column("a"), Column("b", ("x", "z"))) and signature.class_names == ("0", "1")
    return signature


JSON = '{"a": 1, "b": "x", "y": 0}\r\n{"b": "z", "a": 2.0, "y": 1}\n\n{"b": "x", "y": 0, "a": null}\n'


@pytest.mark.parametrize(
    ("name", "data", "fields"),
    [
        ("a.csv", CSV.encode(), {}),
        ("a.CSV", CSV.replace("\n", "\r\n").encode(), {}),
        ("a.csv", CSV.replace("\n", "\r").encode(), {}),
        ("a.csv", ("\ufeff" + CSV).encode(), {}),
        ("a.csv", CSV.encode("utf-16"), {"encoding": "utf-16"}),
        ("a.csv", CSV.replace("1,x", '"1","x"').replace("\n2", "\n\n2").encode(), {}),
        ("a.csv", CSV.replace("1,x", '1 , "x"').replace("\n2", "\n  \n2").encode() + b" \t \r\n ", {}),
        ("a.csv", CSV.replace(",", ";").encode(), {"delimiter": ";"}),
        ("a.txt", CSV.replace(",", "\t").encode(), {"format": "csv", "delimiter": r"\t"}),
        ("a.tsv", CSV.replace(",", "\t").encode(), {}),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0), {}),
        ("a.jsonl", JSON.encode(), {}),
        ("a.ndjson.gz", gzip.compress(JSON.encode(), mtime=0), {}),
        ("a.jsonl", JSON.replace("null", "NaN").encode(), {}),
        ("a.log", JSON.encode(), {"format": "json_lines"}),
    ],
)
def test_the_same_rows_of_any_kind(tmp_path: Path, name: str, data: bytes, fields: Any) -> None:
    (tmp_path / name).write_bytes(data)
    check(tmp_path / name, **fields)


def parquet(path: Path, **columns: Any) -> Path:
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files.write_table(arrow.table(columns), path)
    return path


def test_parquet(tmp_path: Path) -> None:
    import pyarrow

    text = pyarrow.array(["x", "z", "x"])
    check(parquet(tmp_path / "a.parquet", a=[1, 2, None], b=text, y=[0, 1, 0]))
    check(parquet(tmp_path / "b.pq", a=[1.0, 2.0, float("nan")], b=text.dictionary_encode(), y=[0.0, 1.0, 0.0]))
    path = parquet(
        tmp_path / "c.parquet",
        day=[datetime.date(2020, 2, 1), None, datetime.date(2019, 1, 1)],
        price=[decimal.Decimal("1.50"), decimal.Decimal("2"), None],
        new=[True, False, None],
        y=["p", "q", "p"],
    )
    source = table(path)
    assert source.signature(Place()).columns == (
        Column("day", ("2019-01-01", "2020-02-01")),
        Column("price"),
        Column("new", ("false", "true")),
    )
    np.testing.assert_array_equal(source.load("train", Place()).x, [[2, 1.5, 2], [0, 2, 1], [1, np.nan, 0]])


def test_rows_of_parquet_are_named_by_their_number(tmp_path: Path) -> None:
    error = error_of(parquet(tmp_path / "a.parquet", a=[1.0, 2.0, float("inf")], y=["p", None, "q"]))
    assert error.code == "bad-rows"
    said = "2 rows that cannot be used. `a.parquet row 2`: the target `y` is missing; `a.parquet row 3`: `a` is `inf`"
    assert said in error.message
    error = error_of(parquet(tmp_path / "b.parquet", a=[1.0, 2.0], l=[[1], [2]], y=["p", "q"]))
    assert (error.code, error.path) == ("nested-column", ("data", "source", "columns", "l"))
    assert "`b.parquet row 1`, `l` holds a list" in error.message
    error = error_of(parquet(tmp_path / "c.parquet", a=[1.0, 2.0], __index_level_0__=[7, 8], y=["p", "q"]))
    assert error.code == "unnamed-column" and '`"__index_level_0__": skip`' in (error.hint or "")
    (tmp_path / "d.parquet").write_bytes(b"PAR1 but no more")
    error = error_of(tmp_path / "d.parquet")
    assert error.code == "corrupt-file" and error.message.endswith(".") and "no Parquet file: " in error.message


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "a.parquet", a=[1, 2], y=["p", "q"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = error_of(path)
    assert error.code == "missing-library" and "pip install 'dlrun[data]'" in (error.hint or "")


@pytest.mark.parametrize(
    ("name", "data", "fields", "code", "words"),
    [
        ("a.csv", b"", {}, "empty-data", "a.csv` is empty"),
        ("a.csv", b" \n\n", {}, "empty-data", "a.csv` is empty"),
        ("a.csv", b"a,y\n", {}, "empty-data", "has a header, but no rows"),
        ("a.csv", b"a,y\n1\n2\n", {}, "empty-data", "none of its 2 rows can be used; of line 2, it has 1 value, not 2"),
        ("a.jsonl", b"[1]\n", {}, "empty-data", "of line 1, it holds `[1]`, not an object"),
        ("a.csv", b"a,b,y\n1,gr\xf6sse,0\n", {}, "wrong-encoding", "`a.csv:2` has the byte `0xf6`"),
        ("a.csv", "a,y\n1,0\n".encode("utf-16-le"), {}, "wrong-encoding", "`a.csv:1` has a zero byte"),
        ("a.csv", b"a,y\n1,0\n", {"encoding": "utf8x"}, "unknown-encoding", "`utf8x` is not an encoding"),
        (
            "a.csv",
            b'a,y\n1,0\n"2,1\n3,0\n',
            {},
            "open-quote",
            "begins at `a.csv:3`, a quote is opened and never closed",
        ),
        ("a.csv", b'a,y\n"1" m,0\n', {}, "open-quote", "begins at `a.csv:2`, ',' expected after"),
        ("a.csv", b"a,b,a,y\n1,2,3,4\n", {}, "duplicate-column", "the column `a` 2 times, as columns 1, 3"),
        ("a.csv.gz", b"a,y\n1,0\n", {}, "corrupt-file", "damaged or no gzip file"),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)[:-9], {}, "corrupt-file", "damaged or no gzip file"),
        ("a.xlsx", b"PK", {}, "unknown-format", "the ending `.xlsx` does not say"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, data: bytes, fields: Any, code: str, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    error = error_of(tmp_path / name, **fields)
    assert error.code == code
    assert words in error.message


def test_a_quoted_line_break_does_not_shift_the_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b,y\n1,"two\nlines",0\n\nx,z,1\n')
    error = error_of(tmp_path / "a.csv", columns={"a": "number"})
    assert "`a.csv:5`: `a` is `x`, not a number" in error.message


def test_spaces_may_stand_before_a_quote(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b,y\n1, "x, y", 0\n2, "z", 1\n')
    assert table(tmp_path / "a.csv").signature(Place()).columns[1] == Column("b", ("x, y", "z"))


def test_an_empty_value_in_quotes_is_a_row_of_its_own(tmp_path: Path) -> None:
    """Where a file has one column; each of its rows gets a prediction."""
    (tmp_path / "a.csv").write_text("a,y\n1,p\n2,q\n")
    source = table(tmp_path / "a.csv")
    (tmp_path / "p.csv").write_text('a\n1\n""\n \n3\n')
    x = source.read([tmp_path / "p.csv"], source.signature(Place()))
    np.testing.assert_array_equal(x, [[1], [np.nan], [3]])


def test_a_long_value(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    (tmp_path / "a.csv").write_text(f'a,b,y\n1,"{"x" * 200_000}",0\n2,z,1\n')
    assert [len(c) for c in table(tmp_path / "a.csv").signature(Place()).columns[1].categories] == [200_000, 1]
    assert csv.field_size_limit() == limit


def test_bad_lines_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"a": 1, "y": "p"}\n{"a": 2, "y": "q"}\n{"a": [1], "y": "q"}\noops\n[1, 2]\n"x"\n'
    )
    error = error_of(tmp_path / "a.jsonl")
    assert error.code == "bad-rows"
    assert "has 4 rows that cannot be used" in error.message
    for words in ("`a.jsonl:3`: `a` holds a list", "`a.jsonl:4`: it is not JSON", '`a.jsonl:6`: it holds `"x"`'):
        assert words in error.message
    assert table(tmp_path / "a.jsonl", bad_rows="skip").signature(Place()).sizes == {"train": 2}


def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    """Seconds, not minutes; the bound is wide, for a machine that has other work."""
    random = np.random.default_rng(0)
    columns = [random.random(100_000).round(4).astype(str) for _ in range(6)]
    rows = zip(*columns, random.choice(["p", "q"], 100_000), random.choice(["0", "1"], 100_000), strict=True)
    (tmp_path / "a.csv").write_text("a,b,c,d,e,f,g,y\n" + "".join(",".join(row) + "\n" for row in rows))
    begin = time.process_time()
    assert table(tmp_path / "a.csv").signature(Place()).sizes == {"train": 100_000}
    assert time.process_time() - begin < 20


def test_reading_needs_no_library_of_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    code = (
        "import sys; from dlrun.data.source import Place, sources\n"
        f"sources.get('table')(train={str(tmp_path / 'a.csv')!r}, target='y').signature(Place()); sources.names()\n"
        "print([m for m in ('pandas', 'pyarrow', 'sklearn', 'torch', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_of_nothing_that_is_seen_is_empty(tmp_path: Path) -> None:
    for data in ("\ufeff", "\ufeff\n", "\u00a0"):
        (tmp_path / "a.csv").write_text(data, encoding="utf-8")
        assert error_of(tmp_path / "a.csv").code == "empty-data"


def test_numbers_that_stand_for_nothing(tmp_path: Path) -> None:
    """In kinds of files that store numbers, too."""
    rows = [{"a": -999, "b": -999.0, "y": 0}, {"a": 1, "b": 2.5, "y": 1}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.csv").write_text("a,b,y\n-999,-999,0\n1,2.5,1\n")
    paths = [tmp_path / "a.jsonl", tmp_path / "a.csv"]
    paths.append(
        parquet(tmp_path / "a.parquet", a=[-999, 1], b=[decimal.Decimal("-999.0"), decimal.Decimal("2.5")], y=[0, 1])
    )
    for path in paths:
        x = table(path, missing=("", "-999")).load("train", Place()).x
        np.testing.assert_array_equal(x, [[np.nan, np.nan], [1, 2.5]])


def test_times_finer_than_pythons(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    times = pyarrow.array([1_600_000_000_000_000_001, 1_600_000_000_000_000_002], pyarrow.timestamp("ns"))
    path = parquet(tmp_path / "a.parquet", t=times, y=["p", "q"])
    expected = ("2020-09-13T12:26:40.000000001", "2020-09-13T12:26:40.000000002")
    assert table(path).signature(Place()).columns[0].categories == expected
    (tmp_path / "pandas.py").write_text("raise ImportError")  # which has such times
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from dlrun.data.source import Place, sources\n"
        f"table = sources.get('table')(train={str(path)!r}, target='y')\n"
        "print(table.signature(Place()).columns[0].categories)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == str(expected), done.stderr


def test_a_hash_is_of_the_number_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("u,y\n101,p\n7,q\n")
    (tmp_path / "b.csv").write_text("u,y\n101.0,p\n7.0,q\n")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv", parquet(tmp_path / "c.parquet", u=[101.0, 7.0], y=["p", "q"])]
    xs = [table(path, columns={"u": {"hash": 1000}}).load("train", Place()).x.tolist() for path in paths]
    assert xs[0] == xs[1] == xs[2]
    (tmp_path / "d.csv").write_text("u,y\n0101,p\n1.01,q\n")
    other = table(tmp_path / "d.csv", columns={"u": {"hash": 1000}}).load("train", Place()).x.tolist()
    assert not {x for (x,) in other} & {x for (x,) in xs[0]}, "other texts"
