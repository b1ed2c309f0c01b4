"""Lists read off scored candidates."""

from __future__ import annotations

import numpy as np
from chispa import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import Window as Over
from pyspark.sql import functions as F

from models.lists import model_lists


def test_lists_hold_the_best_of_each_model_and_the_best_of_what_is_new(spark: SparkSession) -> None:
    rows = [
        ("u", "b", 1.0, 0.5, 0.1), ("u", "a", 0.0, 0.5, 0.2), ("u", "c", 0.0, 0.9, None), ("u", "d", 0.0, 0.1, None),
        ("v", "a", 1.0, 0.3, None),
    ]  # fmt: skip
    scored = spark.createDataFrame(rows, "user_id string, item_id string, seen double, x_score double, y_score double")
    names = ("x_items", "x_new_items", "y_items", "y_new_items")
    lists = ", ".join(("user_id string", *(f"{name} array<string>" for name in names)))
    wanted = spark.createDataFrame([("u", ["c", "a"], ["c", "a"], ["a", "b"], ["a"]), ("v", ["a"], [], [], [])], lists)
    found = model_lists(scored, ("x", "y"), length=2)
    assert_df_equality(found, wanted, ignore_row_order=True, ignore_nullable=True)


def test_lists_of_placed_candidates_are_those_of_all(spark: SparkSession) -> None:
    random = np.random.default_rng(5)
    # Few different scores: ties are many, also where the lists end.
    rows = [
        (f"u{user}", f"i{item:02d}", float(random.integers(2)), float(random.integers(6)) / 4 - 0.5)
        for user in range(20)
        for item in range(40)
    ]
    scored = spark.createDataFrame(rows, "user_id string, item_id string, seen double, x_score double")
    alike = Over.partitionBy("user_id", "seen").orderBy(F.desc("x_score"), "item_id")
    ranked = scored.withColumn("x_rank", F.row_number().over(alike))
    placed = ranked.withColumn("x_score", F.when(F.col("x_score") > 0, F.col("x_score")))
    found = model_lists(placed, ("x",), length=5, placed=["x"])
    assert_df_equality(found, model_lists(placed, ("x",), length=5), ignore_row_order=True)
