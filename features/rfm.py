"""Recency, frequency and monetary value of every user who has bought something, as of a date."""

from __future__ import annotations

from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.quintiles import boundaries, score
from features.segments import GRID
from features.tiles import MICROS, micros_of

# Score and the column it is the quintile of; the fewer days since the last purchase, the better.
SCORES = {"r": "_recent", "f": "frequency", "m": "monetary"}


def rfm(user_day: DataFrame, as_of: datetime | date) -> DataFrame:
    """gold.rfm from the gold.user_day tiles of days strictly before as_of: one row a user with a purchase.

    recency, tenure: days from the UTC day of the last, first purchase to as_of; yesterday is 1.
    monetary: money of purchases less matched returns, not below 0.
    Scores are quintiles among these users: see features/quintiles.py. Segments: see features/segments.py.
    """
    users = purchasing(user_day, as_of).withColumn("_recent", -F.col("recency"))
    bounds = users.agg(*(boundaries(column).alias(f"_{name}_bounds") for name, column in SCORES.items()))
    return (
        users.crossJoin(F.broadcast(bounds))
        .withColumns({name: score(column, f"_{name}_bounds") for name, column in SCORES.items()})
        .withColumn("segment", segment("r", "f", "m"))
        .select(
            "user_id", "user_bucket", "as_of", "recency", "frequency", "monetary", "r", "f", "m", "segment", "tenure",
            "country",
        )
    )  # fmt: skip


def purchasing(user_day: DataFrame, as_of: datetime | date) -> DataFrame:
    """[user_id, user_bucket, as_of, recency, frequency, monetary, tenure, country] of users with a purchase."""
    day = F.lit(as_of.date() if isinstance(as_of, datetime) else as_of)
    bought = F.when(F.col("last_purchase_time").isNotNull(), F.col("event_date"))
    net = micros_of("amount") - micros_of("amount_returned")
    return (
        user_day.filter(F.col("event_date") < day)
        .groupBy("user_id")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            F.max(bought).alias("_last"),
            F.min(bought).alias("_first"),
            F.sum("orders").alias("frequency"),
            (F.greatest(net, F.lit(0)) / MICROS).alias("monetary"),
            F.max(F.when(F.col("country").isNotNull(), F.struct("event_date", "country"))).alias("_country"),
        )
        .filter(F.col("_last").isNotNull())
        .select(
            "user_id",
            "user_bucket",
            day.alias("as_of"),
            F.date_diff(day, "_last").alias("recency"),
            "frequency",
            "monetary",
            F.date_diff(day, "_first").alias("tenure"),
            F.col("_country.country").alias("country"),
        )
    )


def segment(r: str, f: str, m: str) -> Column:
    """The segment of three scores from 1 to 5; frequency and money count as their mean, rounded up."""
    cells = F.array(*(F.lit(name) for row in GRID for name in row))
    frequent = F.ceil((F.col(f) + F.col(m)) / 2)
    return F.element_at(cells, ((F.col(r) - 1) * len(GRID[0]) + frequent).cast("int"))
