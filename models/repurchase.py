"""Repurchase: what a person keeps coming back to, and what of it is due again."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from features.due_again import PRIOR_OWN_GAPS, drawn
from models.ranking_features import item_features


def repurchase(history: DataFrame, popular: DataFrame, gaps: DataFrame) -> DataFrame:
    """The history with repurchase_score, with repurchase_rank from 1 within each user, and with x_due_again and
    due_again_score.

    x_due_again: time since the last want in cycles of this person and item, the person's own mean gap drawn to the
    item's; null where nobody ever wanted anything twice. due_again_score: what is overdue sinks, by the root of its
    cycles beyond the first; the form was chosen among others (docs/decisions/sources.md).

    history: user_id, item_id, days, x_idle, x_age, as models.ranking_features.pairs gives them. popular: item_id,
    score, as models.popularity gives it; it settles ties, as a fraction below one: most items were bought once, and
    among them what others buy now is the likelier. gaps: as usual_gaps gives them, of all users.
    """
    lately = F.coalesce("popular", F.lit(0.0))
    score = (F.col("days") + lately / (lately + 1000)).cast("double")
    cycle = drawn(F.col("x_age") - F.col("x_idle"), F.col("days") - 1, F.col("i_gap"), PRIOR_OWN_GAPS)
    order = Window.partitionBy("user_id").orderBy(F.desc("repurchase_score"), "item_id")
    return (
        history.join(F.broadcast(popular.select("item_id", F.col("score").alias("popular"))), "item_id", "left")
        .join(F.broadcast(gaps), "item_id", "left")
        .withColumns({"repurchase_score": score, "x_due_again": F.try_divide(F.col("x_idle"), cycle)})
        .withColumns(
            {
                "due_again_score": F.col("repurchase_score") / F.sqrt(F.greatest("x_due_again", F.lit(1.0))),
                "repurchase_rank": F.row_number().over(order),
            }
        )
        .drop("popular", "i_gap")
    )


def usual_gaps(history: DataFrame) -> DataFrame:
    """item_id, i_gap: days between two wants of a user. history: as above, of all users."""
    return item_features(history).select("item_id", "i_gap")
