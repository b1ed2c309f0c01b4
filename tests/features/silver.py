"""Small silver frames for the tests of features: say what matters, the rest is filled in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lake.delta import user_bucket
from lake.tables import EVENTS, ITEMS, USER_DAY, USER_ITEM_DAY, Table


def at(day: str, hour: int = 12) -> datetime:
    """An instant, UTC."""
    return datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)


def events(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """silver.events of the rows; each needs event_time, everything else has a default."""
    filled = []
    for number, row in enumerate(rows):
        defaults = {
            "event_id": f"event-{number}", "user_id": "anna", "item_id": "tea", "event_type": "purchase",
            "event_date": row["event_time"].date(), "session_id": "session", "quantity": 1.0, "amount": 10.0,
            "currency": "EUR", "device": "web", "source": "shop", "is_bot": False,
        }  # fmt: skip
        filled.append(defaults | row)
    return _frame(spark, EVENTS, filled)


def items(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """silver.items."""
    return _frame(spark, ITEMS, list(rows))


def user_days(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """gold.user_day; each needs event_date; a row is a day with one purchase unless it says otherwise."""
    filled = []
    for row in rows:
        day: date = row["event_date"]
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        defaults = {
            "user_id": "anna", "user_bucket": 0, "events": 1, "sessions": 1, "quick_exits": 0, "back_and_forth": 0,
            "dwell_ms": 0, "orders": 1, "units": 1.0, "amount": 10.0, "amount_returned": 0.0,
            "last_purchase_time": noon, "last_time": noon, "dayparts": {}, "devices": {},
        }  # fmt: skip
        filled.append(defaults | row)
    return _frame(spark, USER_DAY, filled)


def user_item_days(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """gold.user_item_day; each needs event_date; counts are 0 unless given."""
    counts = {item.name: 0 for item in USER_ITEM_DAY.columns if item.type == "long"}
    money = {item.name: 0.0 for item in USER_ITEM_DAY.columns if item.type == "double"}
    base = {"user_id": "anna", "user_bucket": 0, "item_id": "tea", **counts, **money}
    return _frame(spark, USER_ITEM_DAY, [base | row for row in rows])


def _frame(spark: SparkSession, table: Table, rows: list[dict[str, Any]]) -> DataFrame:
    frame = spark.createDataFrame([tuple(row.get(name) for name in table.names) for row in rows], table.schema)
    return frame.withColumn("user_bucket", user_bucket()) if "user_bucket" in table.names else frame


def by(frame: DataFrame, *keys: str) -> dict[Any, dict[str, Any]]:
    """The rows as dictionaries, by the value (or the values) of their keys."""
    rows = [row.asDict(recursive=True) for row in frame.collect()]
    return {row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): row for row in rows}
