"""Repurchase: what a person keeps coming back to."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def repurchase(history: DataFrame, popular: DataFrame) -> DataFrame:
    """The history with repurchase_score, and with repurchase_rank from 1 within each user.

    history: user_id, item_id, days, as models.ranking_features.pairs gives it. popular: item_id, score, as
    models.popularity gives it; it settles ties, as a fraction below one: most items were bought once, and among
    them what others buy now is the likelier.
    """
    lately = F.coalesce("popular", F.lit(0.0))
    score = (F.col("days") + lately / (lately + 1000)).cast("double")
    order = Window.partitionBy("user_id").orderBy(F.desc("repurchase_score"), "item_id")
    return (
        history.join(F.broadcast(popular.select("item_id", F.col("score").alias("popular"))), "item_id", "left")
        .withColumn("repurchase_score", score)
        .withColumn("repurchase_rank", F.row_number().over(order))
        .drop("popular")
    )
