"""What counts as a person wanting an item, once for events and once for day tiles.

A positive is a purchase, a like, or a rating of at least GOOD_RATING. Retail logs have the first, rating
logs the last; the models need not know which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError

GOOD_RATING = 4.0
DAMPINGS = ("none", "log", "one")

# Columns of user-item-day tiles by the event type they count.
COUNTS = {
    "view": "views", "click": "clicks", "add_to_cart": "adds_to_cart", "purchase": "purchases", "like": "likes",
}  # fmt: skip


@dataclass(frozen=True)
class Confidence:
    """How much what a person did with an item says that they want it. weights: of one event, by type; "rate" is a
    good rating; types that are not named count nothing. half_life: days after which an event counts half; None:
    never. damping: "none" adds events up, "log" takes ln(1 + sum), "one" only sees that there was one.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: {"purchase": 1.0, "like": 1.0, "rate": 1.0, "add_to_cart": 0.3, "click": 0.1,
                                 "view": 0.05}
    )  # fmt: skip
    half_life: float | None = 60.0
    damping: Literal["none", "log", "one"] = "none"

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter, what was got and what is allowed."""
        if self.damping not in DAMPINGS:
            raise ModelError(f"confidence: got damping={self.damping!r}; allowed: {', '.join(DAMPINGS)}")
        if self.half_life is not None and not self.half_life > 0:
            raise ModelError(f"confidence: got half_life={self.half_life}; it must be above 0")


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


def labels(positives: DataFrame) -> DataFrame:
    """user_id, item_id, label (1.0): one row a user and item that was wanted."""
    return positives.select("user_id", "item_id").distinct().withColumn("label", F.lit(1.0))


def strength() -> Column:
    """On user-item-day tiles: how many positives the day holds. Never null."""
    parts = (F.col("purchases"), F.col("likes"), _good_ratings())
    total = F.coalesce(parts[0], F.lit(0))
    for part in parts[1:]:
        total = total + F.coalesce(part, F.lit(0))
    return total.cast("double")


def _good_ratings() -> Column:
    """On user-item-day tiles: good ratings of the day, or null.

    A tile knows only the mean of its ratings; more than one rating of an item by a person in a day is rare.
    """
    return F.when(F.col("rating_sum") >= GOOD_RATING * F.col("ratings"), F.col("ratings"))


def confidences(tiles: DataFrame, as_of: datetime, how: Confidence) -> DataFrame:
    """user_id, item_id, confidence (above zero); one row a user and item.

    tiles: user-item-day tiles of events before as_of. An event's age is that of the latest of its day.
    """
    counts = {kind: F.col(name) for kind, name in COUNTS.items()} | {"rate": _good_ratings()}
    total: Column = F.lit(0.0)
    for kind, weight in sorted(how.weights.items()):
        total = total + F.coalesce(counts[kind], F.lit(0)) * float(weight)
    if how.half_life is not None:
        age = (F.lit(as_of).cast("double") - F.col("last_time").cast("double")) / 86400
        total = total * F.pow(F.lit(0.5), age / how.half_life)
    said = tiles.select("user_id", "item_id", total.alias("confidence")).where("confidence > 0")
    summed = said.groupBy("user_id", "item_id").agg(F.sum("confidence").alias("confidence"))
    damped = {"none": F.col("confidence"), "log": F.log1p("confidence"), "one": F.lit(1.0)}[how.damping]
    return summed.select("user_id", "item_id", damped.cast("float").alias("confidence")).where("confidence > 0")
