"""What each user leans to: decayed scores by category, brand, price band, daypart and device.

score = sum over events of weight(type) x 2^(-age in days / half-life), from day tiles, so age counts whole days.
Exponential decay by half-life: Ding & Li, "Time weight collaborative filtering", CIKM 2005.

Scores are kept as of an anchor, a date that is the same for years, and brought to the wanted date when they are read.
So nobody's score has to be touched for growing older, and a sum of whole units can be added to and taken from
exactly (forward decay: Cormode, Shkapenyuk, Srivastava & Xu, ICDE 2009).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.item_history import keys_on, only
from features.quintiles import boundaries, score
from features.tiles import sign_of, signed

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

HALF_LIFE_DAYS = 90.0

# Kept scores are whole multiples of 2^-26 as of the anchor: exact in any order. Within a period the weight of an
# event grows to 2^12, so a long has room for weights of 2^25 a user and key.
KEPT_BITS = 26
PERIOD_HALF_LIVES = 12
EPOCH = date(1970, 1, 1)

# What is smaller than half of it, as of the date of reading, is no affinity.
UNIT = 2.0**32

LEANINGS = "array<struct<dimension: string, key: string, units: bigint, evidence: bigint>>"


def affinity(
    user_item_day: DataFrame,
    user_day: DataFrame,
    items: DataFrame,
    as_of: datetime | date,
    half_life_days: float = HALF_LIFE_DAYS,
) -> DataFrame:
    """gold.affinity from tiles of days strictly before as_of, every item as the catalogue describes it now.

    items: [item_id, category (array), brand, price].
    """
    day = as_of.date() if isinstance(as_of, datetime) else as_of
    before, anchor = F.col("event_date") < F.lit(day), anchor_of(day, half_life_days)
    parts = contributions(
        user_item_day.filter(before), user_day.filter(before), only(item_keys(items)), anchor, half_life_days
    )
    return leanings_at(leanings(parts), day, half_life_days)


def anchor_of(as_of: date, half_life_days: float = HALF_LIFE_DAYS) -> date:
    """The date that scores are kept as of, while as_of lies in its period of PERIOD_HALF_LIVES."""
    period = max(1, int(PERIOD_HALF_LIVES * half_life_days))
    return as_of - timedelta(days=(as_of - EPOCH).days % period)


def contributions(
    user_item_day: DataFrame,
    user_day: DataFrame,
    keys: DataFrame,
    anchor: date,
    half_life_days: float = HALF_LIFE_DAYS,
) -> DataFrame:
    """[user_id, user_bucket, dimension, key, units, evidence]: what the tiles add to each key, as of the anchor.

    units: score in whole multiples of 2^-KEPT_BITS. evidence: events with a weight, undecayed. keys: as
    features/item_history.py keeps them. A column `sign` of the tiles, -1 for one that is taken back, is counted in.
    """
    grown = F.pow(F.lit(2.0), F.date_diff("event_date", F.lit(anchor)) / F.lit(float(half_life_days)))
    kept = grown * 2.0**KEPT_BITS
    pieces = _by_item(user_item_day, keys, kept).unionByName(_by_day(user_day, kept))
    return pieces.groupBy("user_id", "dimension", "key").agg(
        F.max("user_bucket").alias("user_bucket"), F.sum("units").alias("units"), F.sum("evidence").alias("evidence")
    )


def leanings(contributions: DataFrame) -> DataFrame:
    """[user_id, user_bucket, leanings]: a user's contributions in one array of LEANINGS, in the order of its keys."""
    entry = F.struct("dimension", "key", "units", "evidence")
    return (
        contributions.filter((F.col("units") != 0) | (F.col("evidence") != 0))
        .groupBy("user_id")
        .agg(F.max("user_bucket").alias("user_bucket"), F.sort_array(F.collect_list(entry)).alias("leanings"))
    )


def leanings_at(users: DataFrame, as_of: date, half_life_days: float = HALF_LIFE_DAYS) -> DataFrame:
    """gold.affinity as of a date, a user x dimension x key with a positive score.

    users: [user_id, user_bucket, leanings], kept as of the anchor of as_of. share: of the user's positive scores in
    the dimension. A user's KEYS_KEPT best keys of a dimension are kept. Row by row: users need not be shuffled.
    """
    age = (as_of - anchor_of(as_of, half_life_days)).days
    faded = UNIT * 2.0 ** (-age / half_life_days - KEPT_BITS)
    now = F.transform(
        "leanings",
        lambda entry: F.struct(
            entry["dimension"].alias("dimension"),
            F.rint(entry["units"] * faded).cast("long").alias("units"),
            entry["key"].alias("key"),
            entry["evidence"].alias("evidence"),
        ),
    )
    scored = users.withColumn("_now", now)
    scored = scored.withColumns({f"_{name}": _of(name) for name in DIMENSIONS})
    scored = scored.withColumns({f"_{name}_total": _sum(f"_{name}") for name in DIMENSIONS})
    best = F.concat(*(_best(name) for name in DIMENSIONS))
    return scored.select("user_id", "user_bucket", F.lit(as_of).alias("as_of"), F.inline(best))


def standing(rows: DataFrame, as_of: date, half_life_days: float = HALF_LIFE_DAYS) -> DataFrame:
    """What holds as of a date by the rows of gold.affinity, which hold until the user's next: the newest of each user
    by then, faded. Shares stay, as all of a user's scores fade alike.
    """
    known = rows.filter(F.col("as_of") <= F.lit(as_of))
    newest = known.groupBy("user_id").agg(F.max("as_of").alias("as_of"))
    faded = F.col("score") * F.pow(F.lit(0.5), F.date_diff(F.lit(as_of), "as_of") / F.lit(float(half_life_days)))
    kept = known.join(newest, ["user_id", "as_of"], "left_semi").withColumn("score", faded)
    return kept.withColumn("as_of", F.lit(as_of)).select(*rows.columns)


def _of(dimension: str) -> Column:
    return F.filter("_now", lambda entry: (entry["dimension"] == dimension) & (entry["units"] > 0))


def _sum(entries: str) -> Column:
    return F.aggregate(entries, F.lit(0).cast("long"), lambda total, entry: total + entry["units"])


def _best(dimension: str) -> Column:
    falling = F.transform(
        f"_{dimension}", lambda entry: F.struct((-entry["units"]).alias("less"), entry["key"], entry["evidence"])
    )
    return F.transform(
        # Not array_sort, which asks a lambda for each comparison.
        F.slice(F.sort_array(falling), 1, KEYS_KEPT),
        lambda entry: F.struct(
            F.lit(dimension).alias("dimension"),
            entry["key"].alias("key"),
            (-entry["less"] / UNIT).alias("score"),
            (-entry["less"] / F.col(f"_{dimension}_total")).alias("share"),
            entry["evidence"].alias("evidence"),
        ),
    )


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


def _by_item(tiles: DataFrame, keys: DataFrame, kept: Column) -> DataFrame:
    """[user_id, user_bucket, dimension, key, units, evidence] from what users did with items."""
    weight = sum((F.col(name) * weight for name, weight in WEIGHTS.items()), F.lit(0))
    events = sum((F.col(name) for name in WEIGHTS), F.lit(0))
    weighed = tiles.select(
        "user_id", "user_bucket", "item_id", "event_date", events.alias("evidence"),
        F.rint(weight * kept).cast("long").alias("units"), sign_of(tiles),
    ).filter(F.col("evidence") > 0)  # fmt: skip
    return (
        weighed.join(keys, "item_id")
        .withColumn("entry", F.explode(keys_on("event_date")))
        .select("user_id", "user_bucket", "entry.dimension", "entry.key", *signed("units", "evidence"))
    )


def _by_day(tiles: DataFrame, kept: Column) -> DataFrame:
    """The same from when and on what users were active; every event weighs 1."""

    def entries(dimension: str, counts: str) -> Column:
        return F.transform(
            F.map_entries(counts),
            lambda entry: F.struct(F.lit(dimension).alias("dimension"), entry["key"].alias("key"), entry["value"]),
        )

    both = F.concat(entries("daypart", "dayparts"), entries("device", "devices"))
    return (
        tiles.select("user_id", "user_bucket", "event_date", F.explode(both).alias("entry"), sign_of(tiles))
        .filter(F.col("entry.key") != UNKNOWN_DEVICE)
        .withColumn("units", F.rint(F.col("entry.value") * kept).cast("long"))
        .withColumn("evidence", F.col("entry.value").cast("long"))
        .select("user_id", "user_bucket", "entry.dimension", "entry.key", *signed("units", "evidence"))
    )


def _key(dimension: str, key: Column) -> Column:
    return F.struct(F.lit(dimension).alias("dimension"), key.alias("key"))
