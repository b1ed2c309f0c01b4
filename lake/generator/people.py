"""Users: latent traits as expressions of the user's number; their file, their consents and the truth about them.

Users of the highest numbers are bots. Among people, the lower the number the more active.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.generator.catalogue import ROWS_A_TASK, category_by_popularity, category_path
from lake.generator.chance import below, choose, shuffled, texts, uniform
from lake.generator.params import Params

COUNTRIES = {"DE": 0.3, "GB": 0.25, "FR": 0.2, "NL": 0.15, "AT": 0.1}
DEVICES = ("mobile", "web", "tablet", "tv")
MAIN_DEVICE = 0.75  # share of sessions on the main of a person's two devices
ACTIVITY = 2.0  # exponent: the share f of the most active has f ** (1 / ACTIVITY) of the sessions
LEVELS = {"individual": 0.9, "segment": 0.06, "none": 0.04}
STATES_PREFERENCE = 0.4  # share of users who have told which department they like


def user_id(params: Params, number: Column) -> Column:
    """u and a number that says nothing about the user."""
    return F.concat(F.lit("u"), shuffled(params.seed, "user id", number, params.users))


def active_user(params: Params, chance: Column) -> Column:
    """The number of a person, drawn by activity: floor(people x chance ** ACTIVITY)."""
    return F.least(F.floor(F.pow(chance, F.lit(ACTIVITY)) * params.people), F.lit(params.people - 1))


def activity(params: Params, number: Column) -> Column:
    """A person's expected share of all sessions of people, times people: 1 is the mean; null for bots."""
    people = F.lit(float(params.people))
    power = F.lit(1 / ACTIVITY)
    share = F.pow((number + 1) / people, power) - F.pow(number / people, power)
    return F.when(number < params.people, share * people)


def preferred(params: Params, number: Column) -> tuple[Column, Column, Column]:
    """Three different categories; the first is drawn by popularity, the others a random stride further on."""
    categories = params.categories
    first = category_by_popularity(params, uniform(params.seed, "taste", number))
    stride = below(uniform(params.seed, "taste stride", number), max(1, (categories - 1) // 2)) + 1
    second = F.pmod(first + stride, F.lit(categories))
    return first, second.cast("int"), F.pmod(first + stride * 2, F.lit(categories)).cast("int")


def first_weight(params: Params, number: Column) -> Column:
    """The first category's share of the three: .4 to .7. The rest is divided 3 : 2."""
    return uniform(params.seed, "taste weight", number) * 0.3 + 0.4


def price_level(params: Params, number: Column) -> Column:
    """0 to 1: where within a category's prices the person likes to buy."""
    return uniform(params.seed, "price level", number)


def country(params: Params, number: Column) -> Column:
    """ISO code."""
    return texts(tuple(COUNTRIES))[choose(tuple(COUNTRIES.values()), uniform(params.seed, "country", number))]


def device(params: Params, number: Column, chance: Column) -> Column:
    """The device of a session of the person: the main one, or the second."""
    main = below(uniform(params.seed, "device", number), len(DEVICES))
    second = main + 1 + below(uniform(params.seed, "second device", number), len(DEVICES) - 1)
    used = F.when(chance < MAIN_DEVICE, main).otherwise(F.pmod(second, F.lit(len(DEVICES))))
    return texts(DEVICES)[used.cast("int")]


def users(spark: SparkSession, params: Params) -> DataFrame:
    """One row a user: [user_id, country, born, level, favourite] for the file, [asked_at, granted_at, withdrawn_at]
    (null where it never happened), and the latent traits [is_bot, activity, categories (three numbers), weights
    (theirs, of the preferred), price_level, devices (the main one first), consent (granted, withdrawn, never asked)].
    """
    number, seed = F.col("id"), params.seed
    first, second, third = preferred(params, number)
    weight = first_weight(params, number)
    asked = uniform(seed, "consent", number)
    consent = (
        F.when(asked < params.never_asked, "never asked")
        .when(asked < params.never_asked + params.withdrawn, "withdrawn")
        .otherwise("granted")
    )
    opened = F.lit(params.start).cast("timestamp")
    before = F.timestamp_seconds(F.unix_seconds(opened) - below(uniform(seed, "granted", number), 365 * 86_400) - 1)
    during = F.timestamp_seconds(
        F.unix_seconds(opened) + below(uniform(seed, "withdrew", number), params.days * 86_400)
    )
    says = uniform(seed, "says", number) < STATES_PREFERENCE
    department = category_path(first)[0]
    return spark.range(0, params.users, 1, -(-params.users // ROWS_A_TASK)).select(
        user_id(params, number).alias("user_id"),
        country(params, number).alias("country"),
        (below(uniform(seed, "born", number), 60) + 1945).cast("int").alias("born"),
        texts(tuple(LEVELS))[choose(tuple(LEVELS.values()), uniform(seed, "level", number))].alias("level"),
        F.when(says, department).alias("favourite"),
        F.when(consent != "never asked", before).alias("granted_at"),
        F.when(consent == "withdrawn", during).alias("withdrawn_at"),
        (number >= params.people).alias("is_bot"),
        activity(params, number).alias("activity"),
        F.array(first, second, third).alias("categories"),
        F.array(weight, (1 - weight) * 0.6, (1 - weight) * 0.4).alias("weights"),
        price_level(params, number).alias("price_level"),
        F.array(device(params, number, F.lit(0.0)), device(params, number, F.lit(1.0))).alias("devices"),
        consent.alias("consent"),
    )


def decisions(people: DataFrame) -> DataFrame:
    """One row a decision: [user_id, at, granted]; who withdrew had granted before; who was never asked has none."""
    words = F.array(
        F.struct(F.col("granted_at").alias("at"), F.lit(True).alias("granted")),
        F.struct(F.col("withdrawn_at").alias("at"), F.lit(False).alias("granted")),
    )
    said = people.select("user_id", F.explode(words).alias("word"))
    return said.filter(F.col("word.at").isNotNull()).select("user_id", "word.at", "word.granted")
