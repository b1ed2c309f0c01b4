"""Day tiles: what one user did in one UTC day. All features are made from tiles, never from raw events.

events: the columns of silver.events. Bots are left out. Money and units are summed as decimals, so that the
order in which Spark meets the rows leaves no trace in the last digits.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

EXACT = "decimal(20,6)"

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

DAYPARTS = ("night", "morning", "afternoon", "evening")
HOURS_A_PART = 24 // len(DAYPARTS)


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
            _total("rating", _is("rate")).alias("rating_sum"),
            _total("quantity", _is("purchase")).alias("units"),
            _total("quantity", _matched_return()).alias("units_returned"),
            _total("amount", _is("purchase")).alias("amount"),
            _total("amount", _matched_return()).alias("amount_returned"),
            F.coalesce(F.sum("dwell_ms"), F.lit(0)).alias("dwell_ms"),
            F.max("event_time").alias("last_time"),
        )
    )


def user_day(events: DataFrame) -> DataFrame:
    """gold.user_day: user x day.

    An order counts on the day of its first line among the events, so give the events of a day more than are
    kept: an order that spans midnight then counts once, whichever windows its days are computed in.
    """
    people = _people(events)
    by_device = people.groupBy("user_id", "event_date", F.coalesce("device", F.lit("unknown")).alias("device")).agg(
        F.max("user_bucket").alias("user_bucket"),
        F.count(F.lit(1)).alias("events"),
        F.collect_set("session_id").alias("sessions"),
        *(F.count_if(F.col("_part") == index).alias(part) for index, part in enumerate(DAYPARTS)),
        F.sum(F.when(_is("purchase"), F.col("quantity").cast(EXACT))).alias("units"),
        F.sum(F.when(_is("purchase"), F.col("amount").cast(EXACT))).alias("amount"),
        F.sum(F.when(_matched_return(), F.col("amount").cast(EXACT))).alias("amount_returned"),
        F.max(F.when(_is("purchase"), F.col("event_time"))).alias("last_purchase_time"),
        F.max("event_time").alias("last_time"),
        F.max(F.when(F.col("country").isNotNull(), F.struct("event_time", "country"))).alias("country"),
    )
    days = by_device.groupBy("user_id", "event_date").agg(
        F.max("user_bucket").alias("user_bucket"),
        F.sum("events").alias("events"),
        F.size(F.array_distinct(F.flatten(F.collect_list("sessions")))).cast("long").alias("sessions"),
        _sum_or_zero("units"),
        _sum_or_zero("amount"),
        _sum_or_zero("amount_returned"),
        F.max("last_purchase_time").alias("last_purchase_time"),
        F.max("last_time").alias("last_time"),
        _parts().alias("dayparts"),
        _map(F.sort_array(F.collect_list(F.struct("device", F.col("events").cast("double"))))).alias("devices"),
        F.max("country")["country"].alias("country"),
    )
    orders = _orders(people)
    return days.join(orders, ["user_id", "event_date"], "left").withColumn("orders", F.coalesce("orders", F.lit(0)))


def _people(events: DataFrame) -> DataFrame:
    """Events of people, with the index of their daypart."""
    part = F.floor(F.hour("event_time") / HOURS_A_PART).cast("int")
    return events.filter(~F.coalesce("is_bot", F.lit(False))).withColumn("_part", part)


def _orders(people: DataFrame) -> DataFrame:
    """[user_id, event_date, orders]: distinct orders by the day of their first purchase.

    Where a source names no orders, the purchases of one session are one.
    """
    named = F.concat(F.lit("order "), "order_id")
    order = F.coalesce(named, F.concat(F.lit("session "), F.coalesce("session_id", "event_id")))
    first_lines = (
        people.filter(_is("purchase"))
        .groupBy("user_id", "source", order.alias("order"))
        .agg(F.min("event_date").alias("event_date"))
    )
    return first_lines.groupBy("user_id", "event_date").agg(F.count(F.lit(1)).alias("orders"))


def _is(kind: str) -> Column:
    return F.col("event_type") == kind


def _matched_return() -> Column:
    return _is("return") & F.col("returned_event_id").isNotNull()


def _total(column: str, when: Column) -> Column:
    """The column's sum over the rows of the kind; 0 when there are none."""
    return F.coalesce(F.sum(F.when(when, F.col(column).cast(EXACT))).cast("double"), F.lit(0.0))


def _sum_or_zero(column: str) -> Column:
    return F.coalesce(F.sum(column).cast("double"), F.lit(0.0)).alias(column)


def _parts() -> Column:
    """map daypart -> events, of the parts that have any."""
    parts = F.array(*(F.struct(F.lit(part), F.sum(part).cast("double").alias("count")) for part in DAYPARTS))
    return _map(F.filter(parts, lambda part: part["count"] > 0))


def _map(entries: Column) -> Column:
    return F.map_from_entries(entries)
