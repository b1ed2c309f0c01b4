"""The ranker: what it is taught, that it learns, and that its JSON is all there is to it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.errors import ModelError
from models.calibration import Calibration, Points
from models.hybrid import Parameters
from models.ranker import Ranker, RankerParameters, fit_ranker, from_json, kept_pairs, score, training_rows
from models.split import Split
from models.training import calibrate, held_out
from tests.frames import assert_same_rows

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


def test_lessons_of_kept_candidates_are_those_of_all(features: DataFrame, wanted: DataFrame) -> None:
    everything, few = training_rows(features, wanted, 7, kept=30), kept_pairs(features, wanted, 7, kept=30)
    assert 80 < few.count() < features.count() and few.columns == features.columns
    assert_same_rows(training_rows(few, wanted, 7, kept=30), everything)


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
    for row in (row for row in rows if row.taught):
        queries.setdefault(row.query, set()).add((row.user_id, row.item_id, row.label))
    assert sorted(sorted(query) for query in queries.values()) == [
        [("u", "new", 1.0), ("u", "other", 0.0)],
        [("u", "new", 1.0), ("u", "other", 0.0), ("u", "own", 0.0)],
        [("v", "new", 0.0), ("v", "own", 1.0)],
    ]
    assert all(0 <= query < 2**31 for query in queries)
    # Who wanted none of their candidates teaches nothing, but counts where shares are told.
    assert {(row.user_id, row.item_id, row.scope) for row in rows if not row.taught} == {("w", "own", 0)}


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


def test_calibration_survives_json_and_a_ranker_of_before_there_was_any_still_loads(ranker: Ranker) -> None:
    calibrated = replace(
        ranker, calibration=Calibration(Points((-1.5, 0.25), (0.01, 0.5)), Points((0.0,), (0.1,)), 41.5)
    )
    assert from_json(calibrated.to_json()).calibration == calibrated.calibration
    before = json.loads(calibrated.to_json())
    del before["calibration"]
    assert from_json(json.dumps(before)) == from_json(ranker.to_json())
    assert from_json(ranker.to_json()).calibration is None


@pytest.mark.parametrize(
    "own", [1, {"scores": [1.0]}, {"scores": ["a"], "probabilities": [0.1]},
            {"scores": [2.0, 1.0], "probabilities": [0.1, 0.2]}],
)  # fmt: skip
def test_a_calibration_that_is_none_is_refused(ranker: Ranker, own: object) -> None:
    calibration = {"own": own, "new": {"scores": [1.0], "probabilities": [0.1]}, "days": 1}
    text = json.dumps(json.loads(ranker.to_json()) | {"calibration": calibration})
    with pytest.raises(ModelError, match=r"train again|ascending scores"):
        from_json(text)


def test_scores_are_calibrated_by_trees_that_never_saw_what_came_of_them(
    features: DataFrame, wanted: DataFrame
) -> None:
    # Everybody wants items 4 and 5, or those whom scores are calibrated on want 0 and 1.
    parameters = Parameters(ranker=RankerParameters(n_estimators=5, min_child_weight=0.0, colsample_bytree=1.0))
    start = datetime(2020, 1, 1, tzinfo=UTC)
    split = Split(start, start + timedelta(days=30), start + timedelta(days=99), labels=(start,))
    others = F.when(held_out(), F.translate("item_id", "45", "01")).otherwise(F.col("item_id"))
    contrary = wanted.withColumn("item_id", others)
    lessons, contradicting = (training_rows(features, came, 0, kept=40) for came in (wanted, contrary))

    def calibrated(window: DataFrame) -> Calibration | None:
        return calibrate([window], split, ("good",), parameters, workers=1)

    borne_out, contradicted = calibrated(lessons), calibrated(contradicting)
    assert borne_out is not None and contradicted is not None and borne_out.days == 30.0
    for before, after in ((borne_out.own, contradicted.own), (borne_out.new, contradicted.new)):
        assert after.scores[0] == pytest.approx(before.scores[0])
        assert after.scores[-1] == pytest.approx(before.scores[-1])
        assert (before.probabilities[0], before.probabilities[-1]) == (0.0, 1.0) and after.probabilities[-1] < 0.5
    assert calibrated(lessons.where("NOT taught")) is None and calibrated(lessons.where(~held_out())) is None
    assert 5 < features.where(held_out()).select("user_id").distinct().count() < 35


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
