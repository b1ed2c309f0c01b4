"""Cold start: users and items of which little is known, judged beside the lists that serving falls back on.

A user's acquaintance is the number of their positive events before the window that is asked about. An item is

    known      first wanted NEW_DAYS days or more before the window
    new        first wanted before the window, less than NEW_DAYS days before it
    unwanted   never wanted before the window, but in an event before it: viewed, put into a cart, shown
    unseen     in no event before the window. silver.items does not say since when it names an item: no row of it counts

Only what was wanted before can be in a list, so that what is wanted of the last two kinds nobody could foretell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.groups import STAGES
from models.interactions import before
from models.lists import LISTS
from models.metrics import LONGEST, RELEVANT, STRANGERS
from models.per_user import EXPECTED
from models.ranking_features import Facts

# The list that serving gives whoever has none of their own, judged as one more model.
LADDER = "ladder"
RUNGS = ("segment", "stage", "country")
# What has a list for a user without history.
ANSWER_STRANGERS = (EXPECTED, LADDER)
# The places of a fallback list that are read, so that LONGEST are left when what the user had is left out.
DEPTH = 5 * LONGEST

NEW_DAYS = 30
KNOWN, NEW, UNWANTED, UNSEEN = "known", "new", "unwanted", "unseen"


@dataclass(frozen=True)
class Wants:
    """What was wanted of a kind of items. wants: pairs of user and item; share: of all such pairs."""

    wants: int
    share: float
    users: int
    items: int


def ladder_lists(users: DataFrame, days: DataFrame, facts: Facts, fallbacks: DataFrame) -> DataFrame:
    """The list serving would give each user who has none of their own: user_id, ladder_items, ladder_new_items (without
    what the user had), arrays of at most LONGEST item_ids, best first. Keys: user_id.

    The rungs are those of serving.opened: the list of the user's segment, else of their stage, their country, that of
    all; a cohort without a list is passed over. users: DataFrame[user_id]. days: user-day tiles before facts.as_of;
    the latest country counts. fallbacks: as models.snapshot.fallback_lists gives them of the same facts, DEPTH long.
    """
    asked = users.select("user_id").distinct()
    own = days.where("country IS NOT NULL").join(asked, "user_id", "left_semi").groupBy("user_id")
    countries = own.agg(F.max(F.struct("event_date", "country"))["country"].alias("country"))
    had = facts.pairs.join(asked, "user_id", "left_semi").groupBy("user_id").agg(F.collect_set("item_id").alias("_had"))
    nobody = asked.select("user_id", F.lit(None).alias("stage")).limit(0)
    stages = nobody if facts.engaged is None else facts.engaged.select("user_id", "stage")
    found = (
        asked.join(facts.rfm.select("user_id", "segment"), "user_id", "left")
        .join(stages, "user_id", "left")
        .join(countries, "user_id", "left")
        .join(had, "user_id", "left")
    )
    ids = F.transform("items", lambda item: item["item_id"])
    for rung in RUNGS:
        lists = fallbacks.where(F.col("rung") == rung).select(F.col("cohort").alias(rung), ids.alias(f"_{rung}"))
        found = found.join(F.broadcast(lists), rung, "left")
    everyone = fallbacks.where("rung = 'global'").select(ids.alias("_global"))
    found = found.join(F.broadcast(everyone), F.lit(True), "left")
    best = F.coalesce(*(f"_{rung}" for rung in RUNGS), "_global")
    fresh = F.array_except(best, F.coalesce("_had", F.array().cast("array<string>")))
    return found.select(
        "user_id",
        F.slice(best, 1, LONGEST).alias(f"{LADDER}_{LISTS['all']}"),
        F.slice(fresh, 1, LONGEST).alias(f"{LADDER}_{LISTS['new']}"),
    )


def strangers_lists(ladder: DataFrame, popular: DataFrame) -> DataFrame:
    """The lists of users without history by ANSWER_STRANGERS: user_id, <model>_items.

    ladder: as ladder_lists gives them. popular: as models.popularity.popularity gives it.
    """
    first = popular.orderBy(F.desc("score"), "item_id").limit(LONGEST)
    entries = F.sort_array(F.collect_list(F.struct((-F.col("score")).alias("order"), "item_id")))
    listed = first.agg(F.transform(entries, lambda entry: entry["item_id"]).alias(f"{EXPECTED}_{LISTS['all']}"))
    return ladder.select("user_id", f"{LADDER}_{LISTS['all']}").crossJoin(F.broadcast(listed))


def strangers_described(truth: DataFrame) -> DataFrame:
    """Users without history as models.groups.described gives others: user_id, relevant_strangers, groups.

    truth: as models.split.truth gives it of strangers.
    """
    groups = F.array(F.lit(f"acquaintance/{STAGES[0]}"))
    return truth.select("user_id", F.col("relevant").alias(RELEVANT[STRANGERS]), groups.alias("groups"))


def item_kinds(wanted: DataFrame, tiles: DataFrame, instant: datetime) -> DataFrame:
    """item_id, kind: KNOWN, NEW or UNWANTED; UNSEEN items have no row. Keys: item_id.

    wanted: positives; those at or after the instant are left out. tiles: user-item-day tiles of events before it.
    """
    firsts = before(wanted, instant).groupBy("item_id").agg(F.min("event_time").alias("_first"))
    recent = F.col("_first") > F.lit(instant - timedelta(days=NEW_DAYS))
    kind = F.when(F.col("_first").isNull(), UNWANTED).when(recent, NEW).otherwise(KNOWN)
    return tiles.select("item_id").distinct().join(firsts, "item_id", "full").select("item_id", kind.alias("kind"))


def wants_by_kind(wanted: DataFrame, kinds: DataFrame) -> dict[str, Wants]:
    """What was wanted of each kind of items, by whomever. One action.

    wanted: the positives of the window asked about. kinds: as item_kinds gives them as of its start.
    """
    asked = wanted.select("user_id", "item_id").distinct().join(kinds, "item_id", "left")
    found = (
        asked.groupBy(F.coalesce("kind", F.lit(UNSEEN)).alias("kind"))
        .agg(
            F.count(F.lit(1)).alias("wants"),
            F.count_distinct("user_id").alias("users"),
            F.count_distinct("item_id").alias("items"),
        )
        .collect()
    )
    total = max(1, sum(row.wants for row in found))
    told = {row.kind: Wants(row.wants, row.wants / total, row.users, row["items"]) for row in found}
    return {kind: told.get(kind, Wants(0, 0.0, 0, 0)) for kind in (KNOWN, NEW, UNWANTED, UNSEEN)}
