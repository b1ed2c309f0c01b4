"""What a person is likely to buy next: probability of being alive, expected purchases, their expected value.

A purchase is a day with one: orders of one day count together, as in the papers (see features/value_fit.py). Its value
is money of purchases less matched returns, per day with a purchase. Time is in weeks.

The models are fitted on groups of users who share what a model looks at. Spark makes the groups; so many reach the
driver at most, whatever the number of users: whole days and whole purchases while there are no more than MOST_GROUPS
groups, else cells of a grid that grows coarser until there are. A cell stands at the mean of its users, so that what a
coarse grid loses is of second order in its width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.tiles import MICROS
from features.value_fit import Array, BgNbd, Fitted, GammaGamma, fit_bg_nbd, fit_gamma_gamma
from lake.errors import ModelError

DAYS_A_WEEK = 7

# Some megabytes on the driver, and a fit of seconds. The coarsest grid has under 20,000 cells for 200 years.
MOST_GROUPS = 50_000
# Widths of cells, finest first: days; for values, parts of an octave.
DAY_STEPS = (1, 4, 16, 64, 256, 1024, 4096)
OCTAVE_PARTS = (128, 32, 8, 2)
# On all but the finest grid counts above 16 share a cell with those within an eighth of an octave.
EXACT_COUNTS, COUNT_PARTS = 16, 8
# Logarithms are summed as whole multiples of 2^-32: the same bits in any order.
LOG_UNIT = 2.0**32

Cells = Callable[[int], list[Column]]


@dataclass(frozen=True)
class Parameters:
    """Both models, as of a date. spending: None where too few purchases have a value.

    users: with a purchase. groups: what BG/NBD was fitted on.
    """

    as_of: date
    purchasing: BgNbd
    purchasing_log_likelihood: float
    spending: GammaGamma | None
    spending_log_likelihood: float | None
    users: int
    groups: int


def observed(users: DataFrame, as_of: date) -> DataFrame:
    """[user_id, user_bucket, purchases, again, last, age, mean] of users with a purchase before as_of.

    users: [user_id, user_bucket, purchase_days, net_micros, first_purchase, last_purchase], as gold.user_state has
    them. again: purchases after the first (x). last (t_x), age (T): days from the first purchase to the last, and to
    the day before as_of, the last that was seen. mean: value of a purchase; below 0 where more came back than went.
    """
    return users.filter(F.col("last_purchase").isNotNull()).select(
        "user_id",
        "user_bucket",
        F.col("purchase_days").alias("purchases"),
        (F.col("purchase_days") - 1).alias("again"),
        F.date_diff("last_purchase", "first_purchase").alias("last"),
        (F.date_diff(F.lit(as_of), "first_purchase") - 1).alias("age"),
        # Spark may look at the mean of somebody who never bought before it leaves them out.
        F.try_divide("net_micros", MICROS * F.col("purchase_days")).alias("mean"),
    )


def fitted(found: DataFrame, as_of: date, most: int = MOST_GROUPS) -> Parameters:
    """Both models, from `observed`. Raises ModelError where there is too little data for BG/NBD.

    Reads the frame once for each model, and once more for each coarser grid.
    """
    times = purchase_groups(found, most)
    purchasing = fit_bg_nbd(times["again"], times["last"] / DAYS_A_WEEK, times["age"] / DAYS_A_WEEK, times["users"])
    spending: Fitted | None
    try:
        values = value_groups(found, most)
        spending = fit_gamma_gamma(values["purchases"], np.exp(values["log_mean"]), values["users"])
    except ModelError:
        spending = None
    return Parameters(
        as_of=as_of,
        purchasing=purchasing.model,
        purchasing_log_likelihood=purchasing.log_likelihood,
        spending=spending.model if spending else None,
        spending_log_likelihood=spending.log_likelihood if spending else None,
        users=int(times["users"].sum()),
        groups=len(times["users"]),
    )


def purchase_groups(found: DataFrame, most: int = MOST_GROUPS) -> dict[str, Array]:
    """again, last, age (days) and users, by group: all that BG/NBD looks at."""

    def cells(level: int) -> list[Column]:
        step = DAY_STEPS[level]
        return [_count_cell("again", level), F.floor(F.col("last") / step), F.floor(F.col("age") / step)]

    return _grouped(found, ("again", "last", "age"), cells, len(DAY_STEPS), most)


def value_groups(found: DataFrame, most: int = MOST_GROUPS) -> dict[str, Array]:
    """purchases, log_mean and users, by group: all that Gamma-Gamma looks at, of users whose mean is above 0."""

    def cells(level: int) -> list[Column]:
        return [_count_cell("purchases", level), F.floor(F.log2("mean") * OCTAVE_PARTS[level])]

    units = F.rint(F.log("mean") * LOG_UNIT).cast("long").alias("log_mean")
    valued = found.filter(F.col("mean") > 0).select("purchases", "mean", units)
    groups = _grouped(valued, ("purchases", "log_mean"), cells, len(OCTAVE_PARTS), most)
    return groups | {"log_mean": groups["log_mean"] / LOG_UNIT}


def scored(found: DataFrame, parameters: Parameters, as_of: date, horizon_days: int) -> DataFrame:
    """gold.value of `observed`: one row a user with a purchase. as_of: what `found` was observed before.

    A mean below 0 counts as 0: who sent everything back is expected to spend less than others with as many
    purchases, but not to be paid.
    """
    model, weeks = parameters.purchasing, horizon_days / DAYS_A_WEEK

    def alive(again: pa.Array, last: pa.Array, age: pa.Array) -> pa.Array:
        x, t_x, observed = (_floats(values) for values in (again, last, age))
        return pa.array(model.alive(x, t_x / DAYS_A_WEEK, observed / DAYS_A_WEEK))

    def coming(again: pa.Array, age: pa.Array) -> pa.Array:
        return pa.array(model.purchases_if_alive(_floats(again), _floats(age) / DAYS_A_WEEK, weeks))

    # The stub asks for a type of function, which Spark takes from the hints and warns of when it is given.
    alive_of, coming_of = (F.arrow_udf(of, "double") for of in (alive, coming))  # type: ignore[call-overload]
    spending, mean = parameters.spending, F.greatest("mean", F.lit(0.0))
    value = spending.value(F.col("purchases"), mean) if spending else F.lit(None).cast("double")
    return (
        found.withColumn("alive", alive_of("again", "last", "age"))
        .withColumn("expected_purchases", F.col("alive") * coming_of("again", "age"))
        .withColumn("expected_value", value)
        .select(
            "user_id", "user_bucket", F.lit(as_of).alias("as_of"), "purchases", "alive",
            F.lit(horizon_days).alias("horizon_days"), "expected_purchases", "expected_value",
            (F.col("expected_purchases") * F.col("expected_value")).alias("expected_revenue"),
            F.lit(parameters.as_of).alias("fitted_as_of"),
        )
    )  # fmt: skip


def _grouped(frame: DataFrame, summed: tuple[str, ...], cells: Cells, levels: int, most: int) -> dict[str, Array]:
    """The means of the summed columns and the users, by cell of the finest grid that has at most `most` cells."""
    sums = [F.sum(name).alias(name) for name in summed]
    for level in range(levels):
        keys = [cell.alias(f"_cell_{number}") for number, cell in enumerate(cells(level))]
        grouped = frame.groupBy(*keys).agg(F.count(F.lit(1)).alias("users"), *sums)
        table = grouped.select("users", *summed).limit(most + 1).toArrow()
        if table.num_rows <= most:
            break
    else:
        raise ModelError(f"{summed} have more than {most:,} groups on the coarsest grid; allow at least 20,000")
    # In one order, so that a fit that is repeated gives the same bits.
    table = table.sort_by([(name, "ascending") for name in table.column_names])
    users = _floats(table["users"])
    return {"users": users} | {name: _floats(table[name]) / users for name in summed}


def _count_cell(column: str, level: int) -> Column:
    count = F.col(column)
    if level == 0:
        return count
    return F.when(count <= EXACT_COUNTS, count).otherwise(
        EXACT_COUNTS + 1 + F.floor(F.log2(count / EXACT_COUNTS) * COUNT_PARTS)
    )


def _floats(values: pa.Array | pa.ChunkedArray) -> Array:
    return np.asarray(values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy(),
                      dtype=float)  # fmt: skip
