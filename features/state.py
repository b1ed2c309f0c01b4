"""The state of every user, from which RFM, engagement, value and affinities are read as of a date, kept up by changes
of tiles.

What features.facts.users knows of them, and what they lean to: see features/affinity.py and, for how it is held,
features/packing.py. Counts, money and units are whole numbers, so that a tile can be added or taken back exactly and in
any order: kept up by changes, the state equals the one made from nothing, to the last bit. What cannot be taken back
(the first and the last day of something) is noticed, and those users alone are made from their tiles again.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.affinity import HALF_LIFE_DAYS, anchor_of, leanings, period_of
from features.facts import BOUGHT, ENDS, SUMS, all_bought, calendar, ends, facts, latest_bought, users
from features.leanings import merged

COLUMNS = ("user_id", "user_bucket", *SUMS, *ENDS, "country", "country_day", "calendar", "bought", "period", "packed")


def from_nothing(
    user_item_day: DataFrame,
    user_day: DataFrame,
    keys: DataFrame,
    as_of: date,
    half_life_days: float = HALF_LIFE_DAYS,
) -> DataFrame:
    """The state as of a date, from all tiles of days strictly before it. keys: features.item_history.versions."""
    before, anchor = F.col("event_date") < F.lit(as_of), anchor_of(as_of, half_life_days)
    days = user_day.filter(before)
    parts = leanings(user_item_day.filter(before), days, keys, anchor, half_life_days)
    found = users(facts(days)).join(parts.drop("user_bucket"), "user_id", "left")
    return found.withColumn("packed", F.coalesce("packed", F.lit(b""))).select(*COLUMNS)


def changed(
    state: DataFrame,
    item_changes: DataFrame,
    day_changes: DataFrame,
    keys: DataFrame,
    anchor: date,
    half_life_days: float = HALF_LIFE_DAYS,
) -> DataFrame:
    """The state's rows of those users whose tiles have changed, as they are now, `added` and `uncertain`.

    item_changes, day_changes: rows of gold.user_item_day and gold.user_day with a column sign: 1 for a tile that the
    state does not hold yet, -1 for one it holds that is no more; a corrected tile is both. A tile that is taken and
    given back is no change. added: packed leanings of the changes alone, by which those of the row differ from before.
    uncertain: the row cannot be told from the changes; make it with from_nothing from the user's tiles. days = 0: the
    user has no tile any more.
    """
    # All that follows is by user: one exchange serves every aggregate and join.
    day_changes = day_changes.repartition("user_id")
    new = _user_changes(day_changes)
    parts = leanings(item_changes, day_changes, keys, anchor, half_life_days)
    parts = parts.select(
        "user_id", F.col("user_bucket").alias("_bucket"), F.col("packed").alias("added"),
        F.col("period").alias("added_period"),
    )  # fmt: skip
    # Tiles went of someone the state does not know: forgotten meanwhile, and perhaps back with the same tiles.
    unknown = (
        day_changes.filter("sign < 0")
        .select("user_id")
        .distinct()
        .join(state.select("user_id"), "user_id", "left_anti")
        .withColumn("unknown", F.lit(True))
    )
    # Of the others, most on most nights, nothing is exchanged: so few names as a day holds go to every task.
    named = day_changes.select("user_id").unionByName(item_changes.select("user_id"))
    known = _prefixed(state.join(named, "user_id", "left_semi"))
    both = new.join(parts, "user_id", "full").join(unknown, "user_id", "full").join(known, "user_id", "left")
    rows = both.select(
        "user_id",
        F.coalesce("user_bucket", "_bucket").alias("user_bucket"),
        *((F.coalesce(f"old_{name}", F.lit(0)) + F.coalesce(name, F.lit(0))).alias(name) for name in SUMS),
        *(_farther(f"old_{end}", end).alias(end) for end in ENDS),
        F.when(_moved(), F.col("country")).otherwise(F.col("old_country")).alias("country"),
        F.greatest("old_country_day", "country_day").alias("country_day"),
        _days_together().alias("calendar"),
        _bought_together().alias("bought"),
        F.greatest("old_period", "added_period").alias("period"),
        F.col("old_packed").alias("packed"),
        F.col("old_period").alias("packed_period"),
        "added",
        "added_period",
        _uncertain().alias("uncertain"),
    )
    return merged(rows, "packed", "added")


def _user_changes(day_changes: DataFrame) -> DataFrame:
    """As features.facts.users of the days that came, and the days that went, a row a user.

    A day that is both taken back and given again, with the same facts, is no change at all.
    """
    net = (
        facts(day_changes)
        .groupBy("user_id", "event_date", "country")
        .agg(F.max("user_bucket").alias("user_bucket"), *(F.sum(name).alias(name) for name in SUMS))
        .filter(" OR ".join(f"{name} <> 0" for name in SUMS))
    )
    day = F.col("event_date")
    came = F.when((F.col("days") > 0) & F.col("country").isNotNull(), F.struct("event_date", "country"))
    return (
        net.groupBy("user_id")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            *(F.sum(name).alias(name) for name in SUMS),
            *ends(),
            *ends(gone=True),
            F.collect_set(F.when(F.col("days") > 0, day)).alias("days_come"),
            F.collect_set(F.when(F.col("days") < 0, day)).alias("days_gone"),
            all_bought().alias("bought"),
            F.max(came).alias("_came"),
            F.max(F.when((F.col("days") < 0) & F.col("country").isNotNull(), day)).alias("country_gone"),
        )
        .withColumn("country", F.col("_came.country"))
        .withColumn("country_day", F.col("_came.event_date"))
        .drop("_came")
    )


def _prefixed(state: DataFrame) -> DataFrame:
    return state.select("user_id", *(F.col(name).alias(f"old_{name}") for name in COLUMNS if name != "user_id"))


def _moved() -> Column:
    """Whether the latest day with a country is among those that came."""
    return F.col("country_day").isNotNull() & (
        F.col("old_country_day").isNull() | (F.col("country_day") >= F.col("old_country_day"))
    )


def _uncertain() -> Column:
    """Whether the end of a range went and nothing came that reaches as far; or the user is unknown."""
    country = (F.col("country_gone") == F.col("old_country_day")) & ~_moved()
    # A period of which every day that came went again.
    last = period_of(_farther("old_last_active", "last_active"))
    beyond = F.greatest("old_period", "added_period") > last
    uncertain = F.col("unknown").isNotNull() | F.coalesce(country, F.lit(False)) | F.coalesce(beyond, F.lit(False))
    for end in ENDS:
        reached = F.coalesce(F.col(end) == _farther(f"old_{end}", end), F.lit(False))
        uncertain |= F.coalesce((F.col(f"{end}_gone") == F.col(f"old_{end}")) & ~reached, F.lit(False))
    return uncertain


def _farther(one: str, other: str) -> Column:
    """Of two first days the earlier, of two last days the later."""
    return F.least(one, other) if other.startswith("first") else F.greatest(one, other)


def _days_together() -> Column:
    """The calendar without the days that went and with those that came; a day whose tile was corrected is both."""
    names, none = ("old_calendar", "days_gone", "days_come"), F.array().cast("array<date>")
    old, gone, come = (F.coalesce(name, none) for name in names)
    days = F.array_union(F.array_except(old, gone), come)
    return calendar(days, _farther("old_last_active", "last_active"))


def _bought_together() -> Column:
    """What was bought on the days that have not changed, and on the others what the changes add up to with it."""
    old, change = (F.coalesce(name, F.array().cast(BOUGHT)) for name in ("old_bought", "bought"))
    days = F.array_distinct(F.transform(change, lambda entry: entry["day"]))
    both = F.concat(old, change)

    def total(entries: Column, name: str) -> Column:
        return F.aggregate(entries, F.lit(0).cast("long"), lambda sum, entry: sum + entry[name]).alias(name)

    def of_day(day: Column) -> Column:
        on_day = F.filter(both, lambda entry: entry["day"] == day)
        return F.struct(day.alias("day"), *(total(on_day, name) for name in ("orders", "net_micros")))

    same = F.filter(old, lambda entry: ~F.array_contains(days, entry["day"]))
    moved = F.filter(F.transform(days, of_day), lambda entry: (entry["orders"] != 0) | (entry["net_micros"] != 0))
    return latest_bought(F.concat(same, moved), _farther("old_last_active", "last_active"))
