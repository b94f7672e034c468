"""Rows of a table: category ids among numbers, made numbers all."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers, require_float, require_rank
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, check_initializer

Ids = Annotated[int, Ge(0), Le(2**24)]
"""How many ids a column has, each exact in float32."""


@described
class Columns(Layer):
    """What layers have in common that read a table's rows.

    Args:
        categories: How many ids each column has, 0 for a number: `"${data.columns}"`.
    """

    categories: tuple[Ids, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Which columns are numbers."""
        return tuple(c for c, ids in enumerate(self.categories) if not ids)

    @property
    def coded(self) -> tuple[tuple[int, int], ...]:
        """(column, number of ids) of each that is a category."""
        return tuple((c, ids) for c, ids in enumerate(self.categories) if ids)

    def widths(self) -> tuple[int, ...]:
        """What each category becomes."""
        raise NotImplementedError

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        require_rank(self.kind, x, 1, "columns")
        if len(self.categories) != x.shape[0]:
            raise DlrunError(
                "columns-mismatch",
                f"`categories` has `{len(self.categories)}` entries, but rows have {x.shape[0]} columns.",
                path=("categories",),
                hint='Write `categories: "${data.columns}"`.',
            )
        return TensorType((len(self.numbers) + sum(self.widths()),))


@layers("one_hot_columns")
class OneHotColumns(Columns):
    """Each category of a row as as many numbers as it has ids, all 0 but one.

    y = (x[numbers], e(x[c]) for each category c), with e(i)[k] = 1 for k = i, else 0. A value that is no id of its
    column counts as id 0. Numbers come first, in their order; where all columns are numbers, y = x.

    Args:
        categories: How many ids each column has, 0 for a number: `"${data.columns}"`.

    Shapes: (N, columns) -> (N, numbers + sum of all ids).
    Weights: none.
    Errors: wrong-dtype, wrong-rank, columns-mismatch.
    Differs: torch's one_hot takes integers only, and neither framework's leaves numbers beside them.
    Source: none.
    """

    examples = (
        Example({"categories": (0, 3, 0, 2)}, (TensorType((4,)),)),
        Example({"categories": (5, 2)}, (TensorType((2,)),)),
        Example({"categories": (0, 0, 0)}, (TensorType((3,)),)),
        Example({"categories": (0, 3)}, (TensorType((3,)),), raises="columns-mismatch"),
        Example({"categories": (0, 3)}, (TensorType((4, 2)),), raises="wrong-rank"),
        Example({"categories": (0, 3)}, (TensorType((2,), "int"),), raises="wrong-dtype"),
    )

    def widths(self) -> tuple[int, ...]:
        return tuple(ids for _, ids in self.coded)


@layers("column_embedding")
class ColumnEmbedding(Columns):
    """A learned vector for each id of each category of a row.

    y = (x[numbers], E_c[x[c]] for each category c), with E_c the table of column c. A value that is no id of its
    column counts as id 0. Numbers come first, in their order; where all columns are numbers, y = x.

    Args:
        categories: How many ids each column has, 0 for a number: `"${data.columns}"`.
        units: Length of each vector; min(50, (ids + 1) div 2) for each column when left out.
        initializer: How tables start.

    Shapes: (N, columns) -> (N, numbers + sum of all units).
    Weights: ``table<c>`` (ids, units) for each category c, columns counted from 0.
    Errors: wrong-dtype, wrong-rank, columns-mismatch, unknown-initializer.
    Differs: torch starts a table as a unit normal, Keras uniformly in 0.05.
    Source: Guo & Berkhahn 2016; the rule for units is that of fast.ai, 2018.
    """

    units: Annotated[int, Gt(0)] | None = None
    initializer: Initial = "glorot_uniform"

    examples = (
        Example({"categories": (0, 3, 0, 6)}, (TensorType((4,)),)),
        Example({"categories": (5, 2), "units": 3}, (TensorType((2,)),)),
        Example({"categories": (0, 0)}, (TensorType((2,)),)),
        Example({"categories": (0, 3)}, (TensorType((3,)),), raises="columns-mismatch"),
        Example({"categories": (0, 3)}, (TensorType((4, 2)),), raises="wrong-rank"),
        Example({"categories": (0, 3)}, (TensorType((2,), "int"),), raises="wrong-dtype"),
        Example({"categories": (0, 3), "initializer": "glorot"}, (TensorType((2,)),), raises="unknown-initializer"),
    )

    def widths(self) -> tuple[int, ...]:
        return tuple(self.units or min(50, (ids + 1) // 2) for _, ids in self.coded)

    def infer(self, *inputs: TensorType) -> TensorType:
        check_initializer(self.initializer, "initializer")
        return super().infer(*inputs)

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        tables = zip(self.coded, self.widths(), strict=True)
        return tuple(Weight(f"table{c}", (ids, units), self.initializer) for (c, ids), units in tables)
