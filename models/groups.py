"""Groups of users that every metric is told of apart: how much they did, who they are, where, how well known."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.quintiles import boundaries, score
from models.candidates import Catalogue, profiles
from models.ranking_features import Facts

THIRDS = ("low", "medium", "high")
# Of so few items hardly a taste can be told: the two to five events of cold start.
COLD_ITEMS = 5
# Stages of acquaintance, by positive events before the window.
STAGES = ("0", "1", "2_to_5", "6_or_more")
# The largest by themselves, the rest together.
COUNTRIES = 10
OTHER = "other"


def described(asked: DataFrame, facts: Facts, catalogue: Catalogue) -> DataFrame:
    """The users asked about with what is known of them before the facts' instant: asked, and profile, groups.

    asked: as models.split.truth gives it. profile: array of item, weight (days on which it was wanted); sorted by item.
    groups: "activity/low", "medium", "high" by thirds of these users' numbers of items, ties together;
    "history/cold" up to COLD_ITEMS items, "history/warm" beyond; "acquaintance/1", "2_to_5", "6_or_more" by positive
    events, of which an item may have several; "segment/<RFM segment>" and "country/<code>" of those who have one, the
    COUNTRIES with most users by name and "country/other".
    """
    own = facts.pairs.join(asked.select("user_id"), "user_id", "left_semi")
    history = profiles(
        own.withColumns({**dict.fromkeys(("weight", "often", "due"), F.col("days")), "own": F.lit(False)}), catalogue
    )
    events = own.groupBy("user_id").agg(F.sum("times").alias("_events"))
    known = (
        asked.join(history, "user_id")
        .join(events, "user_id")
        .join(facts.rfm.select("user_id", "segment", "country"), "user_id", "left")
        .withColumn("_items", F.size("profile").cast("double"))
    )
    thirds = known.agg(boundaries("_items", len(THIRDS)).alias("_thirds"))
    largest = known.where("country IS NOT NULL").groupBy("country").count()
    named = largest.orderBy(F.desc("count"), "country").limit(COUNTRIES).select("country", F.lit(True).alias("_named"))
    third = F.element_at(F.array(*(F.lit(name) for name in THIRDS)), score("_items", "_thirds"))
    country = F.when(F.col("country").isNotNull(), F.when(F.col("_named"), F.col("country")).otherwise(OTHER))
    _, first, few, many = STAGES
    stage = F.when(F.col("_events") <= 1, first).when(F.col("_events") <= COLD_ITEMS, few).otherwise(many)
    groups = F.array_compact(
        F.array(
            _named("activity", third),
            _named("history", F.when(F.col("_items") <= COLD_ITEMS, "cold").otherwise("warm")),
            _named("acquaintance", stage),
            _named("segment", F.col("segment")),
            _named("country", country),
        )
    )
    return (
        known.join(F.broadcast(named), "country", "left")
        .crossJoin(F.broadcast(thirds))
        .select(*asked.columns, "profile", groups.alias("groups"))
    )


def _named(kind: str, value: Column) -> Column:
    """Null when the value is."""
    return F.concat(F.lit(f"{kind}/"), value)
