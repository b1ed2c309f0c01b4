"""Repurchase: what a person keeps coming back to."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def repurchase(history: DataFrame, length: int) -> DataFrame:
    """Each user's own items by how often they were wanted: user_id, item_id, score.

    history: as models.interactions.history gives it. The score is the number of positives; ties go to the
    latest. The tie-break is folded into the score as a fraction below one, so that the score alone orders.
    """
    latest = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc("last_time"), "item_id"))
    scored = history.select("user_id", "item_id", (F.col("times") + F.lit(1.0) / (F.lit(1.0) + latest)).alias("score"))
    order = Window.partitionBy("user_id").orderBy(F.desc("score"), "item_id")
    return (
        scored.withColumn("position", F.row_number().over(order))
        .where(F.col("position") <= length)
        .select("user_id", "item_id", "score")
    )
