"""The catalogue: what is known about each item, from item files and from the events themselves.

Descriptions follow the latest word (`updated_at`), prices the latest sale (`priced_at`), so that the same rows
in any order and any number of windows lead to the same catalogue.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.tables import ITEMS

DESCRIPTION = ("title", "category", "brand", "attributes", "available_from", "available_to", "sensitive", "source")


def described_in_events(events: DataFrame) -> DataFrame:
    """One row an item: the latest description that its events carry.

    events: [item_id, event_time, title, category, brand, sensitive, source]. Items whose events carry
    none get a row without title: an item in no catalogue is still an item. Of two at one instant the later by title,
    category, brand and source counts.
    """
    said = ("title", "category", "brand", "source")
    latest = F.struct("event_time", *said)

    def last_known(name: str) -> Column:
        return F.max_by(name, F.when(F.col(name).isNotNull(), latest)).alias(name)

    # Few descriptions of many events: Spark sorts for the latest of a text, and hashes for the latest of a number.
    found = (
        events.filter(F.col("item_id").isNotNull())
        .groupBy("item_id", "sensitive", *said)
        .agg(F.max("event_time").alias("event_time"))
        .groupBy("item_id")
        .agg(
            last_known("title"),
            last_known("category"),
            last_known("brand"),
            F.bool_or("sensitive").alias("sensitive"),
            F.max_by("source", latest).alias("source"),
            F.max(F.when(F.coalesce("title", "brand").isNotNull() | F.col("category").isNotNull(), F.col("event_time")))
            .alias("updated_at"),
        )
    )  # fmt: skip
    return found.select(
        "item_id", "title", "category", "brand",
        F.lit(None).cast("map<string,string>").alias("attributes"),
        F.lit(None).cast("date").alias("available_from"),
        F.lit(None).cast("date").alias("available_to"),
        "sensitive",
        "source", "updated_at",
    )  # fmt: skip


def priced_in_events(events: DataFrame) -> DataFrame:
    """One row an item: unit price and currency of its latest purchase: [item_id, price, currency, priced_at].

    events: [item_id, event_time, event_id, event_type, quantity, amount, currency].
    """
    latest = F.struct("event_time", "event_id")
    paid = (F.col("event_type") == "purchase") & (F.col("quantity") > 0) & (F.col("amount") > 0)
    return (
        events.filter(paid)
        .groupBy("item_id")
        .agg(
            F.round(F.max_by(F.try_divide("amount", "quantity"), latest), 4).alias("price"),
            F.max_by("currency", latest).alias("currency"),
            F.max("event_time").alias("priced_at"),
        )
    )


def merge_catalogue(known: DataFrame, described: DataFrame, priced: DataFrame) -> DataFrame:
    """The catalogue after new descriptions and prices: columns of silver.items, one row an item that was touched.

    known: silver.items. described: DESCRIPTION columns, item_id, updated_at; several rows an item are allowed.
    priced: [item_id, price, currency, priced_at], likewise.
    """
    old = known.select("item_id", *DESCRIPTION, "updated_at").withColumn("new", F.lit(False))
    said = described.select("item_id", *DESCRIPTION, "updated_at").withColumn("new", F.lit(True))
    # The latest word wins; without one, any row that has a title does.
    rank = F.struct(
        F.coalesce("updated_at", F.lit("1970-01-01").cast("timestamp")), F.col("title").isNotNull(), F.xxhash64("title")
    )
    descriptions = (
        old.unionByName(said)
        .groupBy("item_id")
        .agg(
            F.max_by(F.struct(*DESCRIPTION, "updated_at"), rank).alias("_description"), F.bool_or("new").alias("_said")
        )
    )
    price = ("price", "currency", "priced_at")
    old_prices = known.filter(F.col("priced_at").isNotNull()).select("item_id", *price, F.lit(False).alias("new"))
    prices = (
        old_prices.unionByName(priced.select("item_id", *price, F.lit(True).alias("new")))
        .groupBy("item_id")
        .agg(
            F.max_by(F.struct(*price), F.struct("priced_at", "price")).alias("_price"), F.bool_or("new").alias("_sold")
        )
    )
    touched = F.coalesce("_said", F.lit(False)) | F.coalesce("_sold", F.lit(False))
    merged = (
        descriptions.join(prices, "item_id", "full_outer")
        .filter(touched)
        .select("item_id", F.col("_description.*"), F.col("_price.*"))
    )
    return merged.withColumn("sensitive", F.coalesce("sensitive", F.lit(False))).select(*ITEMS.names)
