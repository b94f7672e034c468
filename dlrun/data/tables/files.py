"""Which reader a file needs, its bytes, and its text."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path

from dlrun.data.tables.delimited import read_delimited
from dlrun.data.tables.json_lines import read_json_lines
from dlrun.data.tables.parquet import read_parquet
from dlrun.data.tables.rows import Format, Options, Rows, place, setting
from dlrun.errors import DlrunError
from dlrun.errors import Path as RecipePath

ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_rows(path: Path, options: Options, where: RecipePath, target: str | None = None) -> Rows:
    """The rows of a file, gzipped or not.

    Args:
        path: The file.
        options: How it is read.
        where: Key of the recipe that names the file; empty for a file to predict.
        target: Name in ``options.header`` that the file may lack.

    Raises:
        DlrunError: ``unknown-format``, ``corrupt-file``, ``wrong-encoding``, ``empty-data``, ``duplicate-column``,
            ``open-quote``, ``missing-library``.
    """
    gzipped = path.name.lower().endswith(".gz")
    kind = options.format or format_of(path.name)
    if kind is None:
        ending = _ending(path.name)
        raise DlrunError(
            "unknown-format",
            f"`{path}`: the ending `{ending}` does not say what the file holds.",
            path=where,
            hint=f"To name it, {setting('format', 'csv', where)}; or use one of "
            f"{', '.join(f'`{e}`' for e in ENDINGS)}, each also with `.gz`.",
        )
    data = _bytes(path, gzipped, where)
    if not data.strip():
        raise DlrunError("empty-data", f"`{path}` is empty.", path=where)
    if kind == "parquet":
        return read_parquet(path, data, options, where)
    text = _text(path, data, options.encoding, where)
    if kind == "json_lines":
        return read_json_lines(path, text, options, where)
    return read_delimited(path, text, options, options.delimiter or (None if kind == "csv" else "\t"), where, target)


def format_of(name: str) -> Format | None:
    """What a file's ending says, if anything."""
    return ENDINGS.get(_ending(name))


def _ending(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


def _bytes(path: Path, gzipped: bool, where: RecipePath) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DlrunError("unreadable-file", f"`{path}` cannot be read: {error.strerror}.", path=where) from None
    if not gzipped:
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DlrunError("corrupt-file", f"`{path}` is damaged or no gzip file: {error}.", path=where) from None


def _text(path: Path, data: bytes, encoding: str, where: RecipePath) -> str:
    try:
        text = data.decode(encoding)
    except LookupError:
        raise DlrunError(
            "unknown-encoding",
            f"`{encoding}` is not an encoding.",
            path=("data", "source", "encoding"),
            hint="Use e.g. `utf-8`, `latin-1`, `cp1252` or `utf-16`.",
        ) from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = data.count(b"\n", 0, start) + 1
        byte = f"0x{data[start]:02x}" if start < len(data) else "the end"
        raise DlrunError(
            "wrong-encoding",
            f"`{path}` is not `{encoding}`: `{place(path, line)}` has the byte `{byte}`.",
            path=where,
            hint=_other_encoding("utf-16" if data.startswith(_UTF_16) else "cp1252", where),
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DlrunError(
            "wrong-encoding",
            f"`{path}` is no text in `{encoding}`: `{place(path, line)}` has a zero byte.",
            path=where,
            hint=_other_encoding("utf-16", where),
        )
    return text.removeprefix("\ufeff")


def _other_encoding(example: str, where: RecipePath) -> str:
    return f"Save it as UTF-8, or name its encoding: {setting('encoding', example, where)}."
