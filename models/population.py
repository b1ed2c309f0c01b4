"""What the people of a training are like: a plot of each family of features that is about them, from counts alone."""

from __future__ import annotations

from datetime import datetime

from matplotlib.figure import Figure
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.affinity import item_keys
from features.context import CONTEXTS, WEEK, preferred
from features.demographics import TRAITS, UNKNOWN, demographics
from features.engagement import STAGES
from features.item_history import only
from features.leanings import WEEKDAYS
from features.packing import OF_DAYS
from features.tiles import DAYPARTS
from models.bootstrap import LEAST_GROUP
from models.fitting import Log, tiles_before
from models.hybrid import Sources
from models.plots import bars, preferences, shares_by_trait
from models.ranking_features import feature_date

OTHER = "other"
# What has an order of its own; the rest goes by how many there are.
ORDER = {name: place for place, name in enumerate((*DAYPARTS, *WEEKDAYS, *WEEK))}
PLACES, CATEGORIES, VALUES = 7, 10, 6
# Bins of active days, by their upper bounds.
ACTIVE = {"none": 0, "1": 1, "2": 2, "3 to 4": 4, "5 to 8": 8, "9 to 16": 16}


def figures_of_people(log: Log, sources: Sources, end: datetime) -> dict[str, Figure]:
    """Plots by file name, of the people before the sources' instant; none of what nothing is known of. end: of the log,
    by which they have said who they are.
    """
    facts, day = sources.facts, feature_date(sources.facts.as_of)
    found = {"active_when_and_where": bars(active(facts.affinity), shares=True)}
    if facts.engaged is not None:
        found["engagement"] = bars(engaged(facts.engaged))
    if facts.worth is not None:
        found["value"] = bars(worth(facts.worth))
    tiles, days = tiles_before(log, facts.as_of)
    told = lifts(preferred(tiles, days, only(item_keys(log.items)), log.items, day))
    if told:
        found["preferred_when_and_where"] = preferences(told)
    if log.profiles is not None:
        asked = facts.pairs.select("user_id").distinct()
        traits = who(demographics(asked, log.profiles, feature_date(end)))
        if traits:
            found["who_they_are"] = shares_by_trait(traits, UNKNOWN)
    return found


def engaged(rows: DataFrame) -> dict[str, dict[str, float]]:
    """Users by stage of the journey, and by active days of the last 28. rows: as features.engagement gives them."""
    bins = F.lit(f"over {max(ACTIVE.values())}")
    for name, most in reversed(ACTIVE.items()):
        bins = F.when(F.col("active_28") <= most, name).otherwise(bins)
    counted = {(row.stage, row.bin): row["count"] for row in rows.groupBy("stage", bins.alias("bin")).count().collect()}
    names = [*ACTIVE, f"over {max(ACTIVE.values())}"]
    return {
        "users by stage of the journey": {
            name: sum(n for (stage, _), n in counted.items() if stage == name) for name in STAGES
        },
        "users by active days of the last 28": {
            name: sum(n for (_, b), n in counted.items() if b == name) for name in names
        },
    }


def worth(rows: DataFrame) -> dict[str, dict[str, float]]:
    """Users by their probability of being alive, in tenths, and what is expected of each. rows: as
    features.value.scored gives them.
    """
    tenth = F.least(F.floor(F.col("alive") * 10), F.lit(9)).cast("int").alias("tenth")
    counted = rows.groupBy(tenth).agg(
        F.count(F.lit(1)).alias("users"), F.avg("expected_purchases").alias("purchases"),
        F.avg("expected_revenue").alias("revenue"),
    )  # fmt: skip
    found = {row.tenth: row for row in counted.collect()}
    names = {tenth: f"{tenth / 10:.1f}" for tenth in range(10)}

    def of(column: str) -> dict[str, float]:
        return {name: float(found[tenth][column] or 0) if tenth in found else 0.0 for tenth, name in names.items()}

    return {
        "users by probability of being alive, from": of("users"),
        "mean expected days with a purchase": of("purchases"),
        "mean expected revenue": of("revenue"),
    }


def active(affinity: DataFrame) -> dict[str, dict[str, float]]:
    """By daypart, weekday, device and place the mean share of what users did there. affinity: features.affinity's."""
    by_key = affinity.where(F.col("dimension").isin(*OF_DAYS)).groupBy("dimension", "key")
    counted = by_key.agg(F.sum("share").alias("shares"), F.count(F.lit(1)).alias("users")).collect()
    told: dict[str, dict[str, float]] = {}
    for dimension in OF_DAYS:
        # The shares of a user are 1 together.
        shares = {row.key: row.shares for row in counted if row.dimension == dimension and row.users >= LEAST_GROUP}
        largest = sorted(shares, key=lambda name: -shares[name])[:PLACES]
        total = sum(row.shares for row in counted if row.dimension == dimension)
        if shares:
            told[f"mean share by {dimension}"] = {name: shares[name] / total for name in sorted(largest, key=_order)}
    return told


def lifts(rows: DataFrame) -> dict[str, dict[str, float]]:
    """By situation, how much more people do with a category there than anywhere; the CATEGORIES that most is done with.
    rows: as features.context.preferred gives them.
    """
    counted = rows.groupBy("context", "situation", "key").agg(
        F.sum("evidence").alias("events"), F.count_distinct("user_id").alias("users")
    )
    found = [row for row in counted.collect() if row.users >= LEAST_GROUP]
    whole: dict[str, int] = {}
    for row in found:
        if row.context == CONTEXTS[1]:
            whole[row.key] = whole.get(row.key, 0) + row.events
    names = sorted(whole, key=lambda key: (-whole[key], key))[:CATEGORIES]
    told: dict[str, dict[str, float]] = {}
    for context in CONTEXTS:
        sums: dict[str, dict[str, int]] = {}
        for row in found:
            if row.context == context and row.key in whole:
                sums.setdefault(row.situation, {})[row.key] = row.events
        largest = sorted(sums, key=lambda name: -sum(sums[name].values()))[:PLACES]
        for name in sorted(largest, key=_order):
            there, everything = sum(sums[name].values()), sum(whole.values())
            told[name] = {key: sums[name].get(key, 0) / there / (whole[key] / everything) for key in names}
    return told


def who(people: DataFrame) -> dict[str, dict[str, float]]:
    """By trait of which anything is known, the share of users by what is said of them; the unknown last. people: as
    features.demographics gives them.
    """
    entries = F.array(*(F.struct(F.lit(name).alias("trait"), F.col(name).alias("value")) for name in TRAITS))
    counted = people.select(F.inline(entries)).groupBy("trait", "value").count().collect()
    told: dict[str, dict[str, float]] = {}
    for trait in TRAITS:
        counts = {row.value: row["count"] for row in counted if row.trait == trait}
        unknown, users = counts.pop(UNKNOWN, 0), sum(counts.values())
        if users:
            told[trait.replace("_", " ")] = {
                name: count / (users + unknown) for name, count in (*_largest(counts), (UNKNOWN, unknown)) if count
            }
    return told


def _order(name: str) -> tuple[int, str]:
    return ORDER.get(name, len(ORDER)), name


def _largest(counts: dict[str, int]) -> list[tuple[str, int]]:
    """In the order of their names, the VALUES that most users have; the rest, and what hardly anybody has, together."""
    large = sorted((name for name, n in counts.items() if n >= LEAST_GROUP), key=lambda name: (-counts[name], name))
    named = sorted(large[:VALUES])
    rest = sum(count for name, count in counts.items() if name not in named)
    return [*((name, counts[name]) for name in named), (OTHER, rest)]
