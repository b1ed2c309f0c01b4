"""Where an item comes from and why it is shown, in words that are true of the data."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# A category with this share of what a person did counts as one of their own.
OFTEN = 0.1
# Days with a purchase from which a mean gap is told as a habit; days that the gap must be, as less is every day; and
# gaps since the last after which it is a habit no more.
LEAST_BOUGHT, LEAST_GAP, MOST_GAPS = 3, 2, 2
# What may be told as an item's source; of equal ranks the first is.
TOLD = (
    "next", "neighbours", "together", "alike", "als", "category", "content", "trending", "arrivals", "popularity",
)  # fmt: skip


def source() -> Column:
    """Of a candidate with features: for the user's own items due_again where that ranks it higher than repurchase does,
    else repurchase; for others the source that ranks it first, of those that speak for it: a score of zero or less has
    a rank too.
    """
    ranks = {name: F.when(F.col(f"{name}_score") > 0, F.col(f"{name}_rank")) for name in TOLD}
    first = F.least(*ranks.values())
    own = F.when(F.col("due_again_rank") < F.col("repurchase_rank"), "due_again").otherwise("repurchase")
    found = F.when(F.col("seen") > 0, own)
    for name, rank in ranks.items():
        found = found.when(rank == first, name)
    return found.otherwise("als")


def with_reasons(rows: DataFrame, facts: DataFrame, keys: DataFrame, items: DataFrame) -> DataFrame:
    """The rows with a reason.

    rows: user_id, item_id, source, b_category (share of the item's category in what the user did), i_users7, i_users30,
    because (id of the user's own item that speaks most for it, or null).
    facts: user_id, item_id, bought (days on which the user bought it), first_bought, last_bought (dates), last_time
    (when they last wanted it, in whatever way) and x_idle (days since). keys: item_id, key_category (path of the item's
    category, levels joined by " > "). items: item_id, title.
    """
    # Who likes again what they gave up buying has not taken the habit up again.
    idle = F.col("x_idle") + F.date_diff("last_time", "last_bought")
    told = facts.select("user_id", "item_id", "bought", "first_bought", "last_bought", idle.alias("_idle"))
    known = rows.join(told, ["user_id", "item_id"], "left")
    titles = items.select(F.col("item_id").alias("because"), F.col("title").alias("because_title"))
    known = known.join(F.broadcast(titles), "because", "left")
    return known.join(F.broadcast(keys.select("item_id", "key_category")), "item_id", "left").withColumn(
        "reason", _reason()
    )


def popular_reason(rung: Column) -> Column:
    """Of a row of a fallback list: score is its users in the last 30 days within the cohort; of the rung season, a year
    ago.

    Segments and stages have names for analysts, such as "At Risk"; people are not told theirs.
    """
    whose = (
        F.when(rung.isin("segment", "stage"), " with customers like you")
        .when(rung == "country", " in your country")
        .otherwise("")
    )
    season = F.when(rung == "season", "Popular at this time of the year")
    return season.when(F.col("score") > 0, F.concat(F.lit("Popular"), whose, F.lit(" in the last 30 days"))).otherwise(
        F.concat(F.lit("Popular"), whose, F.lit(" before"))
    )


def _from(name: str) -> Column:
    return (F.col("source") == name) & F.col("because_title").isNotNull()


def _reason() -> Column:
    when = F.date_format("last_bought", "d MMMM yyyy")
    often = F.concat(F.lit("You bought this on "), F.col("bought").cast("string"), F.lit(" days, last on "), when)
    once = F.concat(F.lit("You bought this on "), when)
    gap = F.round(F.try_divide(F.date_diff("last_bought", "first_bought"), F.col("bought") - 1)).cast("int")
    habit = F.concat(F.lit("You buy this about every "), gap.cast("string"), F.lit(" days, last on "), when)
    own = F.col("source").isin("repurchase", "due_again")
    kept_up = (gap >= LEAST_GAP) & (F.col("_idle") <= MOST_GAPS * gap)
    cyclic = (F.col("source") == "due_again") & (F.col("bought") >= LEAST_BOUGHT) & kept_up
    category = F.element_at(F.split("key_category", " > "), -1)
    mine = F.coalesce(F.col("b_category") >= OFTEN, F.lit(False)) & category.isNotNull()
    return (
        F.when(cyclic, habit)
        .when(own & (F.col("bought") > 1), often)
        .when(own & (F.col("bought") == 1), once)
        .when(own, "You liked this before")
        .when(_from("next"), F.concat(F.lit("Often chosen after "), "because_title"))
        .when(_from("neighbours"), F.concat(F.lit("Often chosen by people who chose "), "because_title"))
        .when(_from("together"), F.concat(F.lit("Often in one visit with "), "because_title"))
        .when(mine, F.concat(F.lit("Because you often choose "), category))
        .when((F.col("source") == "trending") & (F.col("i_users7") > 0), "Popular in the last 7 days")
        .when(F.col("source").isin("popularity", "trending") & (F.col("i_users30") > 0), "Popular in the last 30 days")
        .when(F.col("source") == "arrivals", "New, and already chosen by others")
        .when(F.col("source") == "content", "Like what you chose before")
        .when(F.col("source") == "category", "Popular among things of a kind you chose before")
        .when(F.col("source") == "together", "Often in one visit with what you chose before")
        .when(F.col("source") == "next", "Often chosen after what you chose before")
        .when(F.col("source") == "neighbours", "Often chosen by people who chose what you did")
        .otherwise("Chosen by people with a history like yours")
    )
