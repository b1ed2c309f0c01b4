"""What a user prefers when and where: the broadest categories they lean to in a part of the day, on working days or at
the weekend, on a device, in a place.

That people want other things in other situations is what context-aware recommenders are built on (Adomavicius &
Tuzhilin, "Context-aware recommender systems", Recommender Systems Handbook, 2011). Made from the tiles of the last
CONTEXT_DAYS days alone, so that its cost follows these days and not the history: four whole weeks, in which every
weekday is as often as the others. A tile knows when on its day the item was last touched, and its day the devices and
the country: so what was done with an item counts for the daypart of its last event of the day, for the device that most
of the day's events came from, and for the country the day was last seen from.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.affinity import UNKNOWN_DEVICE, WEIGHTS
from features.leanings import SEPARATOR
from features.lift import PRIOR_EVENTS
from features.packing import PATH
from features.tiles import DAYPARTS

CONTEXTS = ("daypart", "week", "device", "place")
WEEK = ("working day", "weekend")
CONTEXT_DAYS = 28
# A user's strongest keys of a situation that are kept.
KEYS_KEPT = 5


def preferred(
    user_item_day: DataFrame, user_day: DataFrame, keys: DataFrame, items: DataFrame, as_of: date
) -> DataFrame:
    """gold.context as of a date, a row a user, context, situation and category with a positive score there.

    user_item_day, user_day: tiles; days outside the CONTEXT_DAYS before as_of are left out. keys: as
    features/item_history.py keeps them: an event counts for the category of its day; what has none is left out. items:
    [item_id, sensitive]; sensitive ones leave no trace. Weekdays and dayparts are UTC's.

    score: sum of features.affinity.WEIGHTS over the events, undecayed. share: of the positive scores in the situation.
    lift: the share over the category's share in all that the user did in these days, drawn to 1 by PRIOR_EVENTS events
    as features/lift.py does: (n x share + PRIOR_EVENTS x p) / (n + PRIOR_EVENTS) / p, n: events of the situation; null
    where they turn away from the category on the whole. The KEYS_KEPT best of a situation are kept.
    """
    seen = _situations(_done(user_item_day, keys, items, as_of), user_day)
    # All that follows is by user: one exchange serves every aggregate, window and join.
    summed = (
        seen.repartition("user_id")
        .groupBy("user_id", "context", "situation", "key")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            F.sum("weight").alias("score"),
            F.sum("events").alias("evidence"),
        )
    )
    # Every event is of one part of the week.
    whole = summed.filter("context = 'week'").groupBy("user_id", "key").agg(F.sum("score").alias("_score"))
    own = whole.filter("_score > 0").select(
        "user_id", "key", (F.col("_score") / F.sum("_score").over(Window.partitionBy("user_id"))).alias("_own")
    )
    there = Window.partitionBy("user_id", "context", "situation")
    n, p = F.sum("evidence").over(there), F.col("_own")
    share = F.col("score") / F.sum("score").over(there)
    told = (
        summed.filter("score > 0")
        .withColumns({"share": share, "_n": n, "_place": F.row_number().over(there.orderBy(F.desc("score"), "key"))})
        .filter(F.col("_place") <= KEYS_KEPT)
        .join(own, ["user_id", "key"], "left")
    )
    lift = (F.col("_n") * F.col("share") + PRIOR_EVENTS * p) / (F.col("_n") + PRIOR_EVENTS) / p
    return told.select(
        "user_id", "user_bucket", F.lit(as_of).alias("as_of"), "context", "situation", "key", "share",
        lift.alias("lift"), "evidence",
    )  # fmt: skip


def standing(rows: DataFrame, as_of: date) -> DataFrame:
    """What holds as of a date by the rows of gold.context: the newest of each user by then, unless all their days lie
    further back than CONTEXT_DAYS.
    """
    since = F.date_sub(F.lit(as_of), CONTEXT_DAYS)
    known = rows.filter((F.col("as_of") <= F.lit(as_of)) & (F.col("as_of") > since))
    newest = known.groupBy("user_id").agg(F.max("as_of").alias("as_of"))
    return known.join(newest, ["user_id", "as_of"], "left_semi")


def within(as_of: date) -> Column:
    """Whether a tile is of the CONTEXT_DAYS before as_of."""
    day = F.col("event_date")
    return (day < F.lit(as_of)) & (day >= F.date_sub(F.lit(as_of), CONTEXT_DAYS))


def _done(user_item_day: DataFrame, keys: DataFrame, items: DataFrame, as_of: date) -> DataFrame:
    """[user_id, user_bucket, event_date, last_time, key, weight, events]: what was done with items that have a key."""
    weight = sum((F.coalesce(name, F.lit(0)) * weight for name, weight in WEIGHTS.items()), F.lit(0))
    events = sum((F.coalesce(name, F.lit(0)) for name in WEIGHTS), F.lit(0))
    tiles = user_item_day.filter(within(as_of)).select(
        "user_id", "user_bucket", "item_id", "event_date", "last_time", weight.alias("weight"), events.alias("events")
    )
    barred = items.filter("sensitive").select("item_id")
    allowed = tiles.filter("events > 0").join(F.broadcast(barred), "item_id", "left_anti")
    held = (F.col("event_date") >= F.col("valid_from")) & (F.col("event_date") < F.col("valid_until"))
    known = keys.filter(F.col(PATH).isNotNull()).withColumnRenamed("item_id", "_item")
    broadest = F.get(F.split(PATH, SEPARATOR), F.lit(0))
    return allowed.join(known, (F.col("_item") == F.col("item_id")) & held).select(
        "user_id", "user_bucket", "event_date", "last_time", broadest.alias("key"), "weight", "events"
    )


def _situations(done: DataFrame, user_day: DataFrame) -> DataFrame:
    """What was done, a row for each context in which the situation is known."""
    days = user_day.select("user_id", "event_date", _main_device().alias("_device"), F.col("country").alias("_country"))
    part = F.element_at(
        F.array(*map(F.lit, DAYPARTS)), F.floor(F.hour("last_time") * len(DAYPARTS) / 24).cast("int") + 1
    )
    week = F.when(F.weekday("event_date") < 5, WEEK[0]).otherwise(WEEK[1])
    situations = (part, week, F.col("_device"), F.col("_country"))
    entries = (
        F.struct(F.lit(name).alias("context"), value.alias("situation"))
        for name, value in zip(CONTEXTS, situations, strict=True)
    )
    known = F.filter(F.array(*entries), lambda entry: entry["situation"].isNotNull())
    return done.join(days, ["user_id", "event_date"], "left").select(
        "user_id", "user_bucket", "key", "weight", "events", F.inline(known)
    )


def _main_device() -> Column:
    """The known device with most events of the day, of equal ones the first by name; or null."""
    known = F.filter(F.map_entries("devices"), lambda entry: entry["key"] != UNKNOWN_DEVICE)
    order = F.transform(known, lambda entry: F.struct((-entry["value"]).alias("events"), entry["key"].alias("device")))
    return F.array_min(order)["device"]
