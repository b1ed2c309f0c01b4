"""Day tiles: what one user did in one UTC day. All features are made from tiles, never from raw events.

events: the columns of silver.events. Bots are left out. Money and units are summed as whole millionths, so
that the order in which Spark meets the rows leaves no trace in the last digits.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.days import MICROS, days

COUNTED = {
    "impression": "impressions",
    "view": "views",
    "click": "clicks",
    "purchase": "purchases",
    "return": "returns",
    "like": "likes",
    "dislike": "dislikes",
    "hide": "hides",
    "add_to_cart": "adds_to_cart",
    "remove_from_cart": "removes_from_cart",
    "rate": "ratings",
}

# What brings somebody to an item.
LOOKED = ("view", "click")

DAYPARTS = ("night", "morning", "afternoon", "evening")


def user_item_day(events: DataFrame) -> DataFrame:
    """gold.user_item_day: user x item x day.

    `returns` counts every return; units_returned and amount_returned only those whose purchase is in the log.
    """
    counts = [F.count_if(_is(kind)).alias(name) for kind, name in COUNTED.items()]
    return (
        _people(events)
        .filter(F.col("item_id").isNotNull())
        .groupBy("user_id", "item_id", "event_date")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            *counts,
            _money(micros_of("rating", _is("rate"))).alias("rating_sum"),
            _money(micros_of("quantity", _is("purchase"))).alias("units"),
            _money(micros_of("quantity", _matched_return())).alias("units_returned"),
            _money(micros_of("amount", _is("purchase"))).alias("amount"),
            _money(micros_of("amount", _matched_return())).alias("amount_returned"),
            F.coalesce(F.sum("dwell_ms"), F.lit(0)).alias("dwell_ms"),
            F.max("event_time").alias("last_time"),
        )
    )


def user_day(events: DataFrame) -> DataFrame:
    """gold.user_day: user x day.

    An order counts on the day of its first line among the events, so give the events of a day more than are
    kept: an order that spans midnight then counts once, whichever windows its days are computed in. Where a source
    names no orders, the purchases of one session are one. A session that spans midnight is one of either day, and a
    quick exit on a day that has one event of it. back_and_forth: how often somebody who went from one item to another
    was back with the first within features.days.RAPID, in one session and on one day; of looks at one instant nobody
    knows the order, and they count as going forth alone.
    """
    purchase = _is("purchase")
    by_session = F.xxhash64("source", F.lit("session"), F.coalesce("session_id", "event_id"))
    by_order = F.xxhash64("source", F.lit("order"), "order_id")
    order = F.when(F.col("order_id").isNull(), by_session).otherwise(by_order)
    rows = _people(events).select(
        "user_id", "user_bucket", F.coalesce("device", F.lit("unknown")).alias("device"), "country",
        F.when(F.col("session_id").isNotNull(), F.xxhash64("session_id")).alias("session"),
        F.when(purchase, order).alias("order"),
        F.when(F.col("event_type").isin(*LOOKED), F.xxhash64("item_id")).alias("item"),
        _or_none(_micros("quantity"), purchase).alias("units"),
        _or_none(_micros("amount"), purchase | _matched_return()).alias("amount"),
        F.coalesce("dwell_ms", F.lit(0)).alias("dwell_ms"),
        F.unix_micros("event_time").alias("at"),
    )  # fmt: skip
    return days(rows, DAYPARTS)


def in_order(tiles: DataFrame) -> DataFrame:
    """The tiles of each partition in the order of their days, to be written: who reads the last days of a file that
    holds a year passes over the pages of all others.
    """
    return tiles.sortWithinPartitions("event_date")


def sign_of(tiles: DataFrame) -> Column:
    """What a tile counts as: its column sign, -1 for one that is taken back; 1 where tiles have none."""
    return F.col("sign") if "sign" in tiles.columns else F.lit(1).alias("sign")


def signed(*names: str) -> list[Column]:
    """The columns by their names, each times the column sign."""
    return [(F.col(name) * F.col("sign")).alias(name) for name in names]


def _people(events: DataFrame) -> DataFrame:
    """Events of people."""
    return events.filter(~F.coalesce("is_bot", F.lit(False)))


def _is(kind: str) -> Column:
    return F.col("event_type") == kind


def _matched_return() -> Column:
    return _is("return") & F.col("returned_event_id").isNotNull()


def micros_of(column: str, when: Column | None = None) -> Column:
    """Aggregate: the column's sum in whole millionths, over the rows of the kind; 0 when there are none."""
    micros = _micros(column)
    return F.coalesce(F.sum(micros if when is None else F.when(when, micros)), F.lit(0))


def _micros(column: str) -> Column:
    return F.rint(F.col(column) * MICROS).cast("long")


def _or_none(micros: Column, when: Column) -> Column:
    """The number on rows of the kind; 0 elsewhere, and where there is none."""
    return F.coalesce(F.when(when, micros), F.lit(0))


def _money(micros: Column) -> Column:
    return micros / F.lit(MICROS)
