"""The IDX format, and every way a file of it can be damaged."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from dlrun.data.idx import parse_idx
from dlrun.errors import DlrunError

HEADER = struct.pack(">HBBII", 0, 0x08, 2, 2, 3)
SOUND = HEADER + bytes(range(6))
PACKED = gzip.compress(SOUND, mtime=0)


def test_plain_and_gzipped_are_the_same() -> None:
    expected = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(parse_idx(SOUND, "f"), expected)
    np.testing.assert_array_equal(parse_idx(PACKED, "f"), expected)


def test_wide_values_get_native_byte_order() -> None:
    data = struct.pack(">HBBI2i", 0, 0x0C, 1, 2, 1, -70000)
    array = parse_idx(data, "f")
    assert array.dtype == np.dtype("=i4")
    assert array.tolist() == [1, -70000]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "truncated-file", "header"),
        (HEADER[:7], "truncated-file", "header"),
        (SOUND[:-1], "truncated-file", "announces 6 bytes, 5 are there"),
        (PACKED[:-9], "truncated-file", "ends early"),
        (SOUND + b"x", "corrupt-file", "1 bytes after"),
        (b"<html></html>", "corrupt-file", "3c 68 74 6d"),
        (struct.pack(">HBBI", 0, 0x77, 1, 0), "corrupt-file", "IDX"),
        (PACKED[:-8] + bytes(8), "corrupt-file", "gzip"),
    ],
)
def test_damage_is_named(data: bytes, code: str, words: str) -> None:
    with pytest.raises(DlrunError) as caught:
        parse_idx(data, "images.gz")
    assert caught.value.code == code
    assert "`images.gz`" in caught.value.message
    assert words in caught.value.message
