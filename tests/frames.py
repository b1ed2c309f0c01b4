"""The one helper by which tests compare frames."""

from __future__ import annotations

from chispa import assert_df_equality
from pyspark.sql import DataFrame


def assert_same_rows(actual: DataFrame, expected: DataFrame) -> None:
    """Same columns, types and rows, in any order."""
    columns = sorted(expected.columns)
    # In order within one partition: a sort over several looks for their bounds first, which makes the rows twice.
    in_order = (
        frame.select(*columns).repartition(1).sortWithinPartitions(*columns) for frame in (actual, expected)
    )  # fmt: skip
    assert_df_equality(*in_order, ignore_nullable=True, ignore_metadata=True)
