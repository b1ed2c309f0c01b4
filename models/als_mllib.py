"""Implicit ALS by Spark MLlib, for clusters where the project's own solver cannot run.

MLlib minimises another objective: confidence 1 + alpha * value, no weight for the unobserved but 1, and
regularisation times the number of interactions (Hu, Koren & Volinsky 2008). It wants integers, and its result
depends on the order of its input: ids are numbered in sorted order and the rows put into fixed partitions, sorted.
"""

from __future__ import annotations

from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.als_parameters import AlsParameters

# Fixed, and not the number of cores, as blocks decide the order in which floats are summed.
BLOCKS = 4


def fit_mllib(interactions: DataFrame, parameters: AlsParameters, folder: str) -> tuple[DataFrame, DataFrame]:
    """Users (user_id, vector) and items (item_id, vector, wanted) of the interactions (user_id, item_id, confidence).

    folder: where the lineage is cut every ten iterations. Raises ModelError when there
    is nothing to learn from, or a confidence is wrong.
    """
    confidence = F.col("confidence")
    summed = interactions.groupBy("user_id", "item_id").agg(F.sum("confidence").alias("confidence"))
    wrong = F.coalesce(F.isnan(confidence) | (confidence < 0) | (confidence == float("inf")), F.lit(True))
    found = interactions.agg(F.count_if(wrong).alias("wrong"), F.count_if(confidence > 0).alias("right")).first()
    if found is None or found.wrong or not found.right:
        raise ModelError(
            f"ALS: got {found.wrong if found else 0} wrong and {found.right if found else 0} positive confidences; "
            "they must be finite and at least 0, and one must be positive"
        )
    items = summed.groupBy("item_id").agg(F.count(F.lit(1)).alias("wanted"))
    shared = items.where(F.col("wanted") >= parameters.least_users)
    items = items if shared.isEmpty() else shared
    users = _numbered(summed.join(items, "item_id", "left_semi").select("user_id").distinct(), "user_id", "user")
    items = _numbered(items, "item_id", "item").persist()
    rows = (
        summed.where("confidence > 0")
        .join(users, "user_id")
        .join(F.broadcast(items), "item_id")
        .select("user", "item", (confidence * parameters.alpha).cast("float").alias("rating"))
        .repartition(BLOCKS, "user")
        .sortWithinPartitions("user", "item")
        .persist()
    )
    interactions.sparkSession.sparkContext.setCheckpointDir(f"{folder}/mllib")
    try:
        fitted = ALS(
            rank=parameters.rank,
            maxIter=parameters.epochs,
            regParam=parameters.regularisation,
            alpha=1.0,
            implicitPrefs=True,
            userCol="user",
            itemCol="item",
            ratingCol="rating",
            numUserBlocks=BLOCKS,
            numItemBlocks=BLOCKS,
            seed=parameters.seed,
            checkpointInterval=10,
        ).fit(rows)
    finally:
        rows.unpersist()
    vector = F.col("features").alias("vector")
    by_user = fitted.userFactors.join(users, fitted.userFactors["id"] == users["user"]).select("user_id", vector)
    by_item = fitted.itemFactors.join(items, fitted.itemFactors["id"] == items["item"])
    return by_user.persist(), by_item.select("item_id", vector, "wanted")


def _numbered(ids: DataFrame, name: str, number: str) -> DataFrame:
    """One sort in one task: ids only, a few bytes each."""
    return ids.withColumn(number, (F.row_number().over(Window.orderBy(name)) - 1).cast("int"))
