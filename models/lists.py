"""Ranked lists, read off scored candidates."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from models.metrics import LONGEST

# The column of a model's list by scope: "new" leaves out what the user had before.
LISTS = {"all": "items", "new": "new_items"}


def model_lists(
    scored: DataFrame, models: tuple[str, ...], length: int = LONGEST, placed: Collection[str] = ()
) -> DataFrame:
    """The best items of each user by each model: user_id, <model>_items, <model>_new_items (arrays of item_id).

    scored: user_id, item_id, seen (0 or 1) and <model>_score of every model; null: not the model's candidate.
    placed: models whose column <model>_rank, from 1, is the item's place by their score among the user's candidates
    alike in seen: what is beyond `length` is not looked at.
    Ties go to the smaller item_id. One shuffle for all models.
    """
    conditions = {"all": F.lit(True), "new": F.col("seen") == 0}

    def entry(model: str, condition: Column) -> Column:
        speaks = condition & F.col(f"{model}_score").isNotNull()
        near = speaks & (F.col(f"{model}_rank") <= length) if model in placed else speaks
        return F.when(near, F.struct((-F.col(f"{model}_score").cast("double")).alias("order"), F.col("item_id")))

    return scored.groupBy("user_id").agg(
        *(
            _best(entry(model, condition), length).alias(f"{model}_{LISTS[scope]}")
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


def _best(entry: Column, length: int) -> Column:
    """collect_list leaves nulls out."""
    return F.transform(F.slice(F.sort_array(F.collect_list(entry)), 1, length), lambda item: item["item_id"])
