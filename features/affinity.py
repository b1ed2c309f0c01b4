"""What each user leans to: decayed scores by category, brand, price band, daypart and device.

score = sum over events of weight(type) x 2^(-age in days / half-life), from day tiles, so age counts whole days.
Exponential decay by half-life: Ding & Li, "Time weight collaborative filtering", CIKM 2005.
"""

from __future__ import annotations

from datetime import date, datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.quintiles import boundaries, score

DIMENSIONS = ("category", "brand", "price_band", "daypart", "device")

# What an event says about liking, against a view. An impression says nothing: the user did not ask for it.
WEIGHTS = {
    "views": 1, "clicks": 1, "ratings": 1, "likes": 3, "adds_to_cart": 3, "purchases": 5, "removes_from_cart": -3,
    "returns": -5, "dislikes": -5, "hides": -5,
}  # fmt: skip

PRICE_BANDS = ("lowest", "low", "middle", "high", "highest")
CATEGORY_LEVELS = 2
UNKNOWN_DEVICE = "unknown"

# A person's brands have a long tail of single purchases; what ranks below 50 has no say in a list of 20.
KEYS_KEPT = 50

# Scores are summed as whole multiples of 2^-32: exact in any order, so a repeated run gives the same bits.
UNIT = 2.0**32


def affinity(
    user_item_day: DataFrame, user_day: DataFrame, items: DataFrame, as_of: datetime | date, half_life_days: float = 90
) -> DataFrame:
    """gold.affinity from tiles of days strictly before as_of: user x dimension x key with a positive score.

    items: [item_id, category (array), brand, price]. share: of the user's positive scores in the dimension.
    evidence: events with a weight, undecayed. A user's KEYS_KEPT best keys of a dimension are kept.
    """
    day = F.lit(as_of.date() if isinstance(as_of, datetime) else as_of)
    decay = F.pow(F.lit(2.0), -F.date_diff(day, "event_date") / F.lit(float(half_life_days))) * UNIT
    before = F.col("event_date") < day
    pieces = _by_item(user_item_day.filter(before), items, decay).unionByName(_by_day(user_day.filter(before), decay))
    scores = (
        pieces.groupBy("user_id", "dimension", "key")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            F.sum("score").alias("score"),
            F.sum("evidence").alias("evidence"),
        )
        .filter(F.col("score") > 0)
    )
    of_dimension = Window.partitionBy("user_id", "dimension")
    return (
        scores.withColumn("share", F.col("score") / F.sum("score").over(of_dimension))
        .withColumn("_place", F.row_number().over(of_dimension.orderBy(F.desc("score"), "key")))
        .filter(F.col("_place") <= KEYS_KEPT)
        .select(
            "user_id", "user_bucket", day.alias("as_of"), "dimension", "key",
            (F.col("score") / UNIT).alias("score"), "share", "evidence",
        )
    )  # fmt: skip


def item_keys(items: DataFrame) -> DataFrame:
    """[item_id, keys: array<struct<dimension, key>>]: category (the top levels, 'A > B'), brand and price band.

    Price bands are quintiles of the prices of all items that have one.
    """
    # NaN counts as above every number.
    priced = (F.col("price") > 0) & (F.col("price") < float("inf"))
    bounds = items.filter(priced).agg(boundaries("price").alias("_bounds"))
    band = F.element_at(F.array(*(F.lit(name) for name in PRICE_BANDS)), score("price", "_bounds"))
    path = F.array_join(F.slice("category", 1, CATEGORY_LEVELS), " > ")
    keys = F.array(
        _key("category", F.when(path != "", path)),
        _key("brand", F.when(F.col("brand") != "", F.col("brand"))),
        _key("price_band", F.when(priced, band)),
    )
    known = F.filter(keys, lambda entry: entry["key"].isNotNull())
    return items.crossJoin(F.broadcast(bounds)).select("item_id", known.alias("keys"))


def _by_item(tiles: DataFrame, items: DataFrame, decay: Column) -> DataFrame:
    """[user_id, user_bucket, dimension, key, score (in units), evidence] from what users did with items."""
    weight = sum((F.col(name) * weight for name, weight in WEIGHTS.items()), F.lit(0))
    events = sum((F.col(name) for name in WEIGHTS), F.lit(0))
    by_item = (
        tiles.groupBy("user_id", "item_id")
        .agg(
            F.max("user_bucket").alias("user_bucket"), _total(weight * decay).alias("score"),
            F.sum(events).alias("evidence"),
        )
        .filter(F.col("evidence") > 0)
    )  # fmt: skip
    return (
        by_item.join(item_keys(items), "item_id")
        .withColumn("entry", F.explode("keys"))
        .select("user_id", "user_bucket", "entry.dimension", "entry.key", "score", "evidence")
    )


def _by_day(tiles: DataFrame, decay: Column) -> DataFrame:
    """The same from when and on what users were active; every event weighs 1."""

    def entries(dimension: str, counts: str) -> Column:
        return F.transform(
            F.map_entries(counts),
            lambda entry: F.struct(F.lit(dimension).alias("dimension"), entry["key"].alias("key"), entry["value"]),
        )

    both = F.concat(entries("daypart", "dayparts"), entries("device", "devices"))
    return (
        tiles.withColumn("entry", F.explode(both))
        .filter(F.col("entry.key") != UNKNOWN_DEVICE)
        .groupBy("user_id", "entry.dimension", "entry.key")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            _total(F.col("entry.value") * decay).alias("score"),
            F.sum("entry.value").cast("long").alias("evidence"),
        )
    )


def _key(dimension: str, key: Column) -> Column:
    return F.struct(F.lit(dimension).alias("dimension"), key.alias("key"))


def _total(units: Column) -> Column:
    return F.sum(F.rint(units).cast("long"))
