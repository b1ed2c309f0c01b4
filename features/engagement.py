"""Engagement and stage of the journey of every user with a tile, as of a date.

Active is a user on a day with an event of any kind. Whoever buys without a contract never says that they are leaving,
which is what makes their attrition hard to tell (Buckinx & Van den Poel, European Journal of Operational Research
164(1), 2005); that the lapsed may be won back is studied apart (Thomas, Blattberg & Fox, Journal of Marketing Research
41(1), 2004). Here the stage is told by how long nothing was heard. That, and where the lines are drawn, is a choice,
not taken from these papers, and not a measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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

# Of a calendar: active days of the last WINDOWS and of twice TREND_DAYS; clumpiness; days between the last active day
# before the last ACTIVE_DAYS and the first one among them, null where one of them is missing.
OF_CALENDAR = "active_7 int, active_28 int, active_91 int, active_56 int, clumpiness double, away int"


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
    told = users.withColumn("_of", _of_calendar(CALENDAR_DAYS)(F.col("calendar"), day))
    of = {name: F.col(f"_of.{name}") for name in ("active_28", "active_56", "clumpiness", "away")}
    earlier = of["active_56"] - of["active_28"]
    trend = F.ln((of["active_28"] + TREND_PRIOR) / (earlier + TREND_PRIOR))
    return told.select(
        "user_id",
        "user_bucket",
        day.alias("as_of"),
        F.date_diff(day, "first_active").alias("age"),
        F.date_diff(day, "last_active").alias("idle"),
        F.col("days").alias("active_days"),
        *(F.col(f"_of.active_{length}").alias(f"active_{length}") for length in WINDOWS),
        "events",
        "sessions",
        F.try_divide("events", "sessions").alias("depth"),
        F.try_divide("quick_exits", "sessions").alias("quick_exit_share"),
        F.try_divide("back_and_forth", "sessions").alias("back_and_forth"),
        "dwell_ms",
        trend.alias("trend"),
        of["clumpiness"].alias("clumpiness"),
        _stage(day, of["away"]).alias("stage"),
    )


def clumpiness(as_of: Column, length: int = CALENDAR_DAYS) -> Column:
    """Of the column calendar, as `engagement` says it of the last CALENDAR_DAYS. length: of another number of days."""
    return _of_calendar(length)(F.col("calendar"), as_of)["clumpiness"]


def _of_calendar(length: int) -> Callable[[Column, Column], Column]:
    """OF_CALENDAR by calendar (days before as_of, in order, each once) and as_of; clumpiness of so many last days."""
    whole = length + 1
    # By whole days, so that a sum is the same whichever rows are looked at together.
    shares = np.arange(1, whole + 1) / whole
    weights, logs = np.append(0.0, shares * np.log(shares)), np.log(np.arange(1, whole + 2))

    def told(calendar: pa.Array, as_of: pa.Array) -> pa.Array:
        counts = pc.fill_null(pc.list_value_length(calendar), 0).to_numpy().astype(np.int64)
        ends = np.cumsum(counts)
        user = np.repeat(np.arange(len(counts)), counts)
        ago = as_of.cast(pa.int32()).to_numpy()[user] - pc.list_flatten(calendar).cast(pa.int32()).to_numpy()

        def active(days: int) -> np.ndarray:
            return np.bincount(user[ago <= days], minlength=len(counts))

        def day_before(places: np.ndarray) -> np.ndarray:
            """How long ago the day was that many places before the end; where there is none, anything."""
            return np.append(ago, 0)[np.clip(ends - places, 0, len(ago))]

        within = active(length)
        earlier = np.append(whole, ago)[: len(ago)]
        earlier[(ends - counts)[counts > 0]] = whole
        gaps = np.where(earlier > length, whole, earlier) - ago
        inner = np.where(ago <= length, weights[np.clip(gaps, 0, whole)], 0.0)
        last = weights[np.clip(day_before(np.ones_like(ends)), 0, whole)]
        entropy = -(np.bincount(user, inner, len(counts)) + last)
        # Even days may end a rounding below 0.
        clumpy = np.maximum(0.0, 1 - entropy / np.where(within > 0, logs[np.minimum(within, whole)], 1.0))
        lately = active(ACTIVE_DAYS)
        away = day_before(lately + 1) - day_before(lately)
        columns = [pa.array(active(days), pa.int32()) for days in (*WINDOWS, 2 * TREND_DAYS)]
        columns += [pa.array(clumpy, mask=within == 0)]
        columns += [pa.array(away, pa.int32(), mask=(lately == 0) | (lately == counts))]
        return pa.StructArray.from_arrays(columns, [column.split()[0] for column in OF_CALENDAR.split(", ")])

    found: Callable[[Column, Column], Column] = F.arrow_udf(told, OF_CALENDAR)  # type: ignore[call-overload]
    return found


def _stage(as_of: Column, away: Column) -> Column:
    age, idle = F.date_diff(as_of, "first_active"), F.date_diff(as_of, "last_active")
    return (
        F.when(age <= NEW_DAYS, "new")
        .when(idle > AT_RISK_DAYS, "lapsed")
        .when(idle > ACTIVE_DAYS, "at_risk")
        # None before in the calendar: whoever is not new was away for longer than it goes back.
        .when(F.coalesce(away, F.lit(CALENDAR_DAYS)) > AT_RISK_DAYS, "returned")
        .otherwise("active")
    )
