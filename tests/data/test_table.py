"""What a table's rows become: numbers, ids, classes, and what a run keeps of them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.data.source import Column, Place, sources
from dlrun.data.tables import numbers, reading
from dlrun.data.tables.encode import unknown_told
from dlrun.errors import DlrunError

ROWS = "age,job,city,left\n50, clerk,Łódź,yes\n,cook,Bern,no\n31.5,?,Bern,no\n40,cook,,yes\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """``write("a.csv", text)`` -> its path as a source names it."""

    def written(name: str, text: str, encoding: str = "utf-8") -> str:
        (tmp_path / name).write_bytes(text.encode(encoding))
        return str(tmp_path / name)

    return written


def table(train: str, test: str | None = None, **fields: Any) -> Any:
    return sources.get("table")(**{"train": train, "test": test, "target": "left", **fields})


def error_of(source: Any, place: Place | None = None) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        source.signature(place or Place())
    return caught.value


def test_numbers_and_ids_in_the_order_of_the_file(write: Any) -> None:
    source = table(write("größe.csv", ROWS))
    signature = source.signature(Place())
    assert signature.columns == (
        Column("age"),
        Column("job", ("clerk", "cook")),
        Column("city", ("Bern", "Łódź")),
    )
    assert [c.ids for c in signature.columns] == [0, 3, 3]
    assert (signature.input.shape, signature.stored_dtype, signature.scale) == ((3,), "float64", 1.0)
    assert (signature.classes, signature.class_names, signature.sizes) == (2, ("no", "yes"), {"train": 4})
    samples = source.load("train", Place())
    assert samples.x.dtype == np.float64 and samples.y.dtype == np.int64
    nan = np.nan
    np.testing.assert_array_equal(samples.x, [[50, 1, 2], [nan, 2, 1], [31.5, 0, 1], [40, 2, 0]])
    np.testing.assert_array_equal(samples.y, [1, 0, 0, 1])


def test_types_that_the_recipe_says(write: Any) -> None:
    path = write("a.csv", "zip,job,id,left\n01234,cook,1,yes\n99999,clerk,2,no\n1234,cook,3,no\n")
    source = table(path, columns={"zip": "category", "job": {"hash": 50}, "id": "skip"})
    signature = source.signature(Place())
    assert signature.columns == (Column("zip", ("01234", "1234", "99999")), Column("job", (), 50))
    assert signature.columns[1].ids == 51

    def bucket(text: str) -> int:
        return 1 + int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") % 50

    x = source.load("train", Place()).x
    np.testing.assert_array_equal(x, [[1, bucket("cook")], [3, bucket("clerk")], [2, bucket("cook")]])
    assert bucket("cook") == 50, "written down: ids must not change between versions"


def test_categories_that_are_missing_have_the_id_0_also_as_hashes(write: Any) -> None:
    path = write("a.csv", "a,b,left\nx,1,yes\n,2,no\nnone,3,no\n")
    kinds = {"a": {"hash": 3}}
    assert table(path, columns=kinds).load("train", Place()).x[1, 0] == 0
    assert table(path, columns=kinds, missing=("none",)).load("train", Place()).x[2, 0] == 0
    assert table(path, columns={"a": "category"}, missing=("none",)).signature(Place()).columns[0].categories == (
        "",
        "x",
    )


@pytest.mark.parametrize(
    ("values", "fields", "classes"),
    [
        (["b", "a", "b"], {}, ("a", "b")),
        (["10", "9", "9.0"], {}, ("9", "10")),
        (["0.5", "1", "2"], {}, None),
        ([str(i) for i in range(20)], {}, tuple(str(i) for i in range(20))),
        ([str(i) for i in range(21)], {}, None),
        (["1", "2", "1"], {"target_type": "number"}, None),
        (["0.5", "1", "0.5"], {"target_type": "class"}, ("0.5", "1")),
        (["0.5", "1", "0.5"], {"classes": ("1", "0.5")}, ("1", "0.5")),
        (["b", "a", "b"], {"classes": ("b", "a")}, ("b", "a")),
        (["9007199254740993", "9007199254740992"], {}, ("9007199254740992", "9007199254740993")),
        (["1" * 19 + "2", "1" * 19 + "1"], {}, ("1" * 20, "1" * 19 + "2")),
        (["01", "02", "01"], {"classes": ("01", "02")}, ("01", "02")),
        (["2", "1.0", "2"], {"classes": ("2", "1")}, ("2", "1")),
    ],
)
def test_what_the_target_is(write: Any, values: list[str], fields: Any, classes: tuple[str, ...] | None) -> None:
    source = table(write("a.csv", "a,left\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values))), **fields)
    signature, y = source.signature(Place()), source.load("train", Place()).y
    assert signature.class_names == classes
    if classes is None:
        assert signature.classes is None and signature.target.dtype == "float" and signature.target.shape == ()
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, np.array(values, np.float32))
    else:
        assert signature.classes == len(classes)
        assert [classes[i] for i in y] == [v.removesuffix(".0") for v in values]


def test_the_test_file_is_read_with_the_training_file_s_ids(write: Any) -> None:
    train = write("a.csv", ROWS)
    test = write("b.csv", "left,city,job,age,more\nno,Łódź,pilot,7,x\nyes,Ulm,clerk,8,y\n")
    source = table(train, test)
    signature = source.signature(Place())
    assert signature.sizes == {"train": 4, "test": 2}
    samples = source.load("test", Place())
    np.testing.assert_array_equal(samples.x, [[7, 0, 2], [8, 1, 0]])
    np.testing.assert_array_equal(samples.y, [0, 1])
    job, city = signature.notes
    assert job.endswith("b.csv`: 1 value of `job` is not known from training and counts as missing: `pilot`.")
    assert "`city`" in city


def test_a_run_s_own_signature_says_what_ids_mean(write: Any) -> None:
    known = table(write("a.csv", ROWS)).signature(Place())
    other = write("c.csv", "job,age,city,left\npilot,1,Ulm,yes\ncook,2,Bern,yes\n")
    source, place = table(other), Place(known=known)
    assert source.signature(place).columns == known.columns
    assert source.signature(place).class_names == ("no", "yes")
    np.testing.assert_array_equal(source.load("train", place).x, [[1, 0, 0], [2, 2, 1]])
    np.testing.assert_array_equal(source.load("train", place).y, [1, 1])
    strange = table(write("d.csv", "age,job,city,left\n1,cook,Bern,no\n2,cook,Bern,Yes\n3,cook,Bern,maybe\n"))
    error = error_of(strange, place)
    assert error.code == "unknown-class"
    assert "the class `Yes` at `d.csv:3`, the first of 2 rows of no known class" in error.message
    assert "Did you mean `yes`?" in (error.hint or "")


def test_prediction_reads_columns_by_name_without_the_target(write: Any, tmp_path: Path) -> None:
    source = table(write("a.csv", ROWS))
    signature = source.signature(Place())
    one = Path(write("p.csv", "city,extra,job,age\nBern,1,pilot,5\n,2,cook,\n"))
    two = Path(write("q.csv", ROWS))
    (tmp_path / "a.csv").unlink()
    x = source.read([one, two], signature)
    np.testing.assert_array_equal(x[:2], [[5, 0, 1], [np.nan, 2, 0]])
    assert x.shape == (6, 3) and x.dtype == np.float64
    with pytest.raises(DlrunError) as caught:
        source.read([Path(write("r.csv", "City,age\nBern,1\n"))], signature)
    assert caught.value.code == "missing-column" and caught.value.path == ()
    assert "no column `job`, `city`" in caught.value.message and "`City`, `age`" in (caught.value.hint or "")
    skipping = table("a.csv", bad_rows="skip")
    with pytest.raises(DlrunError, match="bad-rows.*p.csv:3.*each of its rows gets a prediction"):
        skipping.read([Path(write("p.csv", "age,city,job\n1,Bern,cook\nold,Bern,cook\n"))], signature)


def test_values_to_predict_that_training_did_not_know_are_counted(write: Any) -> None:
    source = table(write("a.csv", ROWS), columns={"city": {"hash": 4}})
    signature = source.signature(Place())
    one = Path(write("p.csv", "age,job,city\n1,pilot,Ulm\n2,cook,Ulm\n3,pilot,\n4,,\n"))
    two = Path(write("q.csv", "age,job,city\n1,pilot,\n2,7,\n"))
    x, unknown = source.read_counted([one, two], signature)
    np.testing.assert_array_equal(x, source.read([one, two], signature))
    assert unknown == {("job", "pilot"): 3, ("job", "7"): 1}
    assert unknown_told(unknown) == [
        "4 values of `job` are not known from training and count as missing: `pilot`, `7`."
    ]
    (many,) = unknown_told(Counter({("job", f"j{i}"): 1000 for i in range(7)}))
    assert many.startswith("7,000 values of `job` are not known")
    assert many.endswith("count as missing: `j0`, `j1`, `j2`, `j3`, `j4` and 2 more.")


def test_files_without_a_header(write: Any) -> None:
    source = table(write("a.csv", "1,x,yes\n2,y,no\n"), header=("a", "b", "left"))
    signature = source.signature(Place())
    assert [c.name for c in signature.columns] == ["a", "b"] and signature.sizes == {"train": 2}
    without = Path(write("p.csv", "5,y\n"))
    np.testing.assert_array_equal(source.read([without], signature), [[5, 2]])


def test_decimal_commas(write: Any) -> None:
    source = table(write("a.csv", "a;left\n1,5;yes\n-2;no\n"), delimiter=";", decimal=",")
    np.testing.assert_array_equal(source.load("train", Place()).x, [[1.5], [-2]])
    path = write("b.csv", "a;left\n1.000;yes\n2,5;no\n")
    error = error_of(table(path, delimiter=";", decimal=",", columns={"a": "number"}))
    assert "`b.csv:2`: `a` is `1.000`, not a number" in error.message


def test_whole_numbers_are_classes_however_written(write: Any) -> None:
    commas = table(write("a.csv", "a;left\n1;1,0\n2;0\n3;1\n4;00\n"), delimiter=";", decimal=",")
    assert commas.signature(Place()).class_names == ("0", "1")
    assert commas.load("train", Place()).y.tolist() == [1, 0, 1, 0]
    objects = [f'{{"a": 1, "left": {n}}}' for n in (9007199254740993, 9007199254740992, 1e3, '"1000"')]
    source = table(write("a.jsonl", "\n".join(objects)))
    assert source.signature(Place()).class_names == ("1000", "9007199254740992", "9007199254740993")
    assert source.load("train", Place()).y.tolist() == [2, 1, 0, 0]


def test_half_a_surrogate_pair_is_hashed(write: Any) -> None:
    path = write("a.jsonl", '{"a": "\\ud800", "left": "yes"}\n{"a": "x", "left": "no"}\n')
    digest = hashlib.blake2b(b"\xed\xa0\x80", digest_size=8).digest()
    x = table(path, columns={"a": {"hash": 9}}).load("train", Place()).x
    assert x[0, 0] == 1 + int.from_bytes(digest, "little") % 9


def test_types_are_found_from_different_values(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[object] = []
    number = numbers._number
    monkeypatch.setattr(numbers, "_number", lambda value, decimal: judged.append(value) or number(value, decimal))
    path = write("a.csv", "a,b,left\n" + "".join(f"x{i % 3},y{i % 5},{'no' if i % 2 else 'yes'}\n" for i in range(999)))
    assert [c.ids for c in table(path).signature(Place()).columns] == [4, 6]
    assert len(judged) < 30


def test_a_file_is_read_once_and_again_when_it_changes(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read_rows = reading.read_rows

    def counted(path: Path, *rest: Any) -> Any:
        opened.append(path.name)
        return read_rows(path, *rest)

    monkeypatch.setattr(reading, "read_rows", counted)
    path = write("a.csv", ROWS)
    source = table(path, write("b.csv", ROWS))
    known = source.signature(Place())
    for split in ("train", "test"):
        source.load(split, Place(known=known))
    source.signature(Place())
    assert opened == ["a.csv", "b.csv"]
    table(path, bad_rows="skip").signature(Place())
    assert opened == ["a.csv", "b.csv", "a.csv"], "other settings, other rows"
    before = os.stat(path)
    write("a.csv", ROWS.replace("clerk", "baker"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert table(path).signature(Place()).columns[1].categories == ("baker", "cook")


def test_tables_that_come_with_dlrun() -> None:
    source = table("example:customers.csv", "example:customers_test.csv")
    signature = source.signature(Place())
    assert signature.sizes == {"train": 800, "test": 200} and signature.class_names == ("no", "yes")
    assert [c.ids for c in signature.columns] == [0, 4, 5, 0, 0, 0]
    assert np.isnan(source.load("train", Place()).x).sum(0).tolist()[0] > 0
    error = error_of(table("example:customer.csv"))
    assert error.code == "missing-data" and "`example:customers.csv`" in (error.hint or "")


def test_a_split_that_is_not_there(write: Any) -> None:
    with pytest.raises(DlrunError, match="missing-split"):
        table(write("a.csv", ROWS)).load("test", Place())
    error = error_of(table("none.csv"))
    assert (error.code, error.path) == ("missing-data", ("data", "source", "train"))
