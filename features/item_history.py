"""What the catalogue said of each item, and since when: an item that changes its category keeps its past.

Histories: [item_id, valid_from (date), keys: array<struct<dimension, key>>], a row an item and change. What is known
of an item's keys on a day is the latest row of valid_from up to that day; before the first, nothing is.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

EPOCH = date(1970, 1, 1)


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
    """[item_id, versions: array<struct<valid_from, keys>>], the earliest first: a row an item, for keys_on."""
    return history.groupBy("item_id").agg(
        F.array_sort(F.collect_list(F.struct("valid_from", "keys"))).alias("versions")
    )


def only(keys: DataFrame) -> DataFrame:
    """The same where items have always been what they are now. keys: [item_id, keys]."""
    return keys.select("item_id", F.array(F.struct(F.lit(EPOCH).alias("valid_from"), "keys")).alias("versions"))


def keys_on(day: str) -> Column:
    """array<struct<dimension, key>> that held on the day, from the column `versions`; null when nothing was known."""
    held = F.filter("versions", lambda version: version["valid_from"] <= F.col(day))
    return F.try_element_at(held, F.lit(-1))["keys"]
