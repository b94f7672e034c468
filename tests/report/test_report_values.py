"""How values and names are written on a page, whatever they hold."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from dlrun.data.source import Column, Signature
from dlrun.graph.tensor import TensorType
from dlrun.report.text import cells, escape
from dlrun.report.worst import Shown

COLUMNS = (Column("age"), Column("town", ("Ulm", "Wels")), Column("user", (), 1000))


def test_a_row_of_a_table_is_written_by_column() -> None:
    assert cells(COLUMNS, np.array([31.5, 2, 17])) == ["age: 31.5", "town: Wels", "user: #17"]
    assert cells(COLUMNS, np.array([np.nan, 0, 0])) == ["age: nan", "town: (unknown)", "user: (unknown)"]
    assert cells(COLUMNS, np.array([1234567, 1, 1000]), 2) == ["age: 1.23457e+06", "town: Ulm"]


def test_the_card_of_a_row_has_its_first_values() -> None:
    many = tuple(Column(f"column number {i:02}", (), 9) for i in range(15))
    signature = Signature(TensorType((15,)), TensorType(()), None, None, {"test": 1}, columns=many)
    shown = Shown(signature, lambda at: np.full((1, 15), 3.0), lambda at: (at, None))
    card = shown.cards(np.array([0]), [["off by 1"]])
    assert "column number 00: #3, " in card and "column number 11: #3, … 3 more" in card and "number 12" not in card


def test_text_is_well_formed_xml_whatever_it_holds() -> None:
    odd = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0xD800, 0xDFFF, 0xFFFE, 0xFFFF]))
    kept = '\ud7ff\ue000\ufffd\U00010000\U0010ffff <&"größe 犬'
    read = ElementTree.fromstring(f"<a>{escape(odd + kept)}</a>").text
    assert read is not None and read.endswith(kept) and set(read) - set(kept) == set("\t\n")  # XML reads \r as \n
