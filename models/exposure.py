"""How lists spread over the catalogue: coverage and the Gini index of exposure.

An item's exposure at k is the number of lists that hold it in their first k places; the catalogue has n items, ordered
by exposure x_1 <= ... <= x_n, those that are never shown included:

    coverage@k = share of the n items with x > 0                                    (Herlocker et al. 2004)
    Gini@k     = sum of (2 i - n - 1) x_i / (n sum of x_i)                          (Fleder & Hosanagar 2009)

Gini is 0 when all items are shown alike, and nears 1 when a few have all the places.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from models.lists import by_model
from models.metrics import KS


@dataclass(frozen=True)
class Exposure:
    """Of one model's lists."""

    coverage: float
    gini: float


def exposure(lists: DataFrame, models: tuple[str, ...], items: DataFrame) -> dict[tuple[str, str, int], Exposure]:
    """Coverage and Gini by model, scope and k. One action; a model without any list is absent.

    lists: as models.lists.model_lists gives them. items: DataFrame[item_id], the catalogue the lists are drawn from,
    each item once.
    """
    shown = by_model(lists, models).select("model", "scope", F.posexplode("items").alias("position", "item_id"))
    times = {k: F.count_if(F.col("position") < k).alias(str(k)) for k in KS}
    of_items = shown.groupBy("model", "scope", "item_id").agg(*times.values())
    ordered = {k: F.sort_array(F.collect_list(F.when(F.col(str(k)) > 0, F.col(str(k))))) for k in KS}
    arrays = of_items.groupBy("model", "scope").agg(*(column.alias(str(k)) for k, column in ordered.items()))
    total = items.agg(F.greatest(F.count(F.lit(1)), F.lit(1)).cast("double").alias("n"))
    numbers = [
        column.alias(f"{name}{k}")
        for k in KS
        for name, column in (("coverage", F.size(str(k)) / F.col("n")), ("gini", _gini(F.col(str(k)), F.col("n"))))
    ]
    found = arrays.crossJoin(F.broadcast(total)).select("model", "scope", *numbers).collect()
    return {
        (row.model, row.scope, k): Exposure(float(row[f"coverage{k}"]), float(row[f"gini{k}"] or 0.0))
        for row in found
        for k in KS
    }


def _gini(exposures: Column, n: Column) -> Column:
    """Of the exposures above zero, ascending, among n items. Null when nothing was shown."""
    first = n - F.size(exposures) + 1
    weighed = F.transform(exposures, lambda times, place: times * (2 * (first + place) - n - 1))
    total = F.aggregate(exposures, F.lit(0.0), lambda sum_, times: sum_ + times)
    return F.try_divide(F.aggregate(weighed, F.lit(0.0), lambda sum_, value: sum_ + value), n * total)
