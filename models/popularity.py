"""Windowed popularity: what most people wanted lately, overall and by cohort, or at this time a year ago. Never
all-time.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.interactions import strength

DAYS = 30
YEAR = 365


def popularity(pairs: DataFrame, days: int = DAYS) -> DataFrame:
    """Users who wanted the item: item_id, score, older. Keys: item_id.

    pairs: as models.ranking_features.pairs gives them. score counts those of the last `days` days; older counts
    all, and only breaks ties, so that a quiet month still gives a full list.
    """
    return _count(pairs, [], days)


def popularity_by(pairs: DataFrame, cohorts: DataFrame, days: int = DAYS) -> DataFrame:
    """The same within each cohort: rung, cohort, item_id, score, older.

    cohorts: DataFrame[user_id, rung, cohort]; a user may be in several. Null cohorts are left out.
    """
    return _count(pairs.join(cohorts.where(F.col("cohort").isNotNull()), "user_id"), ["rung", "cohort"], days)


def season(tiles: DataFrame, as_of: date, days: int = DAYS) -> DataFrame:
    """item_id, score: users who wanted the item in the `days` from as_of on, a year ago. Keys: item_id.

    tiles: user-item-day tiles of events before as_of. Without any of a year ago there is no row.
    """
    start = F.date_sub(F.lit(as_of), YEAR)
    then = (F.col("event_date") >= start) & (F.col("event_date") < F.date_add(start, days))
    wanted = tiles.where(then).where(strength() > 0)
    return wanted.groupBy("item_id").agg(F.count_distinct("user_id").cast("double").alias("score"))


def counts_of(counts: DataFrame, ids: list[str]) -> np.ndarray:
    """The scores in the order of ids, float32 of shape (items,); zero for the rest."""
    table = counts.select("item_id", "score").toArrow()
    found = dict(zip(table["item_id"].to_pylist(), table["score"].to_pylist(), strict=True))
    return np.array([found.get(name, 0.0) for name in ids], dtype=np.float32)


def _count(pairs: DataFrame, by: list[str], days: int) -> DataFrame:
    recent = F.count_if(F.col("x_idle") <= days).cast("double")
    return pairs.groupBy(*by, "item_id").agg(recent.alias("score"), F.count(F.lit(1)).cast("double").alias("older"))
