"""What each user leans to: decayed scores by category (every level of the path), brand, price band, daypart, weekday,
device and place.

score = sum over events of weight(type) x 2^(-age in days / half-life), from day tiles, so age counts whole days.
Exponential decay by half-life: Ding & Li, "Time weight collaborative filtering", CIKM 2005.

Scores are kept as of an anchor, a date that is the same for years, and brought to the wanted date when they are read.
So nobody's score has to be touched for growing older, and a sum of whole units can be added to and taken from
exactly (forward decay: Cormode, Shkapenyuk, Srivastava & Xu, ICDE 2009).

The recent score, of what users do with items, has a half-life of RECENT_HALF_LIFE_DAYS. Its anchors are the starts of
periods of 12 half-lives, too short to make all scores anew at each. So it is kept as two sums, of the user's last
period with an event and of the one before, each as of its own start; what happened earlier has faded below 2^-12 and
counts as nothing. When a user comes back in a later period the sums move down, whole numbers as they are.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.item_history import EPOCH, only
from features.leanings import CATEGORY_LEVELS, LEVELS, SEPARATOR, best, summed
from features.lift import lifted, of_rows
from features.packing import BETWEEN, OF_DAYS, OF_ITEMS, PATH
from features.quintiles import boundaries, score
from features.tiles import DAYPARTS, sign_of, signed

DIMENSIONS = (*LEVELS, "brand", "price_band", *OF_DAYS)

# What an event says about liking, against a view. An impression says nothing: the user did not ask for it.
WEIGHTS = {
    "views": 1, "clicks": 1, "ratings": 1, "likes": 3, "adds_to_cart": 3, "purchases": 5, "removes_from_cart": -3,
    "returns": -5, "dislikes": -5, "hides": -5,
}  # fmt: skip

PRICE_BANDS = ("lowest", "low", "middle", "high", "highest")
UNKNOWN_DEVICE = "unknown"

# A person's brands have a long tail of single purchases; what ranks below 50 has no say in a list of 20.
KEYS_KEPT = 50

HALF_LIFE_DAYS = 90.0
RECENT_HALF_LIFE_DAYS = 14

# Kept scores are whole multiples of 2^-26 as of the anchor: exact in any order. Within a period the weight of an
# event grows to 2^12, so a long has room for weights of 2^25 a user and key.
KEPT_BITS = 26
PERIOD_HALF_LIVES = 12
RECENT_PERIOD_DAYS = PERIOD_HALF_LIVES * RECENT_HALF_LIFE_DAYS

# What is smaller than half of it, as of the date of reading, is no affinity.
UNIT = 2.0**32


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
    tiles, keys = user_item_day.filter(before), only(item_keys(items))
    found = leanings(tiles, user_day.filter(before), keys, anchor, half_life_days)
    return leanings_at(found, day, population(tiles, keys, anchor, half_life_days), half_life_days)


def anchor_of(as_of: date, half_life_days: float = HALF_LIFE_DAYS) -> date:
    """The date that scores are kept as of, while as_of lies in its period of PERIOD_HALF_LIVES."""
    period = max(1, int(PERIOD_HALF_LIVES * half_life_days))
    return as_of - timedelta(days=(as_of - EPOCH).days % period)


def leanings(
    user_item_day: DataFrame,
    user_day: DataFrame,
    keys: DataFrame,
    anchor: date,
    half_life_days: float = HALF_LIFE_DAYS,
) -> DataFrame:
    """features.leanings.PACKED: what the tiles add to each key of a user, as of the anchor.

    units: score in whole multiples of 2^-KEPT_BITS. evidence: events with a weight, undecayed. recent, before: units
    of the recent score, of the period (period_of the user's last event) and of the one before, as of the start of
    either. keys: as features/item_history.py keeps them. A column `sign` of the tiles, -1 for one that is taken back,
    is counted in.
    """
    kept = _kept(anchor, half_life_days)
    return summed(_by_item(user_item_day, keys, kept), _by_day(user_day, kept), DAYPARTS)


def population(
    user_item_day: DataFrame, keys: DataFrame, anchor: date, half_life_days: float = HALF_LIFE_DAYS
) -> DataFrame:
    """features.lift.shares as of the anchor, from tiles: what features.lift.of_users finds in their leanings."""
    weighed = _weighed(user_item_day, keys, _kept(anchor, half_life_days))
    return of_rows(weighed.select(*OF_ITEMS, *signed("units")))


def leanings_at(
    users: DataFrame, as_of: date, population: DataFrame, half_life_days: float = HALF_LIFE_DAYS
) -> DataFrame:
    """gold.affinity as of a date, a user x dimension x key with a positive score.

    users: features.leanings.PACKED, kept as of the anchor of as_of. population: features.lift.shares of
    everybody as of it. share: of the user's positive scores in
    the dimension. A user's KEYS_KEPT best keys of a dimension are kept. Row by row: users need not be shuffled.
    """
    faded = fading((as_of - anchor_of(as_of, half_life_days)).days, half_life_days)
    rows = best(users, KEYS_KEPT, (F.lit(faded), *recent_fading(F.lit(as_of))), UNIT)
    known = lifted(rows, population).withColumn("as_of", F.lit(as_of))
    return known.select(
        "user_id", "user_bucket", "as_of", "dimension", "key", "score", "share", "lift", "recent_score",
        "recent_share", "evidence",
    )  # fmt: skip


def fading(age: int, half_life_days: float = HALF_LIFE_DAYS) -> float:
    """What a kept unit counts so many days after the anchor, in units of reading."""
    return float(UNIT * 2.0 ** (-age / half_life_days - KEPT_BITS))


def recent_fading(as_of: Column) -> tuple[Column, Column]:
    """The same of units of the recent score, by the column period: of its own, and of the one before it."""
    age = F.date_diff(as_of, F.lit(EPOCH)) - F.col("period") * RECENT_PERIOD_DAYS
    faded = F.pow(F.lit(2.0), -age / RECENT_HALF_LIFE_DAYS) * float(UNIT * 2.0**-KEPT_BITS)
    return faded, faded * 2.0**-PERIOD_HALF_LIVES


def period_of(day: Column) -> Column:
    """int: the period of RECENT_PERIOD_DAYS, since 1970, that a day lies in."""
    return F.floor(F.date_diff(day, F.lit(EPOCH)) / RECENT_PERIOD_DAYS).cast("int")


def standing(rows: DataFrame, as_of: date, half_life_days: float = HALF_LIFE_DAYS) -> DataFrame:
    """What holds as of a date by the rows of gold.affinity, which hold until the user's next: the newest of each user
    by then, faded. Shares and lifts stay, as all of a user's scores fade alike.
    """
    known = rows.filter(F.col("as_of") <= F.lit(as_of))
    newest = known.groupBy("user_id").agg(F.max("as_of").alias("as_of"))

    def faded(score: str, half_life: float) -> Column:
        return F.col(score) * F.pow(F.lit(0.5), F.date_diff(F.lit(as_of), "as_of") / F.lit(float(half_life)))

    kept = known.join(newest, ["user_id", "as_of"], "left_semi").withColumns(
        {"score": faded("score", half_life_days), "recent_score": faded("recent_score", RECENT_HALF_LIFE_DAYS)}
    )
    return kept.withColumn("as_of", F.lit(as_of)).select(*rows.columns)


def item_keys(items: DataFrame) -> DataFrame:
    """[item_id, keys: array<struct<dimension, key>>]: path (its levels, 'A > B > C'), category (the top two of them),
    brand and price band. Levels without a name are none, and a name has no '>' in it.

    Price bands are quintiles of the prices of all items that have one.
    """
    # NaN counts as above every number.
    priced = (F.col("price") > 0) & (F.col("price") < float("inf"))
    bounds = items.filter(priced).agg(boundaries("price").alias("_bounds"))
    band = F.element_at(F.array(*(F.lit(name) for name in PRICE_BANDS)), score("price", "_bounds"))
    plain = F.translate("brand", BETWEEN, "")
    names = F.transform("category", lambda name: F.trim(F.translate(name, f">{BETWEEN}", "/")))
    named = F.filter(names, lambda name: name != "")

    def path(levels: int) -> Column:
        return F.when(F.size(named) > 0, F.array_join(F.slice(named, 1, levels), SEPARATOR))

    keys = F.array(
        _key(PATH, path(len(LEVELS))),
        _key("category", path(CATEGORY_LEVELS)),
        _key("brand", F.when(plain != "", plain)),
        _key("price_band", F.when(priced, band)),
    )
    known = F.filter(keys, lambda entry: entry["key"].isNotNull())
    return items.crossJoin(F.broadcast(bounds)).select("item_id", known.alias("keys"))


def _kept(anchor: date, half_life_days: float) -> Column:
    """What a weight of 1 on event_date counts, in units as of the anchor; not yet whole."""
    grown = F.pow(F.lit(2.0), F.date_diff("event_date", F.lit(anchor)) / F.lit(float(half_life_days)))
    return grown * 2.0**KEPT_BITS


def _by_item(tiles: DataFrame, keys: DataFrame, kept: Column) -> DataFrame:
    """Rows of features.leanings.summed from what users did with items."""
    told = signed("units", "evidence", "recent")
    return _weighed(tiles, keys, kept).select("user_id", "user_bucket", "said", "period", *told)


def _weighed(tiles: DataFrame, keys: DataFrame, kept: Column) -> DataFrame:
    """Tiles with their keys, sign, units, evidence and recent; those with no weight are left out."""
    weight = sum((F.col(name) * weight for name, weight in WEIGHTS.items()), F.lit(0))
    events = sum((F.col(name) for name in WEIGHTS), F.lit(0))
    since = F.date_diff("event_date", F.lit(EPOCH)) - period_of(F.col("event_date")) * RECENT_PERIOD_DAYS
    kept_recent = F.pow(F.lit(2.0), since / RECENT_HALF_LIFE_DAYS) * 2.0**KEPT_BITS
    weighed = tiles.select(
        "user_id", "user_bucket", F.col("item_id").alias("_item"), "event_date", events.alias("evidence"),
        F.rint(weight * kept).cast("long").alias("units"),
        F.rint(weight * kept_recent).cast("long").alias("recent"),
        period_of(F.col("event_date")).alias("period"), sign_of(tiles),
    ).filter(F.col("evidence") > 0)  # fmt: skip
    held = (F.col("event_date") >= F.col("valid_from")) & (F.col("event_date") < F.col("valid_until"))
    return weighed.join(keys, (F.col("_item") == F.col("item_id")) & held)


def _by_day(tiles: DataFrame, kept: Column) -> DataFrame:
    """The days of features.leanings.summed: every event weighs 1.

    Weekdays are those of the day tiles, UTC. Place: the country that the day was last seen from.
    """
    by_device = F.posexplode_outer("devices").alias("_at", "device", "_events_on_it")
    rows = tiles.select(
        "user_id", "user_bucket", "event_date", "events", "dayparts", F.col("country").alias("place"), by_device,
        sign_of(tiles), period_of(F.col("event_date")).alias("period"),
    )  # fmt: skip
    counts = [F.col("events"), *(F.try_element_at("dayparts", F.lit(part)) for part in DAYPARTS)]
    first = F.coalesce("_at", F.lit(0)) == 0
    numbers = [kept, F.col("sign"), F.weekday("event_date"), F.col("_events_on_it")]
    numbers += [F.when(first, count) for count in counts]
    of_day = F.array(*(F.coalesce(number.cast("double"), F.lit(0.0)) for number in numbers))
    known = F.when(F.col("device") != UNKNOWN_DEVICE, F.col("device"))
    return rows.select("user_id", "user_bucket", "period", known.alias("device"), "place", of_day.alias("of_day"))


def _key(dimension: str, key: Column) -> Column:
    return F.struct(F.lit(dimension).alias("dimension"), key.alias("key"))
