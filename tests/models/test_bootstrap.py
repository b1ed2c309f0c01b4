"""The bootstrap's laws, for all users and for groups."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from lake.errors import ModelError
from models.bootstrap import Replicates, intervals, replicate, weights
from models.metrics import MEASURED


def _values(spark: SparkSession, by_model: dict[str, np.ndarray], **columns: np.ndarray) -> DataFrame:
    """The same value of every metric, but of those in columns. Every third user is of group/a, two are of another."""
    users = len(next(iter(by_model.values())))
    rows = []
    for user in range(users):
        measured = [
            float(columns[name][user]) if name in columns else float(values[user])
            for values in by_model.values()
            for name in (name.replace("@", "_") for name in MEASURED)
        ]
        groups = ["group/a"] if user % 3 == 0 else ["group/of two"] if user in (1, 2) else []
        rows += [(f"u{user}", scope, groups, measured) for scope in ("all", "new")]
    return spark.createDataFrame(rows, "user_id string, scope string, groups array<string>, values array<double>")


def _resampled(spark: SparkSession, by_model: dict[str, np.ndarray], partitions: int = 2) -> Replicates:
    return replicate(_values(spark, by_model).repartition(partitions), tuple(by_model))


def test_bootstrap_gives_the_mean_and_an_interval_like_the_normal_one_of_all_and_of_groups(spark: SparkSession) -> None:
    values = np.random.default_rng(1).random(400)
    found = _resampled(spark, {"m": values})
    for said, sample in (
        (found.estimate("m", "all", "ndcg@10"), values),
        (found.of_group("group/a", "m", "all", "ndcg@10"), values[::3]),
    ):
        error = sample.std() / math.sqrt(len(sample))
        assert said.value == pytest.approx(sample.mean())
        assert said.low == pytest.approx(sample.mean() - 1.96 * error, abs=0.4 * error)
        assert said.high == pytest.approx(sample.mean() + 1.96 * error, abs=0.4 * error)
    assert found.users == {"all": 400, "new": 400}
    assert {key: group.users for key, group in found.groups.items()} == {
        ("all", "group/a"): 134, ("new", "group/a"): 134,
    }  # fmt: skip


def test_paired_difference_sees_what_single_intervals_hide(spark: SparkSession) -> None:
    worse = np.random.default_rng(2).random(100)
    found = _resampled(spark, {"better": worse + 0.01, "worse": worse})
    assert found.estimate("better", "all", "map@5").low < found.estimate("worse", "all", "map@5").high
    difference = found.difference("better", "worse", "all", "map@5")
    assert difference.low == pytest.approx(0.01) and difference.high == pytest.approx(0.01)


def test_groups_tell_the_paired_difference_from_the_baseline(spark: SparkSession) -> None:
    ladder = np.random.default_rng(3).random(90)
    found = replicate(_values(spark, {"m": ladder + 0.25, "ladder": ladder}), ("m", "ladder"), baseline="ladder")
    more = found.of_group("group/a", "m", "all", "recall@10", less_baseline=True)
    assert [more.value, more.low, more.high] == pytest.approx([0.25] * 3)
    assert found.of_group("group/a", "ladder", "all", "recall@10", less_baseline=True).high == 0
    assert found.of_group("group/a", "m", "all", "recall@10").value == pytest.approx(ladder[::3].mean() + 0.25)
    with pytest.raises(ModelError, match="no baseline"):
        _resampled(spark, {"m": ladder}).of_group("group/a", "m", "all", "recall@10", less_baseline=True)


def test_bootstrap_repeats_itself_however_users_are_partitioned(spark: SparkSession) -> None:
    values = {"m": np.linspace(0, 1, 30)}
    one, other = _resampled(spark, values, 1), _resampled(spark, values, 3)
    np.testing.assert_allclose(one.means["all"], other.means["all"])


def test_what_a_list_does_not_say_is_left_out_and_bias_is_the_ratio_of_means(spark: SparkSession) -> None:
    novelty = np.array([1.0, 3.0, np.nan, np.nan, np.nan, np.nan])
    frame = _values(
        spark, {"m": np.ones(6)}, novelty_5=novelty, diversity_5=np.full(6, np.nan),
        arp_10=np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), profile_popularity=np.full(6, 0.7),
    )  # fmt: skip
    found = replicate(frame, ("m",))
    assert found.estimate("m", "all", "novelty@5").value == pytest.approx(2.0)
    assert np.isnan(found.estimate("m", "all", "diversity@5").value)
    assert found.estimate("m", "all", "popularity_bias@10").value == pytest.approx(0.35 / 0.7)
    with pytest.raises(ModelError, match="models: "):
        found.estimate("other", "all", "ndcg@5")
    with pytest.raises(ModelError, match="no group 'group/b'"):
        found.of_group("group/b", "m", "all", "ndcg@10")


def test_intervals_of_many_columns_are_those_of_each_and_leave_out_what_a_replicate_does_not_say() -> None:
    means = np.random.default_rng(0).normal(size=(41, 2, 3))
    means[5, 0, 1] = np.nan
    means[0, 1, 2] = np.nan
    low, high = intervals(means)
    for place in np.ndindex(2, 3):
        drawn = means[1:][:, *place]
        expected = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5]) if np.isfinite(means[0][place]) else np.nan
        np.testing.assert_allclose([low[place], high[place]], np.broadcast_to(expected, 2), rtol=1e-12)


def test_weights_are_poisson_with_mean_one() -> None:
    drawn = weights(np.arange(2000, dtype=np.int64) * 7919, 100)
    assert drawn.mean() == pytest.approx(1, abs=0.01) and drawn.var() == pytest.approx(1, abs=0.02)
    assert np.mean(drawn == 0) == pytest.approx(math.exp(-1), abs=0.005)
