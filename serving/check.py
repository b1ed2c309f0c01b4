"""What lists must be before they are written: every row can be looked up, every list can be shown in order."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.errors import PublishError
from serving.answer import COHORTS
from serving.opened import EVERYONE


def check_lists(lists: DataFrame, cohorts: DataFrame) -> None:
    """Raises PublishError unless every row can be looked up and every list is ranked 1..n. One pass a table."""
    users = lists.agg(
        F.count("*").alias("rows"),
        F.count_distinct("user_id").alias("keys"),
        F.count_if(_unservable("items")).alias("unservable"),
    ).first()
    key = F.struct("rung", "cohort")
    known_rung = F.coalesce(F.col("rung").isin(*COHORTS), F.lit(False))
    everyone = (F.col("rung") == "global") & (F.col("cohort") == EVERYONE) & (F.size("items") > 0)
    others = cohorts.agg(
        F.count("*").alias("rows"),
        F.count_distinct(F.when(known_rung & F.col("cohort").isNotNull(), key)).alias("keys"),
        F.count_if(_unservable("items")).alias("unservable"),
        F.count_if(F.coalesce(everyone, F.lit(False))).alias("everyone"),
    ).first()
    assert users is not None and others is not None
    for name, found in (("recommendations", users), ("fallbacks", others)):
        if found["rows"] != found["keys"]:
            raise PublishError(
                f"{name} holds {found['rows']} rows for {found['keys']} keys; allowed is one row a user_id, and one "
                f"a (rung, cohort) with rung {', '.join(COHORTS)}, none of them null"
            )
        if found["unservable"]:
            raise PublishError(
                f"{name} holds {found['unservable']} lists that cannot be served; in a list the ranks are 1, 2, 3, ... "
                "in order, every item has an id, and scores and propensities are finite"
            )
    if others["everyone"] != 1:
        raise PublishError(
            f"fallbacks lack the list for everyone: got {others['everyone']} non-empty rows with rung 'global' and "
            f"cohort '{EVERYONE}', needed is one, so that every user gets an answer"
        )


def _unservable(items: str) -> Column:
    """Whether a list breaks its contract. A missing or empty list is fine: the reader goes down a rung."""
    column = F.col(items)
    expected = F.when(F.size(column) > 0, F.sequence(F.lit(1), F.size(column))).otherwise(F.array().cast("array<int>"))
    ranked = F.coalesce(F.transform(column, lambda item: item["rank"]) == expected, F.lit(False))
    broken = F.exists(
        column,
        lambda item: F.coalesce(
            item["item_id"].isNull() | ~_finite(item["score"]) | ~_finite(item["propensity"]), F.lit(True)
        ),
    )
    return column.isNotNull() & (~ranked | broken)


def _finite(value: Column) -> Column:
    return value.isNull() | (~F.isnan(value) & (F.abs(value) != float("inf")))
