"""What is known of a user from their days: sums, the first and the last day of something, the last year's days and
what was bought on them.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.tiles import MICROS, sign_of, signed

# What adds up over days, in whole numbers.
SUMS = (
    "days", "events", "sessions", "quick_exits", "back_and_forth", "dwell_ms", "orders", "net_micros", "purchase_days",
)  # fmt: skip

# By what is on a day where it is above 0: first_<name> and last_<name> are the ends of those days.
RANGES = {"active": "days", "purchase": "purchase_days"}
ENDS = tuple(f"{end}_{name}" for name in RANGES for end in ("first", "last"))

# How many days the calendar of a user goes back from their own last active day, that day included.
CALENDAR_DAYS = 365

# What was bought on a day: orders that began on it, and money less matched returns.
BOUGHT = "array<struct<day: date, orders: bigint, net_micros: bigint>>"


def facts(user_day: DataFrame) -> DataFrame:
    """[user_id, user_bucket, event_date, country, *SUMS]: from tiles.

    The sums can be added up over days. days is 1; net_micros is money of purchases less matched returns in whole
    millionths; purchase_days is 1 on a day with a purchase; what a tile of an earlier contract does not tell counts
    as 0. A column `sign` of the tiles is counted in.
    """
    bought = F.when(F.col("last_purchase_time").isNotNull(), F.lit(1)).otherwise(0).cast("long")
    counts = ("events", "sessions", "quick_exits", "back_and_forth", "dwell_ms")
    taken = user_day.select(
        "user_id", "user_bucket", "event_date", "country", F.lit(1).cast("long").alias("days"),
        *(F.coalesce(name, F.lit(0)).alias(name) for name in counts),
        "orders", (_micros("amount") - _micros("amount_returned")).alias("net_micros"), bought.alias("purchase_days"),
        sign_of(user_day),
    )  # fmt: skip
    return taken.select("user_id", "user_bucket", "event_date", "country", *signed(*SUMS))


def users(facts: DataFrame) -> DataFrame:
    """One row a user, from facts: [user_id, user_bucket, *SUMS, *ENDS (null when nothing was bought), country and
    country_day: of the latest day that has one, calendar, bought].
    """
    located = F.when(F.col("country").isNotNull(), F.struct("event_date", "country"))
    return (
        facts.groupBy("user_id")
        .agg(
            F.max("user_bucket").alias("user_bucket"),
            *(F.sum(name).alias(name) for name in SUMS),
            *ends(),
            F.max(located).alias("_located"),
            F.collect_list("event_date").alias("_days"),
            all_bought().alias("_bought"),
        )
        .select(
            "user_id", "user_bucket", *SUMS, *ENDS, F.col("_located.country").alias("country"),
            F.col("_located.event_date").alias("country_day"),
            calendar(F.col("_days"), F.col("last_active")).alias("calendar"),
            latest_bought(F.col("_bought"), F.col("last_active")).alias("bought"),
        )
    )  # fmt: skip


def day_of(as_of: date | Column) -> Column:
    """The date as a column."""
    return F.lit(as_of) if isinstance(as_of, date) else as_of


def ends(*, gone: bool = False) -> list[Column]:
    """Aggregates: ENDS; gone: of the days that were taken back, each with _gone at the end of its name."""
    found: list[Column] = []
    suffix = "_gone" if gone else ""
    for name, count in RANGES.items():
        day = F.when(F.col(count) < 0 if gone else F.col(count) > 0, F.col("event_date"))
        found += [F.min(day).alias(f"first_{name}{suffix}"), F.max(day).alias(f"last_{name}{suffix}")]
    return found


def calendar(days: Column, last: Column) -> Column:
    """array<date>, in order: the days among the CALENDAR_DAYS up to the last. days: each once."""
    return F.sort_array(F.filter(days, lambda day: day > F.date_sub(last, CALENDAR_DAYS)))


def all_bought() -> Column:
    """Aggregate, of facts: BOUGHT, in any order; without days of nothing."""
    something = (F.col("orders") != 0) | (F.col("net_micros") != 0)
    return F.collect_list(F.when(something, F.struct(F.col("event_date").alias("day"), "orders", "net_micros")))


def latest_bought(bought: Column, last: Column) -> Column:
    """BOUGHT, in order: of the days of the calendar. bought: each day once."""
    return F.sort_array(F.filter(bought, lambda entry: entry["day"] > F.date_sub(last, CALENDAR_DAYS)))


def _micros(column: str) -> Column:
    return F.coalesce(F.rint(F.col(column) * MICROS).cast("long"), F.lit(0))
