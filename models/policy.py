"""What may be shown: rules that hold whatever a model says.

Never: sensitive items, items that are not available on the day, items the user hid or disliked; personal lists
for users who do not consent or who want none. An item that no catalogue names is allowed: nothing is known
against it, and logs without a catalogue must work.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

AGAIN, NEW, POPULAR = "again", "new", "popular"
# Nothing is random yet: every row that is shown was chosen with certainty.
CERTAIN = 1.0


def allowed_items(rows: DataFrame, items: DataFrame, day: date) -> DataFrame:
    """The rows whose item may be shown on the day. rows: item_id, ... items: silver.items."""
    too_early = F.col("available_from") > F.lit(day)
    too_late = F.col("available_to") < F.lit(day)
    barred = F.coalesce(F.col("sensitive"), F.lit(False)) | F.coalesce(
        too_early | too_late, too_early, too_late, F.lit(False)
    )
    return rows.join(F.broadcast(items.where(barred).select("item_id")), "item_id", "left_anti")


def without_refused(rows: DataFrame, tiles: DataFrame) -> DataFrame:
    """The rows whose item the user has neither hidden nor disliked. tiles: user-item-day tiles before the day."""
    refused = tiles.where("hides > 0 OR dislikes > 0").select("user_id", "item_id").distinct()
    return rows.join(refused, ["user_id", "item_id"], "left_anti")


def personal_users(users: DataFrame, profiles: DataFrame, refusing: DataFrame) -> DataFrame:
    """user_id of those who may get a personal list.

    users: DataFrame[user_id], all who could. profiles: silver.users; the level "none" or "segment" means no
    personal list. refusing: DataFrame[user_id], those who do not consent.
    """
    impersonal = profiles.where(F.lower("personalisation_level").isin("none", "segment")).select("user_id")
    kept = users.select("user_id").distinct().join(refusing.select("user_id"), "user_id", "left_anti")
    return kept.join(impersonal, "user_id", "left_anti")


def best(rows: DataFrame, by: tuple[str, ...], length: int, order_by: str = "score") -> DataFrame:
    """The first `length` rows of each list, highest order_by first, with rank from 1 and propensity. Ties go to the
    higher score, then to the smaller id.
    """
    order = Window.partitionBy(*by).orderBy(F.desc(order_by), F.desc("score"), "item_id")
    ranked = rows.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= length)
    return ranked.withColumn("propensity", F.lit(CERTAIN))


def as_lists(rows: DataFrame, by: tuple[str, ...], items: DataFrame) -> DataFrame:
    """One row a list: `by` and items, the array that lake.tables describes, in order of rank.

    rows: by, item_id, rank, score, source, reason, slot_kind, propensity. Titles come from silver.items; an item
    without one is called by its id.
    """
    titles = items.select("item_id", "title")
    entry = F.struct(
        F.col("rank").cast("int").alias("rank"),
        F.col("item_id"),
        F.coalesce("title", "item_id").alias("title"),
        F.col("score").cast("double").alias("score"),
        F.col("source"),
        F.col("reason"),
        F.col("slot_kind"),
        F.col("propensity").cast("double").alias("propensity"),
    )
    named = rows.join(F.broadcast(titles), "item_id", "left")
    return named.groupBy(*by).agg(F.sort_array(F.collect_list(entry)).alias("items"))
