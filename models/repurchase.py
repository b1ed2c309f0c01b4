"""Repurchase: what a person keeps coming back to."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def repurchase(history: DataFrame, popular: DataFrame, length: int) -> DataFrame:
    """Each user's own items by the days they were wanted on: user_id, item_id, repurchase_score, repurchase_rank.

    history: user_id, item_id, days, as models.ranking_features.pairs gives it. popular: item_id, score, as
    models.popularity gives it; it settles ties, as a fraction below one: most items were bought once, and among
    them what others buy now is the likelier. The first `length` of each user, ranked from 1.
    """
    lately = F.coalesce("popular", F.lit(0.0))
    scored = history.join(popular.select("item_id", F.col("score").alias("popular")), "item_id", "left").select(
        "user_id", "item_id", (F.col("days") + lately / (lately + 1000)).cast("double").alias("repurchase_score")
    )
    order = Window.partitionBy("user_id").orderBy(F.desc("repurchase_score"), "item_id")
    return scored.withColumn("repurchase_rank", F.row_number().over(order)).where(F.col("repurchase_rank") <= length)
