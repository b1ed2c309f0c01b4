"""The generator's genuine events as silver.events has them once they are clean, and its catalogue, both as Parquet.

Generating, ingesting and cleaning a year of files would take longer than what is measured of it. These are the very
events that `attune generate` writes into files: people with tastes and devices, visits of eight events on average,
seasons, popular items; without what cleaning would take out again (defects, bots).
"""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.console import timed
from lake import delta
from lake.generator import Params
from lake.generator.catalogue import item_id, items
from lake.generator.events import of_people
from lake.generator.people import user_id
from lake.tables import EVENTS, ITEMS


def write_genuine(spark: SparkSession, params: Params, folder: Path) -> None:
    """Write folder/events and folder/items. params: without bots."""
    timed(f"writing {params.events:,} events", lambda: _events(spark, params).write.parquet(str(folder / "events")))
    catalogue = items(spark, params).withColumn("category", F.array("department", "range", "type"))
    catalogue = catalogue.withColumn("source", F.lit("generated"))
    delta.conform(delta.completed(catalogue, ITEMS), ITEMS).write.parquet(str(folder / "items"))


def _events(spark: SparkSession, params: Params) -> DataFrame:
    rows = of_people(spark, params)
    found = {
        "event_id": F.concat(F.lit("e"), "id"),
        "user_id": user_id(params, F.col("user")),
        "item_id": item_id(params, F.col("item")),
        "session_id": F.concat(F.lit("s"), "session"),
        "event_type": F.col("type"),
        "event_time": F.col("at"),
        "event_date": F.to_date("at"),
        "amount": F.round(F.col("quantity") * F.col("price"), 2),
        "currency": F.lit("EUR"),
        "source": F.lit("generated"),
        "is_bot": F.lit(False),
    }
    named = rows.withColumns(found).withColumn("user_bucket", delta.user_bucket())
    return delta.conform(delta.completed(named, EVENTS), EVENTS)
