"""Rows of bronze for tests of what comes after it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lake.sources.columns import bronze_name
from lake.sources.mapping import Mapping

RECEIVED = datetime(2024, 6, 30, 12)

MAPPING = """
name = "shop"

[events]
format = "csv"

[events.columns]
event_id = "id"
user_id = "user"
item_id = "item"
event_type = "kind"
event_time = "time"
order_id = "order"
quantity = "quantity"
unit_price = "price"
amount = "amount"
currency = "currency"
country = "country"
device = "device"
title = "title"
query = "query"

[events.values.country]
Somewhere = ""

[events.time]
format = ["yyyy-MM-dd HH:mm:ss"]

[events.identity]
natural_key = ["user", "item", "kind", "time", "order", "quantity"]

[events.cancellation]
column = "order"
prefix = "C"

[events.not_items]
pattern = "^POST$"

[sensitive]
categories = ["wines?"]
"""


def shop() -> Mapping:
    """A small source that gives most columns."""
    return Mapping.parse(MAPPING, "tests")


ROW = {"user": "u1", "item": "i1", "kind": "purchase", "time": "2024-06-01 10:00:00", "order": "o1", "quantity": "1",
       "price": "2.5", "currency": "GBP", "country": "United Kingdom", "device": "web", "title": "Tea"}  # fmt: skip


def bronze(spark: SparkSession, *rows: dict[str, Any], window_date: date | None = None) -> DataFrame:
    """Rows of bronze.shop: ROW with the given changes; ids are numbered from 0 unless given."""
    columns = [*shop().events.source_columns]
    values = []
    for number, changes in enumerate(rows):
        row = {**ROW, "id": str(number), **changes}
        day = window_date or date.fromisoformat(row["time"][:10])
        values.append((*(row.get(name) for name in columns), row.get("_corrupt"), "events/a.csv", RECEIVED, day, day))
    schema = ", ".join(f"`{bronze_name(name)}` string" for name in columns)
    more = "_corrupt_record string, _file string, _received_at timestamp, _logical_date date, _window_date date"
    return spark.createDataFrame(values, f"{schema}, {more}")
