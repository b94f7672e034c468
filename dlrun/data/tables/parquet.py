"""Parquet, read by pyarrow where it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.data.tables.delimited import check_names
from dlrun.data.tables.rows import Options, Rows
from dlrun.errors import DlrunError
from dlrun.errors import Path as RecipePath


def read_parquet(path: Path, data: bytes, options: Options, where: RecipePath) -> Rows:
    """A table with types; its rows are counted from 1.

    Raises:
        DlrunError: ``missing-library``, ``corrupt-file``, ``empty-data``, ``duplicate-column``.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DlrunError(
            "missing-library",
            f"`{path}` is read by `pyarrow`, which is not installed.",
            path=where,
            hint="Install it: pip install 'dlrun[data]'",
        ) from None
    try:
        table = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data)).read()
    except (pyarrow.ArrowException, OSError) as error:
        raise DlrunError(
            "corrupt-file", f"`{path}` is no Parquet file: {str(error).rstrip('.')}.", path=where
        ) from None
    check_names(path, table.column_names, where)
    if not table.num_rows:
        raise DlrunError("empty-data", f"`{path}` has no rows.", path=where)
    return Rows(path, _Columns(table), range(1, table.num_rows + 1), frozenset(options.missing), unit="row")


class _Columns(Mapping[str, Sequence[object]]):
    """Columns made Python's when they are asked for."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Sequence[object]:
        column = self._table.column(name)
        try:
            values: list[object] = column.to_pylist()
        except ValueError:  # times with nanoseconds, which Python's have not
            values = [t and t.replace(" ", "T") for t in column.cast("string").to_pylist()]
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_columns)
