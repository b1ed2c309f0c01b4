"""ALS on Spark: the barrier stage on a real session, its bad inputs, and what survives a killed task."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.als import AlsParameters, Factors, fit_als, item_matrix

SMALL = AlsParameters(rank=4, epochs=4, least_users=1)
SCHEMA = "user_id string, item_id string, confidence double"


@pytest.fixture(scope="module")
def wants(spark: SparkSession) -> DataFrame:
    """Even users want even items and odd users odd ones, but for one pair in five."""
    random = np.random.default_rng(1)
    rows = [
        (f"u{user:02d}", f"i{item:02d}", float(random.integers(1, 4)))
        for user in range(40)
        for item in range(30)
        if user % 2 == item % 2 and random.random() < 0.8
    ]
    return spark.createDataFrame(rows, SCHEMA).persist()


def users_of(factors: Factors) -> dict[str, list[float]]:
    return {row.user_id: row.vector for row in factors.users.collect()}


def items_of(factors: Factors) -> np.ndarray:
    ids = sorted(row.item_id for row in factors.items.select("item_id").collect())
    return item_matrix(factors, ids)


def test_everybody_and_everything_has_a_vector_and_likes_its_own_kind(wants: DataFrame, tmp_path: Path) -> None:
    said: list[str] = []
    factors = fit_als(wants, SMALL, str(tmp_path), progress=said.append)
    users, items = users_of(factors), items_of(factors)
    assert len(users) == 40 and items.shape == (30, 4)
    for name, vector in users.items():
        scores = items @ np.array(vector, np.float32)
        odd = int(name[1:]) % 2
        assert scores[odd::2].mean() > scores[1 - odd :: 2].mean() + 0.3
    assert [epoch.epoch for epoch in factors.epochs] == [1, 2, 3, 4]
    losses = [epoch.loss for epoch in factors.epochs]
    assert losses == sorted(losses, reverse=True)
    assert len(said) == 4 and said[-1].startswith("ALS epoch 4: loss ")
    wanted = {row.item_id: row.wanted for row in factors.items.collect()}
    expected = {row.item_id: row["count"] for row in wants.groupBy("item_id").count().collect()}
    assert wanted == expected


def test_the_order_of_the_rows_does_not_change_a_bit(wants: DataFrame, tmp_path: Path) -> None:
    one = fit_als(wants, SMALL, str(tmp_path / "one"))
    other = fit_als(wants.repartition(3).orderBy(F.rand(5)), SMALL, str(tmp_path / "other"))
    np.testing.assert_array_equal(items_of(one), items_of(other))
    assert users_of(one) == users_of(other)


def test_tasks_together_find_what_one_finds_alone(wants: DataFrame, tmp_path: Path) -> None:
    alone = fit_als(wants, SMALL, str(tmp_path / "alone"), tasks=1)
    together = fit_als(wants, SMALL, str(tmp_path / "together"), tasks=2)
    np.testing.assert_allclose(items_of(alone), items_of(together), atol=1e-4)
    assert alone.epochs[-1].loss == pytest.approx(together.epochs[-1].loss, rel=1e-5)


def test_pairs_that_come_twice_are_added_up(wants: DataFrame, tmp_path: Path) -> None:
    halves = wants.withColumn("confidence", F.col("confidence") / 2)
    twice = fit_als(halves.unionAll(halves), SMALL, str(tmp_path / "twice"))
    once = fit_als(wants, SMALL, str(tmp_path / "once"))
    np.testing.assert_array_equal(items_of(twice), items_of(once))


def test_what_counts_nothing_leaves_no_trace(spark: SparkSession, wants: DataFrame, tmp_path: Path) -> None:
    more = spark.createDataFrame([("nobody", "i00", 0.0), ("u00", "nothing", 0.0)], SCHEMA)
    factors = fit_als(wants.unionByName(more), SMALL, str(tmp_path / "more"))
    np.testing.assert_array_equal(items_of(factors), items_of(fit_als(wants, SMALL, str(tmp_path / "wants"))))
    assert "nobody" not in users_of(factors)


@pytest.mark.parametrize(
    "row", [("u", "i", float("nan")), ("u", "i", -1.0), ("u", "i", float("inf")), ("u", "i", None), (None, "i", 1.0)]
)
def test_a_wrong_row_is_refused_with_what_is_allowed(
    spark: SparkSession, wants: DataFrame, tmp_path: Path, row: tuple[object, ...]
) -> None:
    wrong = wants.unionByName(spark.createDataFrame([row], SCHEMA))
    with pytest.raises(ModelError, match=r"got 1 interactions .* confidences must be finite and at least 0"):
        fit_als(wrong, SMALL, str(tmp_path))


def test_no_interaction_is_refused(spark: SparkSession, wants: DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no interaction with a positive confidence"):
        fit_als(wants.limit(0), SMALL, str(tmp_path))
    with pytest.raises(ModelError, match="no interaction with a positive confidence"):
        fit_als(spark.createDataFrame([("u", "i", 0.0)], SCHEMA), SMALL, str(tmp_path))


@pytest.mark.parametrize(
    ("rows", "users", "items"),
    [
        ([("u", "i", 1.0)], 1, 1),
        ([("u", "i", 1.0), ("u", "j", 2.0)], 1, 2),
        ([("u", "i", 1.0), ("v", "i", 2.0)], 2, 1),
    ],
    ids=["one pair", "one user", "one item"],
)
def test_the_smallest_data_and_a_rank_larger_than_the_catalogue(
    spark: SparkSession, tmp_path: Path, rows: list[tuple[str, str, float]], users: int, items: int
) -> None:
    factors = fit_als(spark.createDataFrame(rows, SCHEMA), SMALL, str(tmp_path))
    vectors = users_of(factors)
    assert len(vectors) == users and items_of(factors).shape == (items, SMALL.rank)
    assert np.isfinite(items_of(factors)).all()
    for vector in vectors.values():
        assert (items_of(factors) @ np.array(vector) > 0.3).all()


def test_ids_may_be_numbers_beyond_32_bits(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(2**40 + user, 2**33 + item, 1.0) for user in range(4) for item in range(3)]
    factors = fit_als(
        spark.createDataFrame(rows, "user_id long, item_id long, confidence double"), SMALL, str(tmp_path)
    )
    assert sorted(row.user_id for row in factors.users.collect()) == [2**40 + user for user in range(4)]
    assert sorted(row.item_id for row in factors.items.collect()) == [2**33 + item for item in range(3)]


def test_items_of_one_user_alone_have_no_vector(spark: SparkSession, tmp_path: Path) -> None:
    rows = [("u", "shared", 1.0), ("v", "shared", 1.0), ("v", "alone", 1.0), ("w", "own", 1.0)]
    factors = fit_als(spark.createDataFrame(rows, SCHEMA), AlsParameters(rank=2, epochs=1), str(tmp_path))
    assert [row.item_id for row in factors.items.collect()] == ["shared"]
    assert sorted(users_of(factors)) == ["u", "v"]
    alone, shared = item_matrix(factors, ["alone", "shared"])
    assert not alone.any() and shared.any()


def test_last_nights_vectors_are_a_head_start_and_new_ones_are_folded_in(
    spark: SparkSession, wants: DataFrame, tmp_path: Path
) -> None:
    last = fit_als(wants, AlsParameters(rank=4, epochs=12, least_users=1), str(tmp_path / "last"))
    new = [("new", "i00", 2.0), ("new", "i02", 2.0), ("u00", "fresh", 1.0), ("u02", "fresh", 1.0)]
    tonight = wants.unionByName(spark.createDataFrame(new, SCHEMA))
    cold = fit_als(tonight, SMALL, str(tmp_path / "cold"))
    warm = fit_als(tonight, AlsParameters(rank=4, epochs=2, least_users=1), str(tmp_path / "warm"), start=last)
    assert warm.epochs[0].loss < cold.epochs[1].loss
    items = items_of(warm)
    assert items.shape == (31, 4)
    scores = item_matrix(warm, [f"i{item:02d}" for item in range(30)]) @ np.array(users_of(warm)["new"])
    assert scores[0::2].mean() > scores[1::2].mean() + 0.1


def test_training_stops_when_the_validation_no_longer_rises(
    spark: SparkSession, wants: DataFrame, tmp_path: Path
) -> None:
    held = spark.createDataFrame(
        [("u00", "i02"), ("u01", "i03"), ("u01", "unknown"), ("nobody", "i00")], "user_id string, item_id string"
    )
    kept = wants.join(held, ["user_id", "item_id"], "left_anti")
    parameters = AlsParameters(rank=4, epochs=50, least_users=1, patience=2)
    factors = fit_als(kept, parameters, str(tmp_path), held_out=held)
    values = [epoch.validation for epoch in factors.epochs]
    best = int(np.argmax(values))
    assert len(values) == best + 1 + 2 < 50
    again = fit_als(kept, AlsParameters(rank=4, epochs=best + 1, least_users=1), str(tmp_path / "again"))
    np.testing.assert_array_equal(items_of(factors), items_of(again))


def test_a_catalogue_too_large_to_replicate_goes_to_mllib(wants: DataFrame, tmp_path: Path) -> None:
    said: list[str] = []
    parameters = AlsParameters(rank=4, epochs=2, replicated_bytes=1000)
    factors = fit_als(wants, parameters, str(tmp_path), progress=said.append)
    assert len(users_of(factors)) == 40 and items_of(factors).shape == (30, 4)
    assert said == [
        "ALS: Spark MLlib trains instead: 30 items of rank 4 do not fit into replicated_bytes=1000 in each task"
    ]


def test_mllib_is_used_where_it_is_asked_for(wants: DataFrame, tmp_path: Path) -> None:
    said: list[str] = []
    fit_als(wants, AlsParameters(rank=2, epochs=1, solver="mllib"), str(tmp_path), progress=said.append)
    assert said == ["ALS: Spark MLlib trains instead: solver=mllib was asked for"]


def test_a_training_whose_task_was_killed_goes_on_from_its_checkpoint(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sixth of 60 epochs is seen as soon as it is told: the others, a second or more, are time to be killed in.
    monkeypatch.setattr("models.als.POLL", 0.02)
    parameters = AlsParameters(rank=64, epochs=60, least_users=1, checkpoint_every=5)
    wants = (
        spark.range(300_000)
        .select(
            F.concat(F.lit("u"), F.pmod(F.xxhash64("id", F.lit(1)), F.lit(5000))).alias("user_id"),
            F.concat(F.lit("i"), F.pmod(F.xxhash64("id", F.lit(2)), F.lit(800))).alias("item_id"),
            F.lit(1.0).alias("confidence"),
        )
        .distinct()
    )
    whole = fit_als(wants, parameters, str(tmp_path / "whole"))
    heard: list[str] = []

    def kill(message: str) -> None:
        heard.append(message)
        if len(heard) == 6:
            for worker in _workers():
                os.kill(worker, signal.SIGKILL)

    killed = fit_als(wants, parameters, str(tmp_path / "killed"), progress=kill)
    assert killed.resumed >= 5 and killed.resumed % 5 == 0
    assert [epoch.epoch for epoch in killed.epochs] == list(range(1, 61))
    np.testing.assert_array_equal(items_of(killed), items_of(whole))


def _workers() -> list[int]:
    """Spark's Python workers: the children of its daemon, below this process. The daemon itself is left alone."""
    below = {process.pid for process in psutil.Process().children(recursive=True)}
    # What has just ended says nothing of itself.
    told = {process.pid: process.info for process in psutil.process_iter(["cmdline", "ppid"]) if process.pid in below}
    # The JVM too names the module, among its settings.
    daemons = {pid for pid, info in told.items() if (info["cmdline"] or [])[1:3] == ["-m", "lake.python_daemon"]}
    return [pid for pid in daemons if told[pid]["ppid"] in daemons]
