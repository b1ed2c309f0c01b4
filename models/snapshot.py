"""Tonight's lists: candidates, ranked, filtered by policy, with reasons; and the fallbacks for everybody else."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.affinity import item_keys
from models import hybrid
from models.diversity import marginal
from models.hybrid import Parameters, Sources
from models.policy import AGAIN, NEW, POPULAR, allowed_items, as_lists, best, personal_users, without_refused
from models.popularity import popularity, popularity_by
from models.ranker import Ranker, score
from models.ranking_features import Facts, key_of
from models.reasons import popular_reason, source, with_reasons

# A cohort of fewer people would show what one of them bought.
LEAST_COHORT = 5
# Stages of people who by definition did nothing lately.
SILENT = ("at_risk", "lapsed")


def personal_lists(
    sources: Sources,
    ranker: Ranker,
    tiles: DataFrame,
    profiles: DataFrame,
    refusing: DataFrame,
    length: int,
    parameters: Parameters,
) -> DataFrame:
    """user_id, segment, country, stage, items of every user who has a history and may get a personal list.

    tiles: user-item-day tiles before the day. profiles: silver.users. refusing: DataFrame[user_id] of those who
    do not consent.
    """  # fmt: skip
    facts, day = sources.facts, sources.facts.as_of.date()
    users = personal_users(facts.pairs.select("user_id"), profiles, refusing)
    features = hybrid.candidate_features(sources, users, parameters)
    scored = score(features, ranker).withColumn("source", source())
    kept = ("user_id", "item_id", "score", "source", "seen", "b_category", "i_users7", "i_users30")
    shown = without_refused(allowed_items(scored.select(*kept), facts.items, day), tiles)
    varied = marginal(shown, facts.items, parameters.diversity)
    ranked = best(varied, ("user_id",), length, order_by="marginal")
    slot = F.when(F.col("seen") > 0, AGAIN).otherwise(NEW)
    keys = item_keys(facts.items).select("item_id", key_of("category").alias("key_category"))
    # What must not be recommended must not be named either.
    nameable = without_refused(allowed_items(facts.pairs, facts.items, day), tiles)
    own = hybrid.explained(sources, ranked, nameable, parameters)
    reasoned = with_reasons(own, facts.pairs, keys, facts.items).withColumn("slot_kind", slot)
    known = facts.rfm.select("user_id", "segment", "country")
    lists = as_lists(reasoned, ("user_id",), facts.items).join(known, "user_id", "left")
    return lists if facts.engaged is None else lists.join(facts.engaged.select("user_id", "stage"), "user_id", "left")


def fallback_lists(facts: Facts, length: int) -> DataFrame:
    """rung, cohort, items: popular items of each segment, stage and country with LEAST_COHORT users, of the time of the
    year where the log is older than a year, and of all. A stage has a list where its people wanted anything lately:
    those who are at risk or have lapsed fall through to what their country wants now.
    """
    rungs = F.array(
        *(F.struct(F.lit(rung).alias("rung"), F.col(rung).alias("cohort")) for rung in ("segment", "country"))
    )
    members = facts.rfm.select("user_id", F.inline(rungs)).where(F.col("cohort").isNotNull())
    if facts.engaged is not None:
        lively = facts.engaged.where(~F.col("stage").isin(*SILENT))
        members = members.unionByName(
            lively.select("user_id", F.lit("stage").alias("rung"), F.col("stage").alias("cohort"))
        )
    large = (
        members.groupBy("rung", "cohort").agg(F.count(F.lit(1)).alias("users")).where(F.col("users") >= LEAST_COHORT)
    )
    cohorts = members.join(F.broadcast(large.drop("users")), ["rung", "cohort"])
    everyone = popularity(facts.pairs).select(F.lit("global").alias("rung"), F.lit("all").alias("cohort"), "*")
    counts = popularity_by(facts.pairs, cohorts).unionByName(everyone)
    if facts.season is not None:
        yearly = facts.season.where(F.col("score") >= LEAST_COHORT).withColumn("older", F.lit(0.0))
        counts = counts.unionByName(yearly.select(F.lit("season").alias("rung"), F.lit("all").alias("cohort"), "*"))
    return _cohort_lists(counts, facts.items, facts.as_of.date(), length)


def _cohort_lists(counts: DataFrame, items: DataFrame, day: date, length: int) -> DataFrame:
    # Older wants only break ties: they stay below the half that tells two counts apart.
    order = F.col("score") + F.col("older") / (F.col("older") + 1) * 0.5
    shown = allowed_items(counts, items, day).withColumn("reason", popular_reason(F.col("rung")))
    ranked = best(shown.withColumn("score", order), ("rung", "cohort"), length)
    named = ranked.withColumn("source", F.lit("popularity")).withColumn("slot_kind", F.lit(POPULAR))
    return as_lists(named, ("rung", "cohort"), items)
