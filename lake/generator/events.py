"""Genuine events: sessions of people and busy days of bots. One row an event, all its traits true.

Both frames have the columns EVENT: id (long, unique over both), session, user and item (numbers; item is null for
a search), type, at (timestamp, whole milliseconds), device, country, quantity, price (euro, one unit), rating,
dwell_ms, query, slot.
"""

from __future__ import annotations

import math
from datetime import timedelta

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.generator import people
from lake.generator.catalogue import category_by_popularity, category_of, category_path, item_of, price, price_position
from lake.generator.chance import below, choose, texts, uniform
from lake.generator.params import BOT_EVENTS, Params

EVENT = (
    "id", "session", "user", "item", "type", "at", "device", "country", "quantity", "price", "rating", "dwell_ms",
    "query", "slot",
)  # fmt: skip
BLOCK = 32  # events that are divided into sessions together; no session is longer
SESSION = 8  # a block is cut before each of its events with chance 1 / SESSION
SLOWEST, FASTEST = 90.0, 10.0  # seconds between the events of a session, about
ABOUT_THE_LAST = ("click", "add_to_cart", "remove_from_cart", "like", "dislike", "purchase", "hide", "rate")
# What people do by the hour of the day, UTC, and by the day of the week from Monday.
HOURS = (2, 1, 1, 1, 1, 2, 4, 6, 7, 8, 9, 9, 10, 9, 8, 8, 9, 10, 12, 14, 15, 13, 9, 5)
WEEKDAYS = (1.0, 0.95, 0.95, 1.0, 1.1, 1.3, 1.25)
YEARLY, PEAK = 0.25, 345  # 25 % more around the 345th day of the year, as much less half a year later
ROWS_A_TASK = 1_000_000


def day_weights(params: Params) -> list[float]:
    """How much happens on each day of the log, in proportion: week x year."""
    days = [params.start + timedelta(days=number) for number in range(params.days)]
    return [
        WEEKDAYS[day.weekday()] * (1 + YEARLY * math.cos(2 * math.pi * (day.timetuple().tm_yday - PEAK) / 365.25))
        for day in days
    ]


def sessions(spark: SparkSession, params: Params, rows_a_task: int = ROWS_A_TASK) -> DataFrame:
    """One row a session of a person: its first event's id, length, person with their tastes, start and pace.

    Ids are divided into blocks and blocks into sessions, so that the events are exactly as many as were asked for.
    """
    seed, events = params.seed, params.people_events
    blocks = -(-events // BLOCK)
    number, row = F.col("id") * BLOCK, spark.range(0, blocks, 1, -(-blocks // (rows_a_task // BLOCK)))
    cuts = F.filter(
        F.sequence(F.lit(0), F.lit(BLOCK - 1)),
        lambda place: (place == 0) | (uniform(seed, "cut", number + place) < 1 / SESSION),
    )
    spans = F.transform(
        F.col("cuts"),
        lambda first, place: F.struct(
            (number + first).alias("session"),
            F.least(F.coalesce(F.get("cuts", place + 1), F.lit(BLOCK)).cast("long"), F.lit(events) - number).alias(
                "to"
            ),
            first.alias("from"),
        ),
    )
    cut = row.withColumn("cuts", cuts).select(F.explode(spans).alias("span"))
    found = cut.select("span.session", (F.col("span.to") - F.col("span.from")).cast("int").alias("length"))
    session, user = F.col("session"), F.col("user")
    pace = F.lit(FASTEST) * F.pow(F.lit(SLOWEST / FASTEST), uniform(seed, "pace", session))
    day = choose(day_weights(params), uniform(seed, "day", session))
    hour = choose(HOURS, uniform(seed, "hour", session))
    second = (day.cast("long") * 24 + hour) * 3600 + uniform(seed, "second", session) * 3600
    # The last sessions end with the log.
    latest = F.lit(params.days * 86_400.0) - F.col("length") * F.col("pace")
    first, other, third = people.preferred(params, user)
    return (
        found.filter(F.col("length") > 0)
        .withColumn("user", people.active_user(params, uniform(seed, "who", session)))
        .withColumn("pace", pace)
        .select(
            "session", "length", "user", "pace",
            F.greatest(F.lit(0.0), F.least(second, latest)).alias("opened"),
            first.alias("first"), other.alias("second"), third.alias("third"),
            people.first_weight(params, user).alias("weight"),
            people.price_level(params, user).alias("price_level"),
            people.country(params, user).alias("country"),
            people.device(params, user, uniform(seed, "used device", session)).alias("device"),
        )
    )  # fmt: skip


def of_people(spark: SparkSession, params: Params, rows_a_task: int = ROWS_A_TASK) -> DataFrame:
    """The events of people. What reacts (a like, a purchase) is mostly about the item of the event before it."""
    seed = params.seed
    rows = sessions(spark, params, rows_a_task).withColumn("place", F.explode(F.expr("sequence(0, length - 1)")))
    rows = rows.withColumn("id", F.col("session") + F.col("place"))
    shares = params.type_shares
    kinds = texts(tuple(shares))[choose(tuple(shares.values()), uniform(seed, "type", F.col("id")))]
    rows = rows.withColumn("type", kinds)
    reacts = F.col("type").isin(*ABOUT_THE_LAST) & (F.col("place") > 0)
    rows = rows.withColumn("about", F.col("id") - reacts.cast("long"))
    about, which = F.col("about"), uniform(seed, "why", F.col("about"))
    second_weight = F.col("weight") + (1 - F.col("weight")) * 0.6
    category = (
        F.when(which < F.col("weight") * params.taste, F.col("first"))
        .when(which < second_weight * params.taste, F.col("second"))
        .when(which < params.taste, F.col("third"))
        .otherwise(category_by_popularity(params, uniform(seed, "category", about)))
    )
    rows = rows.withColumn("category", category)
    # Of two items, both drawn by popularity, the one nearer to the person's price level.
    one, two = (item_of(params, F.col("category"), uniform(seed, name, about)) for name in ("item one", "item two"))
    rows = rows.withColumns({"one": one, "two": two})
    far = {name: F.abs(price_position(params, F.col(name)) - F.col("price_level")) for name in ("one", "two")}
    chosen = F.when(far["one"] <= far["two"], F.col("one")).otherwise(F.col("two"))
    seconds = F.col("opened") + (F.col("place") + uniform(seed, "moment", F.col("id"))) * F.col("pace")
    rows = rows.withColumns({"item": chosen, "seconds": seconds})
    return rows.select(*_columns(params, F.col("item"), F.col("category")))


def of_bots(spark: SparkSession, params: Params) -> DataFrame:
    """The events of bots: each views BOT_EVENTS items on one day, about a second apart."""
    seed, count = params.seed, params.bot_events
    rows = spark.range(0, count, 1, max(1, -(-count // ROWS_A_TASK))).withColumnRenamed("id", "number")
    bot, place = F.floor(F.col("number") / BOT_EVENTS), F.pmod("number", F.lit(BOT_EVENTS))
    rows = rows.withColumns({"bot": bot, "place": place})
    day = choose(day_weights(params), uniform(seed, "bot day", F.col("bot")))
    opened = day * 86_400 + uniform(seed, "bot second", F.col("bot")) * (86_400 - 2 * BOT_EVENTS)
    chance = uniform(seed, "bot item", F.col("number"))
    item = item_of(params, category_by_popularity(params, uniform(seed, "bot category", F.col("number"))), chance)
    user = F.col("bot") + params.people
    rows = rows.withColumns(
        {
            "id": F.col("number") + params.people_events,
            "session": F.col("bot") * BOT_EVENTS + params.people_events,
            "user": user,
            "item": item,
            "type": F.lit("view"),
            "seconds": opened + F.col("place") + uniform(seed, "bot moment", F.col("number")),
            "country": people.country(params, user),
            "device": F.lit("web"),
        }
    )
    return rows.select(*_columns(params, F.col("item"), category_of(params, F.col("item"))))


def _columns(params: Params, item: Column, category: Column) -> list[Column]:
    """EVENT, from id, session, user, type, seconds (since the log began), device and country."""
    seed, kind, number = params.seed, F.col("type"), F.col("id")
    began = F.unix_millis(F.lit(params.start).cast("timestamp"))
    trade = kind.isin("purchase", "return")
    units = F.least(F.floor(F.log(1 - uniform(seed, "units", number)) * -0.7) + 1, F.lit(12))
    department, kind_of_item, _ = category_path(category)
    found = {
        "item": F.when(kind != "search", item),
        "at": F.timestamp_millis(began + F.floor(F.col("seconds") * 1000)),
        "quantity": F.when(trade, units.cast("int")),
        "price": F.when(trade, price(params, item)),
        "rating": F.when(kind == "rate", (below(uniform(seed, "rating", number), 5) + 1).cast("int")),
        "dwell_ms": F.when(kind == "view", below(uniform(seed, "dwell", number), 60_000)),
        "query": F.when(kind == "search", F.lower(F.concat_ws(" ", kind_of_item, department))),
        "slot": F.when(kind.isin("impression", "click"), (below(uniform(seed, "slot", number), 20) + 1).cast("int")),
    }
    return [found.get(name, F.col(name)).alias(name) for name in EVENT]
