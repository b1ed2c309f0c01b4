"""Windowed popularity: what most people wanted lately, overall and by cohort. Never all-time."""

from __future__ import annotations

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

DAYS = 30


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


def counts_of(counts: DataFrame, ids: list[str]) -> np.ndarray:
    """The scores in the order of ids, float32 of shape (items,); zero for the rest."""
    table = counts.select("item_id", "score").toArrow()
    found = dict(zip(table["item_id"].to_pylist(), table["score"].to_pylist(), strict=True))
    return np.array([found.get(name, 0.0) for name in ids], dtype=np.float32)


def _count(pairs: DataFrame, by: list[str], days: int) -> DataFrame:
    recent = F.count_if(F.col("x_idle") <= days).cast("double")
    return pairs.groupBy(*by, "item_id").agg(recent.alias("score"), F.count(F.lit(1)).cast("double").alias("older"))
