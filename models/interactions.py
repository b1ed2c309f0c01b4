"""What counts as a person wanting an item, once for events and once for day tiles.

A positive is a purchase, a like, or a rating of at least GOOD_RATING. Retail logs have the first, rating
logs the last; the models need not know which.
"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

GOOD_RATING = 4.0


def is_positive() -> Column:
    """On silver.events: whether the event is a positive. Never null."""
    liked = (F.col("event_type") == "rate") & (F.col("rating") >= GOOD_RATING)
    return F.coalesce(F.col("event_type").isin("purchase", "like") | liked, F.lit(False))


def positives(events: DataFrame) -> DataFrame:
    """The positive events, each with a user and an item: user_id, item_id, event_time, event_date."""
    known = F.col("user_id").isNotNull() & F.col("item_id").isNotNull() & F.col("event_time").isNotNull()
    return events.where(known & is_positive()).select("user_id", "item_id", "event_time", "event_date")


def before(events: DataFrame, instant: datetime) -> DataFrame:
    """The events strictly before the instant."""
    return events.where(F.col("event_time") < F.lit(instant))


def between(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """The events at or after start and strictly before end."""
    return events.where((F.col("event_time") >= F.lit(start)) & (F.col("event_time") < F.lit(end)))


def strength() -> Column:
    """On user-item-day tiles: how many positives the day holds. Never null.

    A tile knows only the mean of its ratings; more than one rating of an item by a person in a day is rare.
    """
    rated = F.when(F.col("rating_sum") >= GOOD_RATING * F.col("ratings"), F.col("ratings"))
    parts = (F.col("purchases"), F.col("likes"), rated)
    total = F.coalesce(parts[0], F.lit(0))
    for part in parts[1:]:
        total = total + F.coalesce(part, F.lit(0))
    return total.cast("double")
