"""What needs a person's events in order: duplicates, returns, bots and sessions.

Every window below is partitioned by user_id first. Events that come in partitions by user_id are not exchanged again;
left to itself Spark exchanges them three times, by user and what else each window asks for.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

RETURN_DAYS = 180
BROWSING = ("impression", "view", "click", "search")
BOT_EVENTS_A_DAY = 500
BOT_SECONDS_BETWEEN = 2.0


def mark_duplicates(events: DataFrame) -> DataFrame:
    """Add is_duplicate: all but the first received row of an event_id, and of a natural key.

    events: [user_id, event_id, _natural_key, received_at, _file, _row_hash, ...]. The first is the earliest
    received; among rows received together, the least by file and content, so that a repeat marks the same rows.
    """
    order = ("received_at", "_file", "_row_hash")
    by_key = Window.partitionBy("user_id", "_natural_key").orderBy(*order)
    by_id = Window.partitionBy("user_id", "event_id").orderBy(*order)
    return (
        events.withColumn("_repeat", F.row_number().over(by_key) > 1)
        .withColumn("is_duplicate", (F.row_number().over(by_id) > 1) | F.col("_repeat"))
        .drop("_repeat")
    )


def match_returns(events: DataFrame, earlier: DataFrame | None = None) -> DataFrame:
    """Add returned_event_id to returns: the user's latest purchase of the item in the RETURN_DAYS before it.

    events and earlier have [event_id, user_id, item_id, event_type, event_time]; earlier holds purchases from
    before the events' window, or is None when there are none. Null where the log holds no such purchase, and for
    events that are no returns.
    """
    purchase = F.when(F.col("event_type") == "purchase", F.struct("event_time", "event_id"))
    before = (
        Window.partitionBy("user_id", "item_id")
        .orderBy("event_time", F.when(F.col("event_type") == "return", 1).otherwise(0), "event_id")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    joined = events
    latest = F.last(purchase, ignorenulls=True).over(before)
    if earlier is not None:
        # One row a user and item is enough: only the latest purchase before the window can matter.
        context = earlier.groupBy("user_id", "item_id").agg(
            F.max(F.when(F.col("event_type") == "purchase", F.struct("event_time", "event_id"))).alias("_earlier")
        )
        joined = events.join(F.broadcast(context), ["user_id", "item_id"], "left")
        latest = F.coalesce(latest, F.col("_earlier"))
    recent = latest["event_time"] >= F.col("event_time") - F.expr(f"INTERVAL {RETURN_DAYS} DAYS")
    return joined.withColumn(
        "returned_event_id", F.when((F.col("event_type") == "return") & recent, latest["event_id"])
    ).drop("_earlier")


def mark_bots(events: DataFrame) -> DataFrame:
    """Add is_bot: a user's day of at least BOT_EVENTS_A_DAY browsing events, less than two seconds apart on average.

    Purchases never count: a wholesaler's invoice has hundreds of lines in one second.
    """
    day = Window.partitionBy("user_id", "event_date")
    browsing = F.col("event_type").isin(*BROWSING)
    count = F.sum(F.when(browsing, 1).otherwise(0)).over(day)
    times = F.when(browsing, F.unix_micros("event_time"))
    span = (F.max(times).over(day) - F.min(times).over(day)) / 1e6
    mean_gap = span / F.greatest(count - 1, F.lit(1))
    busy = (count >= BOT_EVENTS_A_DAY) & (mean_gap < BOT_SECONDS_BETWEEN)
    return events.withColumn("is_bot", F.coalesce(busy, F.lit(False)))


def sessionise(events: DataFrame, gap_minutes: int, context: DataFrame | None = None) -> DataFrame:
    """Add session_id: a session ends when the user is inactive for longer than the gap.

    context: [user_id, event_time, session_id], events of the last gap before the window, or None when there are
    none; a session that runs across the window's start keeps its id, so that day by day equals all at once.
    A new session's id is a hash of user and first instant.
    """
    if context is None:
        joined = events.withColumn("_context_time", F.lit(None).cast("timestamp"))
        joined = joined.withColumn("_context_session", F.lit(None).cast("string"))
    else:
        last = context.groupBy("user_id").agg(
            F.max("event_time").alias("_context_time"), F.max_by("session_id", "event_time").alias("_context_session")
        )
        joined = events.join(F.broadcast(last), "user_id", "left")
    # By date first, which is the same order: marking bots then finds the events sorted as it wants them.
    order = Window.partitionBy("user_id").orderBy("event_date", "event_time", "event_id")
    previous = F.coalesce(F.lag("event_time").over(order), F.col("_context_time"))
    first_in_window = F.lag("event_time").over(order).isNull()
    quiet = F.unix_micros("event_time") - F.unix_micros(previous) > gap_minutes * 60_000_000
    fresh = F.coalesce(quiet, F.lit(True))
    own_id = F.sha2(F.concat_ws("\u0000", "user_id", F.unix_micros("event_time").cast("string")), 256).substr(1, 32)
    opened = F.when(fresh, own_id).when(first_in_window, F.col("_context_session"))
    upto = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return (
        joined.withColumn("_opened", opened)
        .withColumn("session_id", F.last("_opened", ignorenulls=True).over(upto))
        .drop("_opened", "_context_time", "_context_session")
    )
