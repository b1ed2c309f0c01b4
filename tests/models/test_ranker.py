"""The ranker: what it is taught, that it learns, and that its JSON is all there is to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from lake.errors import ModelError
from models.ranker import Ranker, RankerParameters, fit_ranker, from_json, score, training_rows

NAMES = ("good", "noise")


@pytest.fixture(scope="module")
def features(spark: SparkSession) -> DataFrame:
    """Items 0 to 5 of 40 users: `good` tells what is wanted; odd items are new."""
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(item % 2 == 0), float(item) if item != 3 else None, float(random.random()))
        for user in range(40)
        for item in range(6)
    ]
    return spark.createDataFrame(rows, "user_id string, item_id string, seen float, good float, noise float").persist()


@pytest.fixture(scope="module")
def wanted(spark: SparkSession) -> DataFrame:
    rows = [(f"u{user}", item) for user in range(40) for item in ("i4", "i5", "elsewhere")]
    return spark.createDataFrame(rows, "user_id string, item_id string")


@pytest.fixture(scope="module")
def ranker(features: DataFrame, wanted: DataFrame) -> Ranker:
    parameters = RankerParameters(n_estimators=10, min_child_weight=0.0, max_depth=2, colsample_bytree=1.0)
    return fit_ranker(training_rows(features, wanted, 0, kept=100), NAMES, parameters, workers=2)


def test_each_user_asks_over_all_and_over_new_items_where_something_was_wanted(spark: SparkSession) -> None:
    features = spark.createDataFrame(
        [
            ("u", "own", 1.0),
            ("u", "new", 0.0),
            ("u", "other", 0.0),
            ("v", "own", 1.0),
            ("v", "new", 0.0),
            ("w", "own", 1.0),
        ],
        "user_id string, item_id string, seen float",
    )
    wanted = spark.createDataFrame([("u", "new"), ("v", "own"), ("w", "elsewhere")], "user_id string, item_id string")
    rows = training_rows(features, wanted, 0, kept=100).collect()
    queries: dict[int, set[tuple[str, str, float]]] = {}
    for row in rows:
        queries.setdefault(row.query, set()).add((row.user_id, row.item_id, row.label))
    assert sorted(sorted(query) for query in queries.values()) == [
        [("u", "new", 1.0), ("u", "other", 0.0)],
        [("u", "new", 1.0), ("u", "other", 0.0), ("u", "own", 0.0)],
        [("v", "new", 0.0), ("v", "own", 1.0)],
    ]
    assert all(0 <= query < 2**31 for query in queries)


def test_ranker_learns_what_is_wanted(features: DataFrame, ranker: Ranker) -> None:
    rows = score(features.where("user_id = 'u7'"), ranker).collect()
    assert {row.item_id for row in sorted(rows, key=lambda row: -row.score)[:2]} == {"i4", "i5"}
    assert rows[0].__fields__ == ["user_id", "item_id", "seen", "good", "noise", "score"]


def test_ranker_survives_json_and_another_fit_is_the_same(
    features: DataFrame, wanted: DataFrame, ranker: Ranker
) -> None:
    again = from_json(ranker.to_json())
    assert again.features == NAMES and json.loads(again.booster) == json.loads(ranker.booster)
    parameters = RankerParameters(n_estimators=10, min_child_weight=0.0, max_depth=2, colsample_bytree=1.0)
    other = fit_ranker(training_rows(features.repartition(3), wanted, 0, kept=100), NAMES, parameters, workers=2)
    assert other.booster == ranker.booster


def test_anything_but_a_ranker_is_refused_with_what_to_do() -> None:
    for text in ("", "[]", '{"format": "other"}', '{"format": "attune-ranker/1"}'):
        with pytest.raises(ModelError, match="train again"):
            from_json(text)


def test_nothing_wanted_says_that_there_is_nothing_to_learn(features: DataFrame, wanted: DataFrame) -> None:
    with pytest.raises(ModelError, match="nothing to learn from"):
        fit_ranker(training_rows(features, wanted.limit(0), 0), NAMES, RankerParameters(), workers=1)


def test_a_missing_feature_is_named(features: DataFrame, ranker: Ranker) -> None:
    with pytest.raises(ModelError, match="good"):
        score(features.drop("good"), ranker)
