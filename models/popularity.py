"""Windowed popularity: what most people wanted lately, overall and by cohort. Never all-time."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from models.interactions import strength

DAYS = 30


def popularity(tiles: DataFrame, as_of: datetime, days: int = DAYS) -> DataFrame:
    """Distinct users a positive in the window: item_id, score, older. Keys: item_id.

    tiles: user-item-day tiles of events before as_of. score counts the last `days` days before as_of; older
    counts all before, and only breaks ties, so that a quiet month still gives a full list.
    """
    return _count(tiles, [], as_of, days)


def popularity_by(tiles: DataFrame, cohorts: DataFrame, as_of: datetime, days: int = DAYS) -> DataFrame:
    """The same within each cohort: rung, cohort, item_id, score, older.

    cohorts: DataFrame[user_id, rung, cohort]; a user may be in several. Null cohorts are left out.
    """
    wanted = tiles.join(cohorts.where(F.col("cohort").isNotNull()), "user_id")
    return _count(wanted, ["rung", "cohort"], as_of, days)


def top(counts: DataFrame, length: int, by: tuple[str, ...] = ()) -> DataFrame:
    """The first `length` items (of each cohort), with rank from 1. Ties go to the smaller item_id."""
    order = Window.partitionBy(*by).orderBy(F.desc("score"), F.desc("older"), "item_id")
    return counts.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= length)


def popular_for(users: DataFrame, counts: DataFrame, length: int) -> DataFrame:
    """The most popular items as candidates of every user: user_id, item_id, score.

    Items that nobody wanted in the window are no candidates.
    """
    best = top(counts.where("score > 0"), length).select("item_id", "score")
    return users.select("user_id").crossJoin(F.broadcast(best))


def _count(tiles: DataFrame, by: list[str], as_of: datetime, days: int) -> DataFrame:
    recent = F.col("event_date") >= F.lit((as_of - timedelta(days=days)).date())
    return (
        tiles.where(strength() > 0)
        .groupBy(*by, "item_id")
        .agg(_users(recent).alias("score"), F.count(F.lit(1)).cast("double").alias("older"))
    )


def _users(condition: Column) -> Column:
    return F.count_distinct(F.when(condition, F.col("user_id"))).cast("double")
