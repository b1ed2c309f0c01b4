"""Implicit ALS (Hu, Koren & Volinsky 2008) by Spark MLlib, fitted so that the same history gives the same factors.

MLlib wants integers and its result depends on the order of its input: ids are numbered in sorted order and the
rows are put into fixed partitions, sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pyspark.ml.recommendation import ALS
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake.errors import ModelError

# Fixed, and not the number of cores, as blocks decide the order in which floats are summed.
BLOCKS = 4
# Users who must want an item before it says anything about others.
LEAST_USERS = 2


@dataclass(frozen=True)
class Factors:
    """users: DataFrame[user_id, vector array<float>]. items: DataFrame[item_id, vector array<float>]."""

    users: DataFrame
    items: DataFrame


@dataclass(frozen=True)
class AlsParameters:
    """rank: length of a vector. alpha: confidence of a positive is 1 + alpha * value. regularisation: MLlib
    scales it by the number of positives of each user and item. iterations: full alternations. value: what of the
    history counts: "one", "log" for 1 + ln(times), or "times".
    """

    rank: int = 32
    alpha: float = 1.0
    regularisation: float = 0.1
    iterations: int = 8
    value: Literal["one", "log", "times"] = "times"
    seed: int = 42

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter."""
        for name, least in (("rank", 1), ("iterations", 1), ("alpha", 0), ("regularisation", 0)):
            value: Any = getattr(self, name)
            if value < least:
                raise ModelError(f"ALS: got {name}={value}; it must be at least {least}")


def fit_als(history: DataFrame, items: DataFrame, parameters: AlsParameters) -> Factors:
    """Factors of the history (user_id, item_id, times; one row a user and item).

    items: DataFrame[item_id, item], numbers of the items by their sorted ids. Items that one user alone wanted
    relate nobody to anybody; they are left out and have no vector, unless there are no others. Checkpoints every
    ten iterations when the Spark context has a checkpoint folder. Raises ModelError when the history is empty.
    """
    parameters.check()
    shared = history.groupBy("item_id").agg(F.count(F.lit(1)).alias("users")).where(f"users >= {LEAST_USERS}")
    kept = history.join(F.broadcast(shared.select("item_id")), "item_id", "left_semi")
    users, ratings = _ratings(kept, items, parameters)
    if not ratings.count():
        users, ratings = _ratings(history, items, parameters)
    try:
        if ratings.isEmpty():
            raise ModelError("ALS: the history holds no purchase, like or good rating; ingest more events")
        fitted = ALS(
            rank=parameters.rank,
            maxIter=parameters.iterations,
            regParam=parameters.regularisation,
            alpha=parameters.alpha,
            implicitPrefs=True,
            userCol="user",
            itemCol="item",
            ratingCol="rating",
            numUserBlocks=BLOCKS,
            numItemBlocks=BLOCKS,
            seed=parameters.seed,
            checkpointInterval=10,
        ).fit(ratings)
        named = _named(fitted.userFactors, users, "user", "user_id").persist()
        return Factors(named, _named(fitted.itemFactors, items, "item", "item_id"))
    finally:
        ratings.unpersist()


def _ratings(history: DataFrame, items: DataFrame, parameters: AlsParameters) -> tuple[DataFrame, DataFrame]:
    """Users with their numbers, and what MLlib is fitted on: user, item, rating; persisted, in a fixed order."""
    values: dict[str, Column] = {"one": F.lit(1.0), "log": 1 + F.log(F.col("times")), "times": F.col("times")}
    # One sort in one task: distinct ids only, a few bytes each.
    number = (F.row_number().over(Window.orderBy("user_id")) - 1).cast("int")
    users = history.select("user_id").distinct().withColumn("user", number)
    rows = (
        history.join(users, "user_id")
        .join(F.broadcast(items), "item_id")
        .select("user", "item", values[parameters.value].cast("float").alias("rating"))
        .repartition(BLOCKS, "user")
        .sortWithinPartitions("user", "item")
    )
    return users, rows.persist()


def _named(vectors: DataFrame, numbers: DataFrame, number: str, name: str) -> DataFrame:
    return vectors.join(numbers, vectors["id"] == numbers[number]).select(name, F.col("features").alias("vector"))


def item_matrix(factors: Factors, ids: list[str]) -> np.ndarray:
    """The items' vectors in the order of ids, float32 of shape (items, rank); zero for an item without one."""
    rows = factors.items.select("item_id", "vector").toArrow()
    vectors = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = vectors.reshape(rows.num_rows, -1).astype(np.float32)
    place = {name: position for position, name in enumerate(ids)}
    matrix = np.zeros((len(ids), vectors.shape[1]), dtype=np.float32)
    matrix[[place[name] for name in rows["item_id"].to_pylist()]] = vectors
    return matrix
