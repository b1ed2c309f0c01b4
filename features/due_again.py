"""What a person is due to buy again, and when: the cycle of their purchases of an item, or of a category.

A day with a purchase counts once. The time between two of them is drawn to what is usual by how little is known of it:
(sum of gaps + weight x the usual gap) / (gaps + weight), the posterior mean of a rate under a gamma prior whose weight
counts in gaps (Gelman et al., Bayesian Data Analysis, chapter 2). Repeat consumption by its own cycle: Bhagat et al.,
"Buy It Again: Modeling Repeat Purchase Recommendations", KDD 2018.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

# By dimension, the column that holds its key.
KEYS = {"item": "item_id", "category": "category"}
DIMENSIONS = tuple(KEYS)
# Days that are looked at: a cycle of more than a year is none.
CYCLE_DAYS = 365
# The usual gap of an item is drawn to that of all items by so many gaps, and a person's own to the item's.
PRIOR_GAPS, PRIOR_OWN_GAPS = 20.0, 3.0
# Of whom bought once: only where so many people, and such a share of all, came back within the days.
LEAST_RETURNING, LEAST_SHARE = 5, 0.2
# A person's best known keys of a dimension that are kept.
KEYS_KEPT = 50


def drawn(span: Column, gaps: Column, usual: Column, weight: float) -> Column:
    """The mean of gaps that sum up to span, drawn to the usual one as if that had been seen `weight` times."""
    return (span + weight * usual) / (gaps + weight)


def bought(user_item_day: DataFrame, keys: DataFrame, items: DataFrame, as_of: date) -> DataFrame:
    """[user_id, user_bucket, dimension, key, days, first, last]: days with a purchase, the first and the last.

    user_item_day: tiles; days outside the CYCLE_DAYS before as_of are left out. keys: as features/item_history.py keeps
    them: a purchase counts for the category of its day. items: [item_id, sensitive]; sensitive ones leave no trace.
    """
    day = F.lit(as_of)
    within = (F.col("event_date") < day) & (F.col("event_date") >= F.date_sub(day, CYCLE_DAYS))
    barred = items.filter("sensitive").select("item_id")
    own = (
        user_item_day.filter(within & (F.col("purchases") > 0))
        .select("user_id", "user_bucket", "item_id", "event_date")
        .join(F.broadcast(barred), "item_id", "left_anti")
    )
    held = (F.col("event_date") >= F.col("valid_from")) & (F.col("event_date") < F.col("valid_until"))
    known = keys.filter("category IS NOT NULL").withColumnRenamed("item_id", "_item")
    named = own.join(known, (F.col("_item") == F.col("item_id")) & held, "left")
    # One pass over a year of tiles for both dimensions.
    both = F.array(
        *(F.struct(F.lit(dimension).alias("dimension"), F.col(key).alias("key")) for dimension, key in KEYS.items())
    )
    told = named.select("user_id", "user_bucket", "event_date", F.inline(both)).filter("key IS NOT NULL")
    # A tile is an item's only one of its day; a category may have several.
    days = told.repartition("user_id").distinct()
    return days.groupBy("user_id", "dimension", "key").agg(
        F.max("user_bucket").alias("user_bucket"),
        F.count(F.lit(1)).alias("days"),
        F.min("event_date").alias("first"),
        F.max("event_date").alias("last"),
    )


def cycles(bought: DataFrame, as_of: date) -> DataFrame:
    """gold.cycles: what is usual of each key that anybody bought on two days. bought: of all users, as above."""
    span, again = F.date_diff("last", "first"), F.col("days") - 1
    found = bought.groupBy("dimension", "key").agg(
        F.count(F.lit(1)).alias("users"),
        F.count_if(F.col("days") > 1).alias("returning"),
        F.sum(again).alias("gaps"),
        F.sum(span).alias("_span"),
    )
    seen = found.filter("gaps > 0")
    overall = seen.groupBy("dimension").agg((F.sum("_span") / F.sum("gaps")).alias("_usual"))
    cycle = drawn(F.col("_span"), F.col("gaps"), F.col("_usual"), PRIOR_GAPS)
    return seen.join(F.broadcast(overall), "dimension").select(
        F.lit(as_of).alias("as_of"), "dimension", "key", "users", "returning", "gaps", cycle.alias("cycle")
    )


def due_again(bought: DataFrame, cycles: DataFrame, as_of: date) -> DataFrame:
    """gold.due_again of the users in `bought`: when each is due to buy what they bought before.

    cycles: of one as_of. cycle: the person's mean gap drawn to the usual one; due: the last day and so many days,
    rounded. Bought on two days, or on one where the key is known to come back; the KEYS_KEPT keys bought on most
    days of a user and dimension, of equal ones those due first.
    """
    gaps, span = F.col("days") - 1, F.date_diff("last", "first")
    usual = F.col("usual")
    joined = bought.join(
        cycles.select("dimension", "key", "users", "returning", F.col("cycle").alias("usual")),
        ["dimension", "key"],
        "left",
    )
    comes_back = (F.col("returning") >= LEAST_RETURNING) & (F.col("returning") >= LEAST_SHARE * F.col("users"))
    own = F.try_divide(span, gaps)
    told = joined.filter((F.col("days") > 1) | F.coalesce(comes_back, F.lit(False))).withColumn(
        "cycle", F.coalesce(drawn(span, gaps, usual, PRIOR_OWN_GAPS), own)
    )
    due = F.date_add("last", F.round("cycle").cast("int"))
    best = Window.partitionBy("user_id", "dimension").orderBy(F.desc("days"), "due", "key")
    return (
        told.withColumn("due", due)
        .withColumn("_place", F.row_number().over(best))
        .filter(F.col("_place") <= KEYS_KEPT)
        .select(
            "user_id", "user_bucket", F.lit(as_of).alias("as_of"), "dimension", "key", "days",
            F.col("first").alias("first_bought"), F.col("last").alias("last_bought"), own.alias("own_gap"), "cycle",
            "due",
        )
    )  # fmt: skip


def standing(rows: DataFrame, as_of: date) -> DataFrame:
    """What holds as of a date by the rows of gold.due_again: the newest of each user by then."""
    known = rows.filter(F.col("as_of") <= F.lit(as_of))
    newest = known.groupBy("user_id").agg(F.max("as_of").alias("as_of"))
    return known.join(newest, ["user_id", "as_of"], "left_semi")
