"""The ranker's features: the one place that computes them, for training, for evaluation and for publishing.

Everything is as of an instant: the frames handed in hold nothing at or after it. Prefixes say what a feature
is of: i_ item, u_ user, x_ user and item; scorers' columns keep their names. What is not known is null, which
the ranker takes as missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.affinity import item_keys
from features.due_again import PRIOR_GAPS, drawn
from features.engagement import STAGES
from features.leanings import LEVELS, SEPARATOR
from features.packing import PATH
from models.interactions import strength

ITEM = (
    "i_users7", "i_users14", "i_users30", "i_users90", "i_trend7", "i_trend30", "i_first30", "i_age", "i_idle",
    "i_price", "i_repeat", "i_gap",
)  # fmt: skip
# Those of a row of `pairs` and its user's others, and those that need more.
PAIRWISE = (
    "x_units", "x_amount", "x_idle", "x_recent30", "x_recent90", "x_recent180", "x_recent_rank", "x_due",
    "x_trips_since", "x_trip_rate", "x_trips90", "x_trips97",
)  # fmt: skip
PAIR = (*PAIRWISE, "x_share", "x_due_again", "x_since")
# Of what is in the cart or was looked at and not bought; null where nothing is.
INTENT = ("x_cart_idle", "x_looks", "x_look_idle", "u_cart")
USER = ("u_items", "u_basket", "u_explores", "u_price", "u_recency", "u_frequency", "u_monetary", "u_r", "u_f", "u_m")
# What is to be expected of the user, and how much they are there: by u_<name>, columns of features/value.py and
# features/engagement.py.
VALUE = {name: f"u_{name}" for name in ("alive", "expected_purchases", "expected_value")}
ENGAGEMENT = {
    "age": "u_age", "idle": "u_absent", "active_28": "u_active_28", "active_91": "u_active_91", "depth": "u_depth",
    "quick_exit_share": "u_quick_exit_share", "trend": "u_trend", "clumpiness": "u_clumpiness",
}  # fmt: skip
STANDING = (*VALUE.values(), *ENGAGEMENT.values(), "u_stage")
# Ahead of the instant that expected purchases are told, whatever the setting of gold.value: what a ranker learnt holds.
HORIZON_DAYS = 90
SHARES = ("b_category", "b_brand", "b_price_band", "b_category_deep")
KEYS = ("category", "brand", "price_band", "category_deep")
LIFTS = ("b_category_lift", "b_brand_lift")
RECENT = ("b_category_recent", "b_brand_recent")
BOTH = ("seen", "repurchase_score", "repurchase_rank", "b_price_gap", *SHARES, *LIFTS, *RECENT)

# Nine repeats of ten users say more than one of one: shares are drawn to the overall share by this many users.
PRIOR_USERS = 10.0


@dataclass(frozen=True)
class Facts:
    """What is known before as_of. pairs: as `pairs` gives it. rfm, affinity: as features/ give them.
    items: silver.items. as_of: the instant. open: as features.intent.open_items gives it. engaged: as
    features.engagement gives it. season: as models.popularity.season gives it. worth: as features.value.scored gives it
    for HORIZON_DAYS. None: nothing is known.
    """

    pairs: DataFrame
    rfm: DataFrame
    affinity: DataFrame
    items: DataFrame
    as_of: datetime
    open: DataFrame | None = None
    engaged: DataFrame | None = None
    season: DataFrame | None = None
    worth: DataFrame | None = None


def feature_names(scorers: tuple[str, ...]) -> tuple[str, ...]:
    """The features in order, given the scorers' names."""
    scored = tuple(f"{name}_{kind}" for name in scorers for kind in ("score", "rank"))
    return (*scored, *BOTH, *PAIR, *INTENT, *ITEM, *USER, *STANDING)


def feature_date(as_of: datetime) -> date:
    """The first date that begins at or after the instant: day features as of it see all days that are handed in,
    the last of which may be partial.
    """
    midnight = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight if midnight == as_of else midnight + timedelta(days=1)).date()


def pairs(tiles: DataFrame, as_of: datetime) -> DataFrame:
    """user_id, item_id, those PAIR features that need no other row, and price (per unit, or null).

    tiles: user-item-day tiles of events before as_of. Ages are in days, to the second, by the latest event of a
    day. A trip is a day on which the user wanted anything: who shops daily and who shops monthly forget by trips, not
    by days (Hu et al. 2020, "Modeling Personalized Item Frequency Information for Next-basket Recommendation").
    x_trips_since: the user's trips after the last with the item. x_trip_rate: share of the trips since the first with
    it that had it. x_trips90, 97: trips with it, each weighing .9 or .97 of the one after it.

    Adds last_time, days and times, so that it serves the sources as their history, and bought (days with a purchase),
    first_bought and last_bought (the first and the last of them), for reasons.
    """
    age = (F.lit(as_of).cast("double") - F.col("last_time").cast("double")) / 86400
    bought = F.coalesce(F.col("purchases") > 0, F.lit(False))
    back = Window.partitionBy("user_id").orderBy(F.desc("event_date"))
    wanted = (
        tiles.withColumn("strength", strength())
        .where("strength > 0")
        .withColumns({"age": age, "trip": (F.dense_rank().over(back) - 1).cast("double")})
    )
    found = wanted.groupBy("user_id", "item_id").agg(
        F.count(F.lit(1)).cast("double").alias("days"),
        F.sum("strength").alias("times"),
        F.sum(F.coalesce("units", F.lit(0.0))).alias("x_units"),
        F.sum(F.coalesce("amount", F.lit(0.0))).alias("x_amount"),
        F.min("age").alias("x_idle"),
        F.max("age").alias("x_age"),
        *(F.sum(F.pow(F.lit(0.5), F.col("age") / days)).alias(f"x_recent{days}") for days in (30, 90, 180)),
        F.min("trip").alias("x_trips_since"),
        F.try_divide(F.count(F.lit(1)), F.max("trip") + 1).alias("x_trip_rate"),
        *(F.sum(F.pow(F.lit(kept / 100), "trip")).alias(f"x_trips{kept}") for kept in (90, 97)),
        F.max("last_time").alias("last_time"),
        F.count_if(bought).alias("bought"),
        F.min(F.when(bought, F.col("event_date"))).alias("first_bought"),
        F.max(F.when(bought, F.col("event_date"))).alias("last_bought"),
    )
    gap = F.try_divide(F.col("x_age") - F.col("x_idle"), F.col("days") - 1)
    paid = (F.col("x_units") > 0) & (F.col("x_amount") > 0)
    return found.withColumn("x_due", F.try_divide(F.col("x_idle"), gap)).withColumn(
        "price", F.when(paid, F.try_divide("x_amount", "x_units"))
    )


def item_features(pairs: DataFrame) -> DataFrame:
    """item_id and the ITEM features. i_first30: users who wanted it for the first time in the last 30 days;
    i_trend<days>: log of how its users of the last days compare with a longer time's; i_repeat: share of its users who
    came back; i_gap: days between two wants of a user. Both are drawn to what they are over all items; without a single
    second want i_gap is null.
    """
    span, again = F.col("x_age") - F.col("x_idle"), F.col("days") - 1
    prior = pairs.agg(
        F.avg(F.when(F.col("days") > 1, 1.0).otherwise(0.0)).alias("prior"),
        F.try_divide(F.sum(span), F.sum(again)).alias("prior_gap"),
    )

    def users(condition: Column) -> Column:
        return F.count(F.when(condition, 1)).cast("double")

    counted = pairs.groupBy("item_id").agg(
        *(users(F.col("x_idle") <= days).alias(f"i_users{days}") for days in (7, 14, 30, 90)),
        F.count(F.lit(1)).cast("double").alias("users"),
        users(F.col("x_age") <= 30).alias("i_first30"),
        F.max("x_age").alias("i_age"),
        F.min("x_idle").alias("i_idle"),
        F.log(F.percentile("price", F.lit(0.5))).alias("i_price"),
        users(F.col("days") > 1).alias("again"),
        F.sum(span).alias("span"),
        F.sum(again).alias("gaps"),
    )
    shares = {
        "i_repeat": (F.col("again") + PRIOR_USERS * F.col("prior")) / (F.col("users") + PRIOR_USERS),
        "i_gap": drawn(F.col("span"), F.col("gaps"), F.col("prior_gap"), PRIOR_GAPS),
        "i_trend7": _trend(7, 30),
        "i_trend30": _trend(30, 90),
    }
    return counted.crossJoin(F.broadcast(prior)).withColumns(shares).select("item_id", *ITEM)


def _trend(short: int, long: int) -> Column:
    """Log of the users a day of the short time over those of the long one, drawn to 0 by one user in the short one."""
    ratio = long / short
    return F.log((F.col(f"i_users{short}") + 1) * ratio / (F.col(f"i_users{long}") + ratio))


def user_features(pairs: DataFrame, rfm: DataFrame) -> DataFrame:
    """user_id, u_idle (days since the last want) and the USER features. u_explores: share of the user's item-days that
    were a first. Users of pairs without RFM (they rate, but do not buy) have nulls there.
    """
    priced = F.log("price")
    own = pairs.groupBy("user_id").agg(
        F.count(F.lit(1)).cast("double").alias("u_items"),
        F.sum("days").alias("u_days"),
        F.try_divide(F.count(F.lit(1)), F.sum("days")).alias("u_explores"),
        F.avg(priced).alias("u_price"),
        F.min("x_idle").alias("u_idle"),
    )
    known = rfm.select(
        "user_id",
        F.col("recency").cast("double").alias("u_recency"),
        F.col("frequency").cast("double").alias("u_frequency"),
        F.log1p(F.greatest("monetary", F.lit(0.0))).alias("u_monetary"),
        *(F.col(name).cast("double").alias(f"u_{name}") for name in ("r", "f", "m")),
    )
    return (
        own.join(known, "user_id", "left")
        .withColumn("u_basket", F.try_divide("u_days", "u_frequency"))
        .select("user_id", "u_idle", *USER)
    )


def affinities(affinity: DataFrame) -> DataFrame:
    """user_id, leans: map from "dimension|key" to (share, lift, recent), of the dimensions that items have."""
    wanted = affinity.where(F.col("dimension").isin(*LEVELS, "brand", "price_band"))
    entry = F.struct(
        F.concat_ws("|", "dimension", "key"), F.struct("share", "lift", F.col("recent_share").alias("recent"))
    )
    return wanted.groupBy("user_id").agg(F.map_from_entries(F.collect_list(entry)).alias("leans"))


def ranking_features(candidates: DataFrame, own: DataFrame, facts: Facts, scorers: tuple[str, ...]) -> DataFrame:
    """The candidates with all features as floats: user_id, item_id and feature_names(scorers). Keys as before.

    b_<dimension>: the user's share of the item's key, 0 where they never leaned to it, b_category_deep of the deepest
    level of its path; b_<dimension>_lift: the same as lift over the population; b_<dimension>_recent: the share of what
    they did lately.

    candidates: as models.candidates gives them. own: the pairs of their users, as models.repurchase gives them.
    """
    items = item_features(facts.pairs).join(_keys(facts.items), "item_id", "left")
    users = user_features(own, facts.rfm).join(affinities(facts.affinity), "user_id", "left")
    recent = Window.partitionBy("user_id").orderBy(F.desc("x_recent180"), "item_id")
    ranked = own.withColumn("x_recent_rank", F.row_number().over(recent))
    x = ranked.select("user_id", "item_id", "days", "repurchase_score", "repurchase_rank", "x_due_again", *PAIRWISE)
    # Each leaning is looked up once, of all that is told of it; the maps end here.
    leanings = {f"lean_{name}": F.try_element_at("leans", F.col(f"key_{name}")) for name in KEYS}
    joined = (
        candidates.join(x, ["user_id", "item_id"], "left")
        .join(F.broadcast(items), "item_id", "left")
        .join(users, "user_id", "left")
        .withColumns({**leanings, "leans": F.col("leans").isNotNull()})
    )
    gap = F.col("i_price") - F.col("u_price")
    told = {"share": SHARES, "lift": LIFTS, "recent": RECENT}
    leans = {name: _leaning(name, kind) for kind, names in told.items() for name in names}
    known = _with_standing(joined, facts)
    full = _with_intent(known, facts.open).withColumns(
        {
            "x_share": F.try_divide("days", "u_frequency"),
            "x_since": F.col("x_idle") - F.col("u_idle"),
            "b_price_gap": gap,
            **leans,
        }
    )
    return full.select(
        "user_id", "item_id", *(F.col(name).cast("float").alias(name) for name in feature_names(scorers))
    )


def _leaning(feature: str, told: str) -> Column:
    """What the user's leanings tell of the item's key; null where either has none."""
    name = feature.removeprefix("b_").removesuffix(f"_{told}")
    leaning = F.col(f"lean_{name}")
    value = F.when(leaning.isNull(), F.lit(0.0)).otherwise(leaning[told])
    return F.when(F.col(f"key_{name}").isNotNull() & F.col("leans"), value)


def _with_intent(candidates: DataFrame, opened: DataFrame | None) -> DataFrame:
    """The candidates with the INTENT features. x_cart_idle, x_look_idle: days since the item was put into the cart,
    was looked at; x_looks: looks since it was last bought or refused; u_cart: items in the user's cart.
    """
    if opened is None:
        return candidates.withColumns({name: F.lit(None) for name in INTENT})
    named = {"cart_idle": "x_cart_idle", "looks": "x_looks", "look_idle": "x_look_idle"}
    pairs = opened.select("user_id", "item_id", *(F.col(old).alias(new) for old, new in named.items()))
    carts = opened.groupBy("user_id").agg(F.count("cart_idle").alias("u_cart"))
    return candidates.join(pairs, ["user_id", "item_id"], "left").join(carts, "user_id", "left")


def _with_standing(candidates: DataFrame, facts: Facts) -> DataFrame:
    """The candidates with the STANDING features of their users. u_stage: its place in features.engagement.STAGES."""
    worth = {new: F.col(old) for old, new in VALUE.items()}
    engaged = {new: F.col(old) for old, new in ENGAGEMENT.items()}
    engaged["u_stage"] = F.array_position(F.array(*map(F.lit, STAGES)), F.col("stage"))
    for frame, features in ((facts.worth, worth), (facts.engaged, engaged)):
        if frame is None:
            candidates = candidates.withColumns(dict.fromkeys(features, F.lit(None)))
        else:
            told = frame.select("user_id", *(value.alias(name) for name, value in features.items()))
            candidates = candidates.join(told, "user_id", "left")
    return candidates


def key_of(dimension: str) -> Column:
    """On features.affinity.item_keys: the item's key in a dimension, or null."""
    return F.get(F.filter("keys", lambda entry: entry["dimension"] == dimension), F.lit(0))["key"]


def _keys(items: DataFrame) -> DataFrame:
    """item_id, key_category, key_brand, key_price_band, key_category_deep: "dimension|key" of each item, or null."""
    path = key_of(PATH)
    deepest = F.element_at(F.array(*map(F.lit, LEVELS)), F.size(F.split(path, SEPARATOR)))
    told = {name: F.concat(F.lit(f"{name}|"), key_of(name)) for name in KEYS[:3]}
    told["category_deep"] = F.when(path.isNotNull(), F.concat(deepest, F.lit("|"), path))
    return item_keys(items).select("item_id", *(key.alias(f"key_{name}") for name, key in told.items()))
