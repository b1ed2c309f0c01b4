"""What a person is about to do, as of a date: items left in the cart, items looked at again and again, searches.

From the tiles and searches of a few trailing days alone, so that its cost follows the window and not the history. Carts
that are left, looks without a purchase and searches are what tells buyers from visitors (Moe, Journal of Consumer
Psychology 13(1-2), 2003; Kukar-Kinney & Close, Journal of the Academy of Marketing Science 38(2), 2010). How long each
counts is a choice, not a measurement.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.facts import day_of

# Days for which an item stays in the cart or in mind, and for which the words of a search are kept.
OPEN_DAYS, SEARCH_DAYS = 30, 7
# Looks from which on an item is looked at again and again.
REPEATED = 2
# A person's newest items and searches that are kept.
ITEMS_KEPT, TERMS_KEPT = 50, 20
TERM_LENGTH = 100

# What ends the wish for an item. A return ends nothing: another size may follow.
SETTLING = ("purchases", "hides", "dislikes")
# Addresses and long numbers name people, not things.
PRIVATE = r"@|(\d[\s./-]?){7,}"


def open_items(user_item_day: DataFrame, as_of: date | Column) -> DataFrame:
    """[user_id, user_bucket, item_id, cart_idle, looks, look_idle]: what each user has in the cart or has looked at.

    user_item_day: tiles; days outside the OPEN_DAYS before as_of are left out. as_of: a date, or a column made of
    user_id. cart_idle: days since the item was last put into the cart; null when it is not there. looks: views, or
    clicks where a day has more of them, over all days; look_idle: days since the last, or null. Yesterday is 1.

    A tile does not tell the order within its day, so this is the rule: a day with a purchase, hide or dislike of the
    item settles it, whatever else is on the day, and days up to it do not count. Of days with cart events the latest
    decides: the item is in the cart if it was put in more often than taken out.
    """
    day = day_of(as_of)
    views, clicks, put, taken = (_count(name) for name in ("views", "clicks", "adds_to_cart", "removes_from_cart"))
    said = user_item_day.filter(
        (F.col("event_date") < day) & (F.col("event_date") >= F.date_sub(day, OPEN_DAYS))
    ).select(
        "user_id", "user_bucket", "item_id", "event_date", F.greatest(views, clicks).alias("looks"),
        put.alias("put"), taken.alias("taken"), sum((_count(name) for name in SETTLING), F.lit(0)).alias("settling"),
    ).filter("looks > 0 OR put > 0 OR taken > 0 OR settling > 0")  # fmt: skip
    # All that follows is by user, and in the order of a number: names would be compared for each place in it.
    placed = said.repartition("user_id").withColumn("_place", F.xxhash64("user_id", "item_id"))
    settled = F.max(F.when(F.col("settling") > 0, F.col("event_date"))).over(
        Window.partitionBy("_place", "user_id", "item_id")
    )
    since = placed.withColumn("settled", settled).filter("settled IS NULL OR event_date > settled")
    found = since.groupBy("user_id", "item_id").agg(
        F.max("user_bucket").alias("user_bucket"),
        F.max(F.when(F.col("put") > F.col("taken"), F.col("event_date"))).alias("_put"),
        F.max(F.when((F.col("taken") > 0) & (F.col("taken") >= F.col("put")), F.col("event_date"))).alias("_taken"),
        F.sum("looks").alias("looks"),
        F.max(F.when(F.col("looks") > 0, F.col("event_date"))).alias("_looked"),
    )
    there = F.col("_taken").isNull() | (F.col("_put") > F.col("_taken"))
    return found.select(
        "user_id",
        "user_bucket",
        "item_id",
        F.when(there, F.date_diff(day, "_put")).alias("cart_idle"),
        "looks",
        F.date_diff(day, "_looked").alias("look_idle"),
    ).filter("cart_idle IS NOT NULL OR looks > 0")


def searches(events: DataFrame, as_of: date) -> DataFrame:
    """[user_id, user_bucket, searches, search_idle, terms]: what users searched for in the SEARCH_DAYS before as_of.

    events: silver.events. searches: events, whether they say a text or not. terms: the latest TERMS_KEPT texts, the
    latest first, each once: in lower case by Unicode's rules, of any script, at most TERM_LENGTH characters. Texts with
    an address or a number of seven digits or more are left out; cleaning has removed those of sensitive topics.
    """
    day = F.lit(as_of)
    term = F.rtrim(F.left(F.lower(F.trim("query")), F.lit(TERM_LENGTH)))
    asked = events.filter(
        (F.col("event_type") == "search")
        & (F.col("event_date") < day)
        & (F.col("event_date") >= F.date_sub(day, SEARCH_DAYS))
        & ~F.coalesce("is_bot", F.lit(False))
    ).select(
        "user_id", "user_bucket", "event_date", "event_time",
        F.when((term != "") & ~F.rlike("query", F.lit(PRIVATE)), term).alias("term"),
    )  # fmt: skip
    # Texts first, then people: all by user, so that one exchange serves both.
    by_term = (
        asked.repartition("user_id")
        .groupBy("user_id", "term")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            F.count(F.lit(1)).alias("times"),
            F.max("event_date").alias("last"),
            F.max("event_time").alias("last_time"),
        )
    )
    texts = F.collect_list(F.when(F.col("term").isNotNull(), F.struct("last_time", "term")))
    latest = F.slice(F.sort_array(texts, asc=False), 1, TERMS_KEPT)
    return by_term.groupBy("user_id").agg(
        F.max("user_bucket").alias("user_bucket"),
        F.sum("times").alias("searches"),
        F.date_diff(day, F.max("last")).alias("search_idle"),
        F.transform(latest, lambda entry: entry["term"]).alias("terms"),
    )


def intent(open_items: DataFrame, searches: DataFrame, items: DataFrame, as_of: date) -> DataFrame:
    """gold.intent: a row a user of whom there is anything to say.

    open_items, searches: as the functions above give them. items: [item_id, price, sensitive], as the catalogue
    describes them now; a sensitive item leaves no trace. cart_value: one of each item at the catalogue's price; items
    without one count nothing. viewed_items: looked at REPEATED times or more, and not in the cart.
    """
    priced = F.when((F.col("price") > 0) & (F.col("price") < float("inf")), F.col("price"))
    known = items.select("item_id", priced.alias("price"), "sensitive")
    in_cart, looked = F.col("cart_idle").isNotNull(), F.col("looks") >= REPEATED
    shown = (
        open_items.filter(in_cart | looked)
        .join(known, "item_id", "left")
        .filter(~F.coalesce("sensitive", F.lit(False)))
        .withColumn("newest", F.least("cart_idle", "look_idle"))
    )
    viewed = ~in_cart & looked
    entry = F.struct("newest", "item_id", "cart_idle", "looks", "look_idle", "price")
    kept = F.slice(F.sort_array(F.collect_list(entry)), 1, ITEMS_KEPT)
    by_user = shown.groupBy("user_id").agg(
        F.max("user_bucket").alias("user_bucket"),
        F.count_if(in_cart).alias("cart_items"),
        F.sum(F.when(in_cart, F.col("price"))).alias("cart_value"),
        F.min("cart_idle").alias("cart_newest"),
        F.max("cart_idle").alias("cart_oldest"),
        F.count_if(viewed).alias("viewed_items"),
        F.min(F.when(viewed, F.col("look_idle"))).alias("last_viewed"),
        F.transform(kept, lambda item: item.dropFields("newest")).alias("items"),
    )
    asked = searches.withColumnRenamed("user_bucket", "_bucket")
    none = {name: F.coalesce(name, F.lit(0)) for name in ("cart_items", "viewed_items", "searches")}
    return (
        by_user.join(asked, "user_id", "full")
        .withColumns({"as_of": F.lit(as_of), "user_bucket": F.coalesce("user_bucket", "_bucket"), **none})
        .drop("_bucket")
    )


def _count(name: str) -> Column:
    return F.coalesce(name, F.lit(0))
