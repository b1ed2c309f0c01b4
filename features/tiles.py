"""Day tiles: what one user did in one UTC day. All features are made from tiles, never from raw events.

events: the columns of silver.events. Bots are left out. Money and units are summed as whole millionths, so
that the order in which Spark meets the rows leaves no trace in the last digits.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

MICROS = 1e6

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
    quick exit on a day that has one event of it.
    """
    # By user from the start: one exchange serves all that follows.
    return _days(_first_lines(_visits(_people(events).repartition("user_id"))))


def _visits(people: DataFrame) -> DataFrame:
    """A row a user, day, session, device, country and order: few rows, made by sums of fixed size only.

    Spark aggregates by hashing as long as every buffer has a fixed size; sets, maps and structs wait for _days.
    """
    session = F.concat(F.lit("session "), F.coalesce("session_id", "event_id"))
    order = F.coalesce(F.concat(F.lit("order "), "order_id"), session)
    return (
        people.withColumn("device", F.coalesce("device", F.lit("unknown")))
        .withColumn("order", F.when(_is("purchase"), order))
        .groupBy("user_id", "event_date", "session_id", "device", "country", "source", "order")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            F.count(F.lit(1)).alias("events"),
            *(F.count_if(F.col("_part") == index).alias(part) for index, part in enumerate(DAYPARTS)),
            micros_of("quantity", _is("purchase")).alias("units"),
            micros_of("amount", _is("purchase")).alias("amount"),
            micros_of("amount", _matched_return()).alias("amount_returned"),
            F.coalesce(F.sum("dwell_ms"), F.lit(0)).alias("dwell_ms"),
            F.max(F.when(_is("purchase"), F.col("event_time"))).alias("last_purchase_time"),
            F.max("event_time").alias("last_time"),
        )
    )


def _first_lines(visits: DataFrame) -> DataFrame:
    """Add new_order: the order, on the day of its first line; else null."""
    first_day = F.min("event_date").over(Window.partitionBy("user_id", "source", "order"))
    starts = F.col("order").isNotNull() & (F.col("event_date") == first_day)
    return visits.withColumn("new_order", F.when(starts, F.struct("source", "order")))


def _days(visits: DataFrame) -> DataFrame:
    """Visits to days."""
    seen = F.when(F.col("country").isNotNull(), F.struct("last_time", "country"))
    devices = F.collect_list(F.struct("device", "events"))
    return (
        visits.groupBy("user_id", "event_date")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            F.sum("events").alias("events"),
            F.size(F.collect_set("session_id")).cast("long").alias("sessions"),
            F.sort_array(F.collect_list(F.struct("session_id", "events"))).alias("_sessions"),
            F.sum("dwell_ms").alias("dwell_ms"),
            F.size(F.collect_set("new_order")).cast("long").alias("orders"),
            *(_money(F.sum(name)).alias(name) for name in ("units", "amount", "amount_returned")),
            F.max("last_purchase_time").alias("last_purchase_time"),
            F.max("last_time").alias("last_time"),
            _parts().alias("dayparts"),
            devices.alias("_devices"),
            F.max(seen)["country"].alias("country"),
        )
        .withColumn("devices", _by_device(F.col("_devices")))
        .withColumn("quick_exits", _quick_exits(F.col("_sessions")))
        .drop("_devices", "_sessions")
    )


def sign_of(tiles: DataFrame) -> Column:
    """What a tile counts as: its column sign, -1 for one that is taken back; 1 where tiles have none."""
    return F.col("sign") if "sign" in tiles.columns else F.lit(1).alias("sign")


def signed(*names: str) -> list[Column]:
    """The columns by their names, each times the column sign."""
    return [(F.col(name) * F.col("sign")).alias(name) for name in names]


def _people(events: DataFrame) -> DataFrame:
    """Events of people, with the index of their daypart."""
    part = F.floor(F.hour("event_time") / HOURS_A_PART).cast("int")
    return events.filter(~F.coalesce("is_bot", F.lit(False))).withColumn("_part", part)


def _is(kind: str) -> Column:
    return F.col("event_type") == kind


def _matched_return() -> Column:
    return _is("return") & F.col("returned_event_id").isNotNull()


def micros_of(column: str, when: Column | None = None) -> Column:
    """Aggregate: the column's sum in whole millionths, over the rows of the kind; 0 when there are none."""
    micros = F.rint(F.col(column) * MICROS).cast("long")
    return F.coalesce(F.sum(micros if when is None else F.when(when, micros)), F.lit(0))


def _money(micros: Column) -> Column:
    return micros / F.lit(MICROS)


def _parts() -> Column:
    """Aggregate: map daypart -> events, of the parts that have any."""
    parts = F.array(*(F.struct(F.lit(part), F.sum(part).cast("double").alias("count")) for part in DAYPARTS))
    return F.map_from_entries(F.filter(parts, lambda part: part["count"] > 0))


def _quick_exits(visits: Column) -> Column:
    """Sessions with one event, from an ordered array of (session_id, events). One of several visits has several."""

    def quick(visit: Column, place: Column) -> Column:
        beside = [F.get(visits, place + step)["session_id"].eqNullSafe(visit["session_id"]) for step in (-1, 1)]
        return visit["session_id"].isNotNull() & (visit["events"] == 1) & ~beside[0] & ~beside[1]

    # Most days have one visit: no need of functions that Spark calls value by value.
    first = F.get(visits, F.lit(0))
    alone = (first["session_id"].isNotNull() & (first["events"] == 1)).cast("int")
    return F.when(F.size(visits) == 1, alone).otherwise(F.size(F.filter(visits, quick))).cast("long")


def _by_device(visits: Column) -> Column:
    """map device -> events, in the order of the names, from an array of (device, events)."""
    names = F.array_sort(F.array_distinct(visits["device"]))

    def counted(name: Column) -> Column:
        of_device = F.filter(visits, lambda visit: visit["device"] == name)
        return F.aggregate(of_device, F.lit(0.0), lambda total, visit: total + visit["events"])

    one = F.create_map(visits["device"][0], visits["events"][0].cast("double"))
    return F.when(F.size(visits) == 1, one).otherwise(F.map_from_arrays(names, F.transform(names, counted)))
