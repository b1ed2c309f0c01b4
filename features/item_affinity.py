"""What each user leans to, item by item: features/affinity.py at its finest, as of a date, from tiles.

score = sum over events of weight(type) x 2^(-age in days / half-life); share, lift and recent score as there. It is no
part of the state, whose rows would grow as long as the history: it costs the tiles that it is given, so give it those
of the users that are asked about, and the population's once.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.affinity import HALF_LIFE_DAYS, RECENT_HALF_LIFE_DAYS, WEIGHTS
from features.lift import lifted, shares

DIMENSION = "item"
# Scores are whole multiples of 2^-26 a tile, so that a sum is the same in any order.
UNIT = 2.0**26


def item_affinity(
    user_item_day: DataFrame, population: DataFrame, as_of: date, half_life_days: float = HALF_LIFE_DAYS
) -> DataFrame:
    """[user_id, user_bucket, as_of, dimension ("item"), key (the item), score, share, lift, recent_score, recent_share,
    evidence]: a row a user and item with a positive score, from tiles of days strictly before as_of.

    Columns as in gold.affinity. population: item_shares of everybody's tiles. Items need be in no catalogue.
    """
    summed = _weighed(user_item_day, as_of, half_life_days).groupBy("user_id", "item_id").agg(
        F.max("user_bucket").alias("user_bucket"),
        *(F.sum(name).alias(name) for name in ("units", "recent", "evidence")),
    )  # fmt: skip
    of_user = Window.partitionBy("user_id")
    liked = F.greatest("recent", F.lit(0))
    rows = summed.filter("units > 0").select(
        "user_id", "user_bucket", F.lit(as_of).alias("as_of"), F.lit(DIMENSION).alias("dimension"),
        F.col("item_id").alias("key"),
        (F.col("units") / UNIT).alias("score"),
        (F.col("units") / F.sum("units").over(of_user)).alias("share"),
        (F.col("recent") / UNIT).alias("recent_score"),
        F.try_divide(liked, F.sum(liked).over(of_user)).alias("recent_share"),
        "evidence",
        F.sum("evidence").over(of_user).alias("known"),
    )  # fmt: skip
    return lifted(rows, population)


def item_shares(user_item_day: DataFrame, as_of: date, half_life_days: float = HALF_LIFE_DAYS) -> DataFrame:
    """features.lift.shares of the items, from tiles of days strictly before as_of."""
    weighed = _weighed(user_item_day, as_of, half_life_days)
    return shares(weighed.select(F.lit(DIMENSION).alias("dimension"), F.col("item_id").alias("key"), "units"))


def _weighed(tiles: DataFrame, as_of: date, half_life_days: float) -> DataFrame:
    """The tiles that say anything about liking: units and recent (of either half-life), evidence."""
    weight = sum((F.col(name) * weight for name, weight in WEIGHTS.items()), F.lit(0))
    events = sum((F.col(name) for name in WEIGHTS), F.lit(0))
    age = F.date_diff(F.lit(as_of), "event_date")

    def units(half_life: float) -> Column:
        return F.rint(weight * F.pow(F.lit(0.5), age / F.lit(float(half_life))) * UNIT).cast("long")

    return tiles.filter(F.col("event_date") < F.lit(as_of)).select(
        "user_id", "user_bucket", "item_id", units(half_life_days).alias("units"),
        units(RECENT_HALF_LIFE_DAYS).alias("recent"), events.alias("evidence"),
    ).filter("evidence > 0")  # fmt: skip
