"""Windowed popularity: what most people wanted lately, overall and by cohort. Never all-time."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
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


def _count(tiles: DataFrame, by: list[str], as_of: datetime, days: int) -> DataFrame:
    recent = F.col("event_date") >= F.lit((as_of - timedelta(days=days)).date())
    return (
        tiles.where(strength() > 0)
        .groupBy(*by, "item_id")
        .agg(_users(recent).alias("score"), F.count(F.lit(1)).cast("double").alias("older"))
    )


def _users(condition: Column) -> Column:
    return F.count_distinct(F.when(condition, F.col("user_id"))).cast("double")


def counts_of(counts: DataFrame, ids: list[str]) -> np.ndarray:
    """The scores in the order of ids, float32 of shape (items,); zero for the rest."""
    found = {row.item_id: row.score for row in counts.select("item_id", "score").toLocalIterator()}
    return np.array([found.get(name, 0.0) for name in ids], dtype=np.float32)
