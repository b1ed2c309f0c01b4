"""Which kinds of events people use, and which they pass by.

From the item tiles of HABIT_DAYS and the searches of features.intent.SEARCH_DAYS alone, so that its cost follows these
days and not the history. How common a kind of event has to be for its absence to say something, and how much somebody
must have done for it, is a choice and not a measurement.
"""

from __future__ import annotations

from datetime import date
from functools import reduce
from operator import add

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.tiles import COUNTED

HABIT_DAYS = 28
# By kind of event, what counts it. What people are shown they have not done.
DONE = {kind: name for kind, name in COUNTED.items() if kind != "impression"} | {"search": "searches"}
# Who did fewer things has passed nothing by; a kind that fewer people use is passed by by nearly all.
LEAST_EVENTS, LEAST_SHARE = 10, 0.1


def habits(user_item_day: DataFrame, searches: DataFrame, as_of: date) -> DataFrame:
    """[user_id, used, ignored] of gold.engagement: a row a user who did anything in these days.

    user_item_day: tiles; days outside the HABIT_DAYS before as_of are left out. searches: [user_id, searches], as
    features.intent.searches gives them as of the same date. used: the kinds of DONE that the user did, the most often
    first, of equal ones in the order of DONE. ignored: those that at least LEAST_SHARE of the people with LEAST_EVENTS
    events did, and this user, with as many, did not; null for who did less.
    """
    day = F.col("event_date")
    within = user_item_day.filter((day < F.lit(as_of)) & (day >= F.date_sub(F.lit(as_of), HABIT_DAYS)))
    counts = {kind: name for kind, name in DONE.items() if kind != "search"}
    done = within.groupBy("user_id").agg(*(F.sum(name).alias(name) for name in counts.values()))
    people = done.join(searches.select("user_id", "searches"), "user_id", "full").fillna(0)
    total = reduce(add, (F.col(name) for name in DONE.values()))
    busy = total >= LEAST_EVENTS
    common = people.filter(busy).agg(
        *(F.avg((F.col(name) > 0).cast("double")).alias(f"_{name}") for name in DONE.values())
    )
    passed = [
        F.when((F.col(name) == 0) & (F.col(f"_{name}") >= LEAST_SHARE), F.lit(kind)) for kind, name in DONE.items()
    ]
    ignored = F.when(busy, F.array_compact(F.array(*passed)))
    told = people.crossJoin(F.broadcast(common)).filter(total > 0)
    return told.select("user_id", _used().alias("used"), ignored.alias("ignored"))


def _used() -> Column:
    """The kinds with an event, the most often first."""
    kinds = F.array(
        *(
            F.struct((-F.col(name)).alias("events"), F.lit(place).alias("place"), F.lit(kind).alias("kind"))
            for place, (kind, name) in enumerate(DONE.items())
        )
    )
    done = F.filter(F.sort_array(kinds), lambda entry: entry["events"] < 0)
    return F.transform(done, lambda entry: entry["kind"])
