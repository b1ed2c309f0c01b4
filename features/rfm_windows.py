"""RFM of the last days alone, in as many windows as are asked for: who bought much this month, this quarter, this year.

A window of w days holds the w days before as_of. Scores are quintiles among the users of the window, as in
features/rfm.py (Hughes, "Strategic Database Marketing", 1994), to which this is the same with a past that ends.
Read from the state: a night costs what it costs to read its users, whatever the windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.facts import CALENDAR_DAYS
from features.quintiles import boundaries, score
from features.rfm import SCORES
from features.tiles import MICROS


def windowed(users: DataFrame, as_of: date, windows: Sequence[int]) -> DataFrame:
    """gold.rfm_windows as of a date: a row a user and window with an order in it.

    users: as features.facts.users gives them, from days strictly before as_of. recency: days from the last purchase to
    as_of. frequency: orders that began in the window. monetary: money of the window's purchases less matched returns
    that came in it, not below 0. Raises ValueError for windows that are not whole days from 1 to CALENDAR_DAYS, each
    once: no more is kept.
    """
    kept = all(1 <= days <= CALENDAR_DAYS for days in windows)
    if not windows or not kept or len(set(windows)) < len(windows):
        allowed = f"whole days from 1 to {CALENDAR_DAYS}, each once"
        raise ValueError(f"got windows of {list(windows)} days; allowed are {allowed}")
    each = users.withColumn("window_days", F.explode(F.array(*map(F.lit, windows))))
    within = F.filter("bought", lambda bought: bought["day"] >= F.date_sub(F.lit(as_of), F.col("window_days")))
    bought = (
        each.withColumn("_bought", within)
        .select(
            "user_id", "user_bucket", F.lit(as_of).alias("as_of"), "window_days",
            F.date_diff(F.lit(as_of), "last_purchase").alias("recency"), _total("orders").alias("frequency"),
            (F.greatest(_total("net_micros"), F.lit(0)) / MICROS).alias("monetary"),
        )
        .filter("frequency > 0")
        .withColumn("_recent", -F.col("recency"))
    )  # fmt: skip
    bounds = bought.groupBy("window_days").agg(
        *(boundaries(column).alias(f"_{name}_bounds") for name, column in SCORES.items())
    )
    scored = bought.join(F.broadcast(bounds), "window_days")
    return scored.withColumns({name: score(column, f"_{name}_bounds") for name, column in SCORES.items()}).select(
        "user_id", "user_bucket", "as_of", "window_days", "recency", "frequency", "monetary", *SCORES
    )


def _total(name: str) -> Column:
    return F.aggregate("_bought", F.lit(0).cast("long"), lambda total, bought: total + bought[name])
