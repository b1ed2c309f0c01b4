"""The one helper by which tests compare frames."""

from __future__ import annotations

from chispa import assert_df_equality
from pyspark.sql import DataFrame


def assert_same_rows(actual: DataFrame, expected: DataFrame) -> None:
    """Same columns, types and rows, in any order."""
    columns = sorted(expected.columns)
    assert_df_equality(
        actual.select(*columns), expected.select(*columns), ignore_row_order=True, ignore_nullable=True,
        ignore_metadata=True,
    )  # fmt: skip
