"""Engagement and stage of the journey of every user with a tile, as of a date.

Active is a user on a day with an event of any kind. Whoever buys without a contract never says that they are leaving,
which is what makes their attrition hard to tell (Buckinx & Van den Poel, European Journal of Operational Research
164(1), 2005); that the lapsed may be won back is studied apart (Thomas, Blattberg & Fox, Journal of Marketing Research
41(1), 2004). Here the stage is told by how long nothing was heard. That, and where the lines are drawn, is a choice,
not taken from these papers, and not a measurement.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.facts import CALENDAR_DAYS, day_of

STAGES = ("new", "active", "returned", "at_risk", "lapsed")
# Days from the first active day, up to which a user is new.
NEW_DAYS = 30
# Days from the last active day, up to which a user is active; beyond the second number they have lapsed.
ACTIVE_DAYS, AT_RISK_DAYS = 30, 90

# Active days are counted in the last so many.
WINDOWS = (7, 28, 91)
# The trend compares the last so many days with as many before; so many active days are added to both.
TREND_DAYS, TREND_PRIOR = 28, 1


def engagement(users: DataFrame, as_of: date | Column) -> DataFrame:
    """gold.engagement of users as features.facts.users gives them, from days strictly before as_of: one row a user.

    as_of: a date, or a column of users, where each row is of days before its own.

    age, idle: days from the UTC day of the first, last event to as_of; yesterday is 1.
    depth: events a session. quick_exit_share: of sessions. back_and_forth: rapid returns a session, as
    features.tiles.user_day counts them. All three are null where no event has a session.
    trend: ln((days + 1) / (earlier + 1)), days: active ones of the last 28, earlier: of the 28 before. It is the log
    ratio of the two posterior mean rates of a Poisson with a gamma prior of shape 1 (Gelman et al., Bayesian Data
    Analysis, chapter 2), so few days say little; 0 is no change.
    clumpiness: 0 for active days spread evenly over the last 365, towards 1 the more they crowd together; null
    without any. 1 + sum of x ln x / ln(n + 1), x: the n + 1 gaps between the n active days and both ends, as shares
    (Zhang, Bradlow & Small, Marketing Science 34(2), 2015, whose entropy measure H_p it is).
    stage: the first that holds of
        new         age up to 30
        lapsed      idle over 90
        at_risk     idle over 30
        returned    had lapsed before the first active day of the last 30
        active      the others
    """
    day = day_of(as_of)
    counts = [_active(day, length).cast("int").alias(f"active_{length}") for length in WINDOWS]
    earlier = _active(day, 2 * TREND_DAYS) - _active(day, TREND_DAYS)
    trend = F.ln((_active(day, TREND_DAYS) + TREND_PRIOR) / (earlier + TREND_PRIOR))
    return users.select(
        "user_id",
        "user_bucket",
        day.alias("as_of"),
        F.date_diff(day, "first_active").alias("age"),
        F.date_diff(day, "last_active").alias("idle"),
        F.col("days").alias("active_days"),
        *counts,
        "events",
        "sessions",
        F.try_divide("events", "sessions").alias("depth"),
        F.try_divide("quick_exits", "sessions").alias("quick_exit_share"),
        F.try_divide("back_and_forth", "sessions").alias("back_and_forth"),
        "dwell_ms",
        trend.alias("trend"),
        clumpiness(day).alias("clumpiness"),
        _stage(day).alias("stage"),
    )


def _since(as_of: Column, length: int) -> Column:
    """The calendar's days among the last so many."""
    start = F.date_sub(as_of, length)
    return F.filter("calendar", lambda day: day >= start)


def _active(as_of: Column, length: int) -> Column:
    return F.size(_since(as_of, length))


def clumpiness(as_of: Column, length: int = CALENDAR_DAYS) -> Column:
    """Of the column calendar, as `engagement` says it of the last CALENDAR_DAYS. length: of another number of days."""
    whole = length + 1
    days, start = _since(as_of, length), F.date_sub(as_of, whole)
    gaps = F.zip_with(
        F.concat(days, F.array(as_of)),
        F.concat(F.array(start), days),
        lambda day, before: F.date_diff(day, before) / F.lit(whole),
    )
    entropy = F.aggregate(gaps, F.lit(0.0), lambda total, gap: total - gap * F.ln(gap))
    # Even days may end a rounding below 0.
    evenness = F.try_divide(entropy, F.ln(F.size(gaps)))
    return F.when(F.size(days) > 0, F.greatest(F.lit(0.0), 1 - evenness))


def _stage(as_of: Column) -> Column:
    age, idle = F.date_diff(as_of, "first_active"), F.date_diff(as_of, "last_active")
    start = F.date_sub(as_of, ACTIVE_DAYS)
    came = F.array_min(F.filter("calendar", lambda day: day >= start))
    # None in the calendar: whoever is not new was away for longer than it goes back.
    left = F.array_max(F.filter("calendar", lambda day: day < start))
    return (
        F.when(age <= NEW_DAYS, "new")
        .when(idle > AT_RISK_DAYS, "lapsed")
        .when(idle > ACTIVE_DAYS, "at_risk")
        .when(F.coalesce(F.date_diff(came, left), F.lit(CALENDAR_DAYS)) > AT_RISK_DAYS, "returned")
        .otherwise("active")
    )
