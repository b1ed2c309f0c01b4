"""The global split by time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from lake.errors import ModelError
from models.split import time_split, truth

END = datetime(2020, 1, 11, tzinfo=UTC)


def _positives(spark: SparkSession, seconds: list[int]) -> DataFrame:
    rows = [(datetime.fromtimestamp(1577836800 + value, UTC),) for value in seconds]
    return spark.createDataFrame(rows, "event_time timestamp")


def test_cuts_are_numpys_quantiles_of_event_time(spark: SparkSession) -> None:
    seconds = [0, 3600, 7200, 90000, 100000, 200000, 300000, 400001]
    split = time_split(_positives(spark, seconds), END)
    validation, test = np.quantile(seconds, [0.75, 0.875])
    assert split.validation.timestamp() == pytest.approx(1577836800 + validation, abs=1e-6)
    assert split.test.timestamp() == pytest.approx(1577836800 + test, abs=1e-6)
    assert split.end == END


def test_label_windows_follow_each_other_up_to_the_test_and_halve_the_validation_window(spark: SparkSession) -> None:
    seconds = list(range(1000))
    split = time_split(_positives(spark, seconds), END)
    begins = [(start.timestamp() - 1577836800) for start, _ in split.label_windows]
    assert begins == pytest.approx(list(np.quantile(seconds, [0.625, 0.6875, 0.75, 0.8125])), abs=1e-5)
    assert split.label_windows[2][0] == split.validation and split.label_windows[-1][1] == split.test
    assert all(until == start for (_, until), (start, _) in pairwise(split.label_windows))


def test_no_label_window_begins_with_nothing_before_it(spark: SparkSession) -> None:
    split = time_split(_positives(spark, [0] * 70 + list(range(1, 31))), END)
    assert len(split.label_windows) == 2


def test_fewer_label_windows_are_the_last_ones(spark: SparkSession) -> None:
    positives = _positives(spark, list(range(1000)))
    assert time_split(positives, END, windows=1).label_windows == time_split(positives, END).label_windows[-1:]


def test_no_positive_says_there_is_nothing_to_learn_from(spark: SparkSession) -> None:
    with pytest.raises(ModelError, match="nothing to learn from"):
        time_split(_positives(spark, []), END)


def test_one_instant_cannot_be_split(spark: SparkSession) -> None:
    with pytest.raises(ModelError, match="do not spread over enough instants"):
        time_split(_positives(spark, [5, 5, 5, 5]), END)


def test_shares_must_sum_to_one(spark: SparkSession) -> None:
    with pytest.raises(ModelError, match="sum to 1"):
        time_split(_positives(spark, [1, 2]), END, (0.5, 0.1, 0.1))


def test_truth_keeps_only_known_users_and_items_and_tells_new_from_seen(spark: SparkSession) -> None:
    history = spark.createDataFrame([("u", "a"), ("v", "b")], "user_id string, item_id string")
    items = spark.createDataFrame([("a",), ("b",)], "item_id string")
    wanted = spark.createDataFrame(
        [("u", "a"), ("u", "a"), ("u", "b"), ("u", "unknown"), ("stranger", "a"), ("v", "b")],
        "user_id string, item_id string",
    )
    found = {row.user_id: row for row in truth(wanted, history, items).collect()}
    assert set(found) == {"u", "v"}
    assert sorted(found["u"].relevant) == ["a", "b"] and found["u"].relevant_new == ["b"]
    assert found["v"].relevant == ["b"] and found["v"].relevant_new == []
