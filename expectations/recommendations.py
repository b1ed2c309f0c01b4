"""What a snapshot promises: gold.recommendations and gold.fallbacks share the shape of their lists.

What concerns the inside of a list is computed once, by `with_checks`, as flags without nulls.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.promises import Promise, at_least, unique
from expectations.rules import Rule, between, in_set, is_true, present

LONGEST_LIST = 200
RUNGS = ("segment", "stage", "country", "season", "global")


def with_checks(frame: DataFrame) -> DataFrame:
    """Adds list_length and one flag for each promise about the inside of `items`."""
    length = F.coalesce(F.size("items"), F.lit(0))
    ranks = F.sequence(F.lit(1), F.greatest(length, F.lit(1)))
    return frame.withColumns(
        {
            "list_length": F.greatest(length, F.lit(0)),
            "ranks_consecutive": _flag(F.col("items.rank") == ranks),
            "items_distinct": _flag(F.size(F.array_distinct("items.item_id")) == length),
            "items_named": _every(lambda item: F.length(item["item_id"]) > 0),
            "scores_finite": _every(lambda item: F.abs(item["score"]) < F.lit(float("inf"))),
            "propensities_valid": _every(lambda item: (item["propensity"] > 0) & (item["propensity"] <= 1)),
            "reasons_given": _every(lambda item: F.length(F.trim(item["reason"])) > 0),
        }
    )


def _flag(value: Column) -> Column:
    return F.coalesce(value, F.lit(False))


def _every(check) -> Column:  # type: ignore[no-untyped-def]
    return _flag(F.forall("items", lambda item: F.coalesce(check(item), F.lit(False))))


LIST_RULES: tuple[Rule, ...] = (
    present("snapshot_id"),
    between("list_length", 1, LONGEST_LIST, f"a list that is empty or longer than {LONGEST_LIST}"),
    is_true("ranks_consecutive", "ranks that are not 1, 2, 3, ..."),
    is_true("items_distinct", "an item twice in a list"),
    is_true("items_named", "an item without id"),
    is_true("scores_finite", "a score that is no finite number"),
    is_true("propensities_valid", "a propensity outside (0, 1]"),
    is_true("reasons_given", "an item without a reason"),
)

SUITE: tuple[Promise, ...] = (
    present("user_id"),
    present("user_bucket"),
    between("user_bucket", 0, 255),
    *LIST_RULES,
    unique("snapshot_id", "user_id"),
)

FALLBACKS_SUITE: tuple[Promise, ...] = (
    present("rung"),
    in_set("rung", RUNGS),
    present("cohort"),
    *LIST_RULES,
    unique("snapshot_id", "rung", "cohort"),
    at_least(1, "list of a cohort"),
)
