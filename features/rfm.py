"""Recency, frequency and monetary value of every user who has bought something, as of a date."""

from __future__ import annotations

from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.facts import day_of, facts, users
from features.quintiles import boundaries, score
from features.segments import GRID
from features.tiles import MICROS

# Score and the column it is the quintile of; the fewer days since the last purchase, the better.
SCORES = {"r": "_recent", "f": "frequency", "m": "monetary"}


def rfm(user_day: DataFrame, as_of: datetime | date) -> DataFrame:
    """gold.rfm from the gold.user_day tiles of days strictly before as_of: one row a user with a purchase."""
    day = as_of.date() if isinstance(as_of, datetime) else as_of
    return scored(users(facts(user_day.filter(F.col("event_date") < F.lit(day)))), day)


def unscored(users: DataFrame, as_of: date | Column) -> DataFrame:
    """[user_id, user_bucket, as_of, recency, frequency, monetary, tenure, country]: a row a user who bought.

    users: as features.facts.users gives them, from days strictly before as_of, which is a date or a column of theirs.
    recency, tenure: days from the UTC day of the last, first purchase to as_of; yesterday is 1.
    monetary: money of purchases less matched returns, not below 0.
    """
    day = day_of(as_of)
    return users.filter(F.col("last_purchase").isNotNull()).select(
        "user_id",
        "user_bucket",
        day.alias("as_of"),
        F.date_diff(day, "last_purchase").alias("recency"),
        F.col("orders").alias("frequency"),
        (F.greatest("net_micros", F.lit(0)) / MICROS).alias("monetary"),
        F.date_diff(day, "first_purchase").alias("tenure"),
        F.col("country"),
    )


def scored(users: DataFrame, as_of: date) -> DataFrame:
    """gold.rfm of users, as unscored() has them, with scores and segment.

    Scores are quintiles among these users: see features/quintiles.py. Segments: see features/segments.py.
    """
    bought = unscored(users, as_of).withColumn("_recent", -F.col("recency"))
    bounds = bought.agg(*(boundaries(column).alias(f"_{name}_bounds") for name, column in SCORES.items()))
    return (
        bought.crossJoin(F.broadcast(bounds))
        .withColumns({name: score(column, f"_{name}_bounds") for name, column in SCORES.items()})
        .withColumn("segment", segment("r", "f", "m"))
        .select(
            "user_id", "user_bucket", "as_of", "recency", "frequency", "monetary", "r", "f", "m", "segment", "tenure",
            "country",
        )
    )  # fmt: skip


def segment(r: str, f: str, m: str) -> Column:
    """The segment of three scores from 1 to 5; frequency and money count as their mean, rounded up."""
    cells = F.array(*(F.lit(name) for row in GRID for name in row))
    frequent = F.ceil((F.col(f) + F.col(m)) / 2)
    return F.element_at(cells, ((F.col(r) - 1) * len(GRID[0]) + frequent).cast("int"))
