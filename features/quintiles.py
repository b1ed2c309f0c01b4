"""Quintiles of a population, with ties kept together.

score = 1 + floor(5 x share of the population with a strictly smaller value), after the quintile coding of
Hughes ("Strategic Database Marketing", 1994). It is computed by comparing with four boundaries b(q), the smallest
values whose cumulative distribution reaches q = .2, .4, .6, .8: a value lies above b(q) exactly when at least the
share q lies strictly below it. So one aggregate counts the population; no window has to order all of it in one
partition, and no score depends on the order of rows.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

QUINTILES = 5


def boundaries(column: str, parts: int = QUINTILES) -> Column:
    """Aggregate: array<double> of the boundaries of a numeric column between so many parts, four between quintiles;
    null when it has no values.
    """
    if not column.isidentifier():
        raise ValueError(f"got {column!r}; allowed is a plain column name")
    shares = ", ".join(f"{part / parts}D" for part in range(1, parts))
    return F.expr(f"percentile_disc(array({shares})) WITHIN GROUP (ORDER BY CAST({column} AS DOUBLE))")


def score(value: str, bounds: str) -> Column:
    """int, 1 (the smallest values) to 5 of quintiles: where the value lies among the boundaries; null for a null."""
    above = F.filter(F.col(bounds), lambda bound: F.col(value).cast("double") > bound)
    return F.when(F.col(value).isNotNull(), F.size(above) + 1)
