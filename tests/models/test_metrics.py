"""Ranking metrics against hand-computed values, and the bootstrap's laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from lake.errors import ModelError
from models.bootstrap import Replicates, replicate, weights
from models.metrics import VALUES, coverage, per_user

D = [1 / math.log2(position + 2) for position in range(20)]


def _measure(spark: SparkSession, cases: dict[str, tuple[list[str] | None, list[str]]]) -> dict[str, dict[str, float]]:
    """Metrics of scope all by case; the case's name is the user."""
    rows = [(case, "m", items, items) for case, (items, _) in cases.items() if items is not None]
    lists = spark.createDataFrame(
        [*rows, ("someone else", "m", ["a"], ["a"])],
        "user_id string, model string, items array<string>, new_items array<string>",
    )
    truth = spark.createDataFrame(
        [(case, relevant, []) for case, (_, relevant) in cases.items()],
        "user_id string, relevant array<string>, relevant_new array<string>",
    )
    found = per_user(lists, truth).collect()
    return {row.user_id: dict(zip(VALUES, row["values"], strict=True)) for row in found}


def test_metrics_of_hand_computed_lists(spark: SparkSession) -> None:
    ten = [f"i{n}" for n in range(10)]
    found = _measure(
        spark,
        {
            "no list": (None, ["a"]),
            "empty list": ([], ["a"]),
            "perfect but short": (["a", "b"], ["a", "b"]),
            "hit at second place": (["x", "a", "y"], ["a", "b"]),
            "more relevant than k": (ten, [*ten, "j", "k"]),
            "the same item twice": (["a", "a"], ["a", "b"]),
        },
    )
    for case in ("no list", "empty list"):
        assert set(found[case].values()) == {0.0}
    short = found["perfect but short"]
    assert short["ndcg@5"] == short["recall@5"] == short["map@5"] == short["hit_rate@5"] == pytest.approx(1.0)
    assert short["precision@5"] == pytest.approx(2 / 5) and short["precision@20"] == pytest.approx(2 / 20)
    second = found["hit at second place"]
    assert second["ndcg@10"] == pytest.approx(D[1] / (D[0] + D[1]))
    assert second["recall@10"] == pytest.approx(1 / 2) and second["map@10"] == pytest.approx((1 / 2) / 2)
    many = found["more relevant than k"]
    assert many["ndcg@10"] == many["recall@10"] == many["precision@10"] == many["map@10"] == pytest.approx(1.0)
    assert many["recall@20"] == pytest.approx(10 / 12)
    assert found["the same item twice"]["recall@5"] == pytest.approx(1 / 2)


def test_new_scope_asks_only_users_with_something_new_and_uses_the_new_list(spark: SparkSession) -> None:
    lists = spark.createDataFrame(
        [("u", "m", ["old", "new"], ["new"]), ("v", "m", ["old"], [])],
        "user_id string, model string, items array<string>, new_items array<string>",
    )
    truth = spark.createDataFrame(
        [("u", ["old", "new"], ["new"]), ("v", ["old"], [])],
        "user_id string, relevant array<string>, relevant_new array<string>",
    )
    found = {(row.user_id, row.scope): row["values"][0] for row in per_user(lists, truth).collect()}
    assert found == {("u", "all"): 1.0, ("u", "new"): 1.0, ("v", "all"): 1.0}


def test_coverage_counts_distinct_items_within_k(spark: SparkSession) -> None:
    lists = spark.createDataFrame(
        [("u", "m", list("abcdef"), ["a"]), ("v", "m", ["a"], ["a"])],
        "user_id string, model string, items array<string>, new_items array<string>",
    )
    items = spark.createDataFrame([(name,) for name in "abcdefgh"], "item_id string")
    found = {(row.scope, row.k): row.value for row in coverage(lists, items).collect()}
    assert found[("all", 5)] == 5 / 8 and found[("all", 10)] == 6 / 8 and found[("new", 20)] == 1 / 8


def _values(spark: SparkSession, by_model: dict[str, np.ndarray]) -> DataFrame:
    rows = [
        (f"u{user}", model, scope, [float(value)] * len(VALUES))
        for model, values in by_model.items()
        for user, value in enumerate(values)
        for scope in ("all", "new")
    ]
    return spark.createDataFrame(rows, "user_id string, model string, scope string, values array<double>")


def _resampled(spark: SparkSession, by_model: dict[str, np.ndarray], partitions: int = 2) -> Replicates:
    return replicate(_values(spark, by_model).repartition(partitions), tuple(by_model))


def test_bootstrap_gives_the_mean_and_an_interval_like_the_normal_one(spark: SparkSession) -> None:
    values = np.random.default_rng(1).random(400)
    found = _resampled(spark, {"m": values})
    estimate = found.estimate("m", "all", "ndcg@10")
    error = values.std() / math.sqrt(len(values))
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.4 * error)
    assert estimate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.4 * error)
    assert found.users == {"all": 400, "new": 400}


def test_paired_difference_sees_what_single_intervals_hide(spark: SparkSession) -> None:
    worse = np.random.default_rng(2).random(100)
    found = _resampled(spark, {"better": worse + 0.01, "worse": worse})
    assert found.estimate("better", "all", "map@5").low < found.estimate("worse", "all", "map@5").high
    difference = found.difference("better", "worse", "all", "map@5")
    assert difference.low == pytest.approx(0.01) and difference.high == pytest.approx(0.01)


def test_bootstrap_repeats_itself_however_users_are_partitioned(spark: SparkSession) -> None:
    values = {"m": np.linspace(0, 1, 30)}
    one, other = _resampled(spark, values, 1), _resampled(spark, values, 3)
    np.testing.assert_allclose(one.means["all"], other.means["all"])


def test_a_user_whom_a_model_lacks_counts_as_zero(spark: SparkSession) -> None:
    frame = _values(spark, {"full": np.ones(4)}).union(_values(spark, {"half": np.ones(2)}))
    found = replicate(frame, ("full", "half"))
    assert found.estimate("half", "all", "ndcg@5").value == pytest.approx(0.5)
    with pytest.raises(ModelError, match="models: "):
        found.estimate("other", "all", "ndcg@5")


def test_weights_are_poisson_with_mean_one() -> None:
    drawn = weights(np.arange(2000, dtype=np.int64) * 7919, 100)
    assert drawn.mean() == pytest.approx(1, abs=0.01) and drawn.var() == pytest.approx(1, abs=0.02)
    assert np.mean(drawn == 0) == pytest.approx(math.exp(-1), abs=0.005)
