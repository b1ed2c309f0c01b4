"""Duplicates, returns, bots and sessions on the smallest histories that decide."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.clean import finish
from features.sessions import BOT_EVENTS_A_DAY, in_order

NOON = datetime(2024, 6, 1, 12)


def _events(spark: SparkSession, *rows: tuple[str, str, str, str, int]) -> DataFrame:
    """event_id, user_id, item_id, event_type, minutes after noon."""
    values = [(*row[:4], NOON + timedelta(minutes=row[4])) for row in rows]
    frame = spark.createDataFrame(
        values, "event_id string, user_id string, item_id string, event_type string, event_time timestamp"
    )
    return frame.withColumn("event_date", F.to_date("event_time"))


def _in_order(events: DataFrame, earlier: DataFrame | None = None, context: DataFrame | None = None) -> DataFrame:
    """Of events no two of which repeat one another, unless they say so themselves."""
    told = {
        "event_id": F.uuid(), "item_id": F.lit("i"), "event_type": F.lit("view"), "event_time": F.lit(NOON),
        "_key": F.xxhash64(F.uuid()), "received_at": F.lit(NOON), "_file": F.lit("f"),
        "_row_hash": F.lit(1).cast("long"),
    }  # fmt: skip
    lacking = {name: column for name, column in told.items() if name not in events.columns}
    return in_order(events.withColumns(lacking), 30, earlier, context)


def _sessions(frame: DataFrame) -> dict[str, str]:
    return {row["event_id"]: row["session_id"] for row in frame.collect()}


def test_the_first_received_row_of_a_key_is_kept(spark: SparkSession) -> None:
    schema = "user_id string, event_id string, query string, received_at timestamp, _file string, _row_hash long"
    rows = [
        ("u", "1", "a", NOON, "f1", 5),
        ("u", "2", "a", NOON + timedelta(hours=1), "f2", 4),  # the same row under another id
        ("u", "1", "b", NOON + timedelta(hours=2), "f3", 3),  # another row under the same id
        ("u", "3", "c", NOON, "f1", 2),
        ("u", "3", "c", NOON, "f1", 2),  # the same line twice in a file
        ("v", "1", "a", NOON, "f1", 9),  # another user's
    ]
    keyed = spark.createDataFrame(rows, schema).withColumn("_key", F.xxhash64("query"))
    marked = _in_order(keyed).filter(~F.col("is_duplicate"))
    found = sorted((row["user_id"], row["event_id"], row["query"]) for row in marked.collect())
    assert found == [("u", "1", "a"), ("u", "3", "c"), ("v", "1", "a")]


@pytest.mark.parametrize("later", [{"received_at": 1}, {"_file": 1}, {"_row_hash": 1}])
def test_of_repeats_the_first_is_by_receipt_then_file_then_content(spark: SparkSession, later: dict[str, int]) -> None:
    """Whatever comes after in the order is smaller in the one that stays out."""
    names = ("received_at", "_file", "_row_hash")
    decides = names.index(next(iter(later)))
    rows = []
    for number in (1, 0):
        told = [5 if place < decides else number if place == decides else 9 - number for place in range(3)]
        rows.append(("u", "1", str(number), NOON + timedelta(hours=told[0]), f"f{told[1]}", told[2]))
    schema = "user_id string, event_id string, query string, received_at timestamp, _file string, _row_hash long"
    marked = _in_order(spark.createDataFrame(rows, schema))
    assert {row["query"]: row["is_duplicate"] for row in marked.collect()} == {"0": False, "1": True}


def test_a_return_finds_the_latest_purchase_before_it(spark: SparkSession) -> None:
    events = _events(
        spark,
        ("p1", "u", "i", "purchase", 0),
        ("p2", "u", "i", "purchase", 5),
        ("r1", "u", "i", "return", 9),
        ("p3", "u", "i", "purchase", 12),
        ("r2", "u", "other", "return", 9),
        ("r3", "v", "i", "return", 9),
    )
    found = {row["event_id"]: row["returned_event_id"] for row in _in_order(events).collect()}
    assert found == {"p1": None, "p2": None, "p3": None, "r1": "p2", "r2": None, "r3": None}


def test_a_return_finds_its_purchase_across_the_start_of_the_window(spark: SparkSession) -> None:
    earlier = _events(spark, ("p0", "u", "i", "purchase", -600), ("old", "u", "j", "purchase", -60 * 24 * 200))
    events = _events(spark, ("r1", "u", "i", "return", 0), ("r2", "u", "j", "return", 0))
    found = {row["event_id"]: row["returned_event_id"] for row in _in_order(events, earlier).collect()}
    assert found == {"r1": "p0", "r2": None}


def test_hundreds_of_views_a_second_are_a_bot_and_hundreds_of_invoice_lines_are_not(spark: SparkSession) -> None:
    busy = spark.range(BOT_EVENTS_A_DAY).select(
        F.lit("bot").alias("user_id"), F.lit("view").alias("event_type"), F.lit(NOON).alias("event_time")
    )
    trade = busy.withColumn("user_id", F.lit("wholesaler")).withColumn("event_type", F.lit("purchase"))
    slow = spark.range(BOT_EVENTS_A_DAY).select(
        F.lit("reader").alias("user_id"), F.lit("view").alias("event_type"),
        (F.lit(NOON) + F.make_dt_interval(secs=F.col("id") * 30)).alias("event_time"),
    )  # fmt: skip
    frame = busy.union(trade).union(slow).withColumn("event_date", F.lit(NOON).cast("date"))
    marked = _in_order(frame).filter("is_bot").select("user_id").distinct().collect()
    assert [row["user_id"] for row in marked] == ["bot"]


def test_a_session_ends_by_inactivity_only(spark: SparkSession) -> None:
    events = _events(
        spark, ("a", "u", "i", "view", 0), ("b", "u", "i", "view", 30), ("c", "u", "i", "view", 61),
        ("d", "v", "i", "view", 31),
    )  # fmt: skip
    found = _sessions(_in_order(events))
    assert found["a"] == found["b"]
    assert len({found["b"], found["c"], found["d"]}) == 3


def test_a_session_across_midnight_is_the_same_day_by_day_as_at_once(spark: SparkSession) -> None:
    minutes = (700, 715, 725, 750, 800)  # midnight is minute 720
    rows = [(f"e{minute}", "u", "i", "view", minute) for minute in minutes]
    events = _events(spark, *rows)
    at_once = _sessions(_in_order(events))
    midnight = F.lit(NOON + timedelta(hours=12))
    first = _in_order(events.filter(F.col("event_time") < midnight))
    second = _in_order(events.filter(F.col("event_time") >= midnight), context=first)
    assert _sessions(first) | _sessions(second) == at_once
    assert len(set(at_once.values())) == 2


@pytest.mark.parametrize("partitions", [None, 3])
def test_events_that_come_by_user_are_exchanged_once(spark: SparkSession, partitions: int | None) -> None:
    judged = _events(spark, ("a", "u", "i", "view", 0)).selectExpr(
        "*", "1L AS _key", "event_time AS received_at", "'f' AS _file", "1L AS _row_hash",
        "array() AS reasons",
    )  # fmt: skip
    events = finish(judged, F.lit(0), 30, partitions=partitions)
    plan = events._jdf.queryExecution().executedPlan().toString()
    assert plan.count("Exchange hashpartitioning") == 1, plan
