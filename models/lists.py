"""Ranked lists, read off scored candidates."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from models.metrics import LONGEST

# The column of a model's list by scope: "new" leaves out what the user had before.
LISTS = {"all": "items", "new": "new_items"}


def model_lists(scored: DataFrame, models: tuple[str, ...], length: int = LONGEST) -> DataFrame:
    """The best items of each user by each model: user_id, <model>_items, <model>_new_items (arrays of item_id).

    scored: user_id, item_id, seen (0 or 1) and <model>_score of every model; null: not the model's candidate.
    Ties go to the smaller item_id. One shuffle for all models.
    """
    conditions = {"all": F.lit(True), "new": F.col("seen") == 0}
    return scored.groupBy("user_id").agg(
        *(
            _best(F.when(condition & F.col(f"{model}_score").isNotNull(), _entry(f"{model}_score")), length).alias(
                f"{model}_{LISTS[scope]}"
            )
            for model in models
            for scope, condition in conditions.items()
        )
    )


def by_model(lists: DataFrame, models: tuple[str, ...]) -> DataFrame:
    """Lists as model_lists gives them, one row a user, model and scope: user_id, model, scope, items."""
    rows = F.array(
        *(
            F.struct(
                F.lit(model).alias("model"), F.lit(scope).alias("scope"), F.col(f"{model}_{column}").alias("items")
            )
            for model in models
            for scope, column in LISTS.items()
        )
    )
    return lists.select("user_id", F.inline(rows))


def _entry(score: str) -> Column:
    return F.struct((-F.col(score).cast("double")).alias("order"), F.col("item_id"))


def _best(entry: Column, length: int) -> Column:
    """collect_list leaves nulls out."""
    return F.transform(F.slice(F.sort_array(F.collect_list(entry)), 1, length), lambda item: item["item_id"])
