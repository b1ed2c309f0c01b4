"""What the catalogue said of each item, and since when: an item that changes its category keeps its past.

Histories: [item_id, valid_from (date), keys: array<struct<dimension, key>>], a row an item and change. What is known
of an item's keys on a day is the latest row of valid_from up to that day; before the first, nothing is.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from features.packing import BETWEEN, OF_ITEMS, PATH

EPOCH, NEVER = date(1970, 1, 1), date(9999, 12, 31)


def changes(history: DataFrame, keys: DataFrame, since: date) -> DataFrame:
    """The rows to add to the history: items whose keys are new to it or differ from their latest, valid from `since`.

    keys: [item_id, keys], as features.affinity.item_keys gives them.
    """
    latest = history.groupBy("item_id").agg(F.max(F.struct("valid_from", "keys"))["keys"].alias("_known"))
    changed = F.col("_known").isNull() | (F.col("_known") != F.col("keys"))
    return (
        keys.join(latest, "item_id", "left").filter(changed).select("item_id", F.lit(since).alias("valid_from"), "keys")
    )


def versions(history: DataFrame) -> DataFrame:
    """[item_id, valid_from, valid_until, path, brand, price_band, category, said]: what held from a day until before
    another, in columns that join by an item and a day. One row at most holds for each. said: path, brand and price band
    in one text, as features.packing.said_of reads it.
    """
    following = F.lead("valid_from").over(Window.partitionBy("item_id").orderBy("valid_from"))
    return _flat(history.withColumn("valid_until", F.coalesce(following, F.lit(NEVER))))


def only(keys: DataFrame) -> DataFrame:
    """The same where items have always been what they are now. keys: [item_id, keys]."""
    return _flat(keys.withColumns({"valid_from": F.lit(EPOCH), "valid_until": F.lit(NEVER)}))


def _flat(frame: DataFrame) -> DataFrame:
    named = F.map_from_entries("keys")
    told = {name: F.try_element_at(named, F.lit(name)) for name in (*OF_ITEMS, "category")}
    # An earlier Attune noted the two broadest levels, and no more of the path.
    told[PATH] = F.coalesce(told[PATH], told["category"])
    # One text goes to Python faster than three. An earlier Attune may have noted a name that holds what stands between.
    said = F.concat_ws(BETWEEN, *(F.translate(F.coalesce(told[name], F.lit("")), BETWEEN, "") for name in OF_ITEMS))
    keys = (key.alias(name) for name, key in told.items())
    return frame.select("item_id", "valid_from", "valid_until", *keys, said.alias("said"))
