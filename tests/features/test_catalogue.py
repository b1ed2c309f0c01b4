"""What events say of items: the latest word of each part, whatever says nothing of it later."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from features.catalogue import described_in_events
from tests.features.silver import by

NOON = datetime(2026, 2, 1, 12)


def test_the_latest_word_of_each_part_counts(spark: SparkSession) -> None:
    rows: list[tuple[str | None, int, str | None, list[str] | None, str | None, bool, str]] = [
        ("cup", 0, "Mug", ["Kitchen"], "Acme", False, "shop"),
        ("cup", 2, "Cup", None, None, True, "shop"),
        ("cup", 1, "Beaker", None, None, False, "shop"),
        ("cup", 9, None, None, None, False, "till"),
        ("pan", 3, "Pan", None, None, False, "shop"),
        ("pan", 3, "Pot", None, None, False, "shop"),  # at one instant the later by name
        ("lid", 4, None, None, None, False, "shop"),  # in no catalogue, and still an item
        (None, 5, "Nothing", None, None, False, "shop"),
    ]
    schema = (
        "item_id string, minute int, title string, category array<string>, brand string, sensitive boolean, "
        "source string"
    )
    events = spark.createDataFrame(rows, schema).withColumn(
        "event_time", F.lit(NOON) + F.make_dt_interval(mins=F.col("minute"))
    )
    told: dict[str, dict[str, Any]] = by(described_in_events(events), "item_id")
    said = ("title", "category", "brand", "sensitive", "source", "updated_at")
    assert {item: tuple(row[name] for name in said) for item, row in told.items()} == {
        "cup": ("Cup", ["Kitchen"], "Acme", True, "till", NOON + timedelta(minutes=2)),
        "pan": ("Pot", None, None, False, "shop", NOON + timedelta(minutes=3)),
        "lid": (None, None, None, False, "shop", None),
    }
