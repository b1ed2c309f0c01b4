"""The verdict on each standardised row: clean, rejected with every reason, or duplicate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.rules import Rule, compact, failed
from features.sessions import KNOWN_BY, in_order
from lake.tables import EVENTS

UNPARSABLE = "line unparsable"
NOT_A_PRODUCT = "item_id not a product"
TOO_LATE = "event_time beyond the late horizon"
ELSEWHERE = "event_time outside the window its row arrived for"


def judge(standard: DataFrame, rules: Sequence[Rule], first_day: date) -> DataFrame:
    """Add event_date, window_date and reasons (array, empty for a row that may pass).

    standard: the standardised frame of one source.
    first_day: days before it are beyond the late horizon: their rows are rejected on the date they arrived.
    An unparsable line is only that: its other columns mean nothing.
    """
    dated = standard.withColumn("event_date", F.to_date("event_time"))
    late = F.col("_window_date") < F.lit(first_day)
    # A time before 1970 or in the future has its reason already.
    possible = F.col("event_time").between(F.lit("1970-01-01").cast("timestamp"), F.col("received_at"))
    elsewhere = F.coalesce(possible & (F.col("event_date") != F.col("_window_date")), F.lit(False))
    by_rules = failed(rules)
    more = compact(
        F.when(F.col("_not_item"), F.lit(NOT_A_PRODUCT)),
        F.when(late, F.lit(TOO_LATE)),
        F.when(elsewhere, F.lit(ELSEWHERE)),
    )
    reasons = F.when(F.col("_corrupt_record").isNotNull(), F.array(F.lit(UNPARSABLE))).otherwise(
        F.concat(by_rules, more)
    )
    return (
        dated.withColumn("reasons", reasons)
        .withColumn("window_date", F.when(late, F.col("_logical_date")).otherwise(F.col("_window_date")))
        # Only a rejected row is kept as it was received.
        .withColumn("row", F.when(F.size("reasons") > 0, F.coalesce("_corrupt_record", F.to_json("_source_row"))))
        .drop("_source_row", "_not_item", "unit_price", "_corrupt_record", "_window_date", "_logical_date")
    )


def rejected_rows(judged: DataFrame, run_id: str) -> DataFrame:
    """Columns of silver.rejected for the rows with a reason; the row as received, as JSON."""
    return judged.filter(F.size("reasons") > 0).select(
        "window_date", "source", "reasons", "row", F.col("_file").alias("file"),
        F.lit(run_id).alias("run_id"),
    )  # fmt: skip


def finish(
    judged: DataFrame,
    bucket: Column,
    gap_minutes: int,
    earlier: DataFrame | None = None,
    context: DataFrame | None = None,
    partitions: int | None = None,
) -> DataFrame:
    """Columns of silver.events of the rows without a reason, and is_duplicate: see features/sessions.py.

    earlier: purchases before the window; context: events of the last session gap before the window; None where
    there are none. partitions: how many; None leaves it to Spark. A task sorts its rows, and the sorts of all tasks
    share its memory: five million rows a task did not fit into 4 GB.
    """
    fine = judged.filter(F.size("reasons") == 0)
    # What only the catalogue or silver.rejected asks for would go through Python and back.
    wanted = [name for name in judged.columns if name in EVENTS.names or name in KNOWN_BY]
    return in_order(fine.select(*wanted), gap_minutes, earlier, context, partitions).withColumn("user_bucket", bucket)
