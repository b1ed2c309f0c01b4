"""Labels with the features that were known at each label's instant, for any number of instants in one pass.

What a model learns from must be what it could have known (Kaufman et al., "Leakage in data mining", KDD 2011). So every
label gets its own history: the day tiles of its user strictly before the UTC day of its instant, as every feature
here counts whole days. One join by user brings them together, whatever the number of instants; a label costs the
tiles of its user before it. The numbers are those that the nights would have written as of that day, by the same
functions, except for what compares a user with all others (quintile scores and segments): that needs everybody as of
each day, not only who has a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.affinity import HALF_LIFE_DAYS, KEYS_KEPT, UNIT, anchor_of, fading, item_keys, leanings, recent_fading
from features.engagement import engagement
from features.facts import facts, users
from features.item_history import only
from features.leanings import best
from features.rfm import unscored

# A label's history goes by this name while it is added up: the day, of a fixed length, then the user.
ISO_LENGTH = len(date.min.isoformat())


@dataclass(frozen=True)
class TrainingSet:
    """labels: every label, in all its columns, with as_of and the numbers of features.engagement and
    features.rfm.unscored (null where the user had done, or bought, nothing yet). affinities: user_id, as_of,
    dimension, key, score, share, recent_score, recent_share, evidence; a label's are those of its user_id and as_of.
    Lifts are left out: like quintiles, they compare with everybody.
    """

    labels: DataFrame
    affinities: DataFrame


def training_set(
    labels: DataFrame,
    user_item_day: DataFrame,
    user_day: DataFrame,
    items: DataFrame,
    half_life_days: float = HALF_LIFE_DAYS,
) -> TrainingSet:
    """The labels with the features of their users as of their instants.

    labels: [user_id, instant (timestamp), ...], any number a user. items: [item_id, category, brand, price], as the
    catalogue describes them now. Raises ValueError where labels lack a column, or have one that a feature needs.
    """
    missing = {"user_id", "instant"} - set(labels.columns)
    if missing:
        raise ValueError(f"labels have the columns {labels.columns}; they need {sorted(missing)} as well")
    dated = labels.withColumn("as_of", F.to_date("instant"))
    asked = dated.select("user_id", "as_of").distinct()
    days, tiles = (_histories(frame, asked) for frame in (user_day, user_item_day))
    known = _split(users(facts(days)))
    active, bought = engagement(known, F.col("as_of")), unscored(known, F.col("as_of"))
    numbers = active.drop("user_bucket").join(bought.drop("user_bucket"), ["user_id", "as_of"], "left")
    taken = set(labels.columns) & (set(numbers.columns) - {"user_id"})
    if taken:
        raise ValueError(f"labels have the columns {sorted(taken)}, which are names of features; give them other names")
    return TrainingSet(
        dated.join(numbers, ["user_id", "as_of"], "left"), _affinities(tiles, days, items, asked, half_life_days)
    )


def _histories(tiles: DataFrame, asked: DataFrame) -> DataFrame:
    """The tiles of each user and day asked for, before that day, under one name of both."""
    wanted = asked.withColumnRenamed("user_id", "_user")
    earlier = (F.col("user_id") == F.col("_user")) & (F.col("event_date") < F.col("as_of"))
    name = F.concat(F.col("as_of").cast("string"), F.col("user_id"))
    return tiles.join(wanted, earlier).withColumn("user_id", name).drop("_user", "as_of")


def _split(frame: DataFrame) -> DataFrame:
    """The user and the day of a name by _histories."""
    user = F.expr(f"substring(user_id, {ISO_LENGTH + 1})")
    return frame.withColumns({"as_of": F.to_date(_day()), "user_id": user})


def _day() -> Column:
    """The day of a name by _histories, as text."""
    return F.substring("user_id", 1, ISO_LENGTH)


def _affinities(
    tiles: DataFrame, days: DataFrame, items: DataFrame, asked: DataFrame, half_life_days: float
) -> DataFrame:
    """gold.affinity of all histories. Days of different anchors are added up one anchor after the other: a few years
    have one or two.
    """
    keys = only(item_keys(items))
    ages: dict[date, dict[str, int]] = {}
    for row in asked.select("as_of").distinct().collect():
        anchor = anchor_of(row.as_of, half_life_days)
        ages.setdefault(anchor, {})[row.as_of.isoformat()] = (row.as_of - anchor).days
    if not ages:
        raise ValueError("there is no label, so there is nothing to learn from")

    def of_anchor(anchor: date) -> DataFrame:
        named = _day().isin(list(ages[anchor]))
        faded = F.create_map(
            *(F.lit(part) for day, age in ages[anchor].items() for part in (day, fading(age, half_life_days)))
        )
        sums = leanings(tiles.where(named), days.where(named), keys, anchor, half_life_days)
        fadings = F.element_at(faded, _day()), *recent_fading(F.to_date(_day()))
        return _split(best(sums, KEYS_KEPT, fadings, UNIT)).drop("user_bucket", "known")

    return reduce(DataFrame.unionByName, map(of_anchor, sorted(ages)))
