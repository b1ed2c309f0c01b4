"""Scores become probabilities: isotonic regression on bins, the thinning undone, and what came true of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.isotonic import IsotonicRegression

from lake.errors import ModelError
from models.calibration import Calibration, Points, fit_calibration, isotonic, probability
from models.ranker import training_rows
from models.reliability import BINS, interval, reliability


def _scored(spark: SparkSession, scores: np.ndarray, labels: np.ndarray) -> DataFrame:
    """Of own items; of one new item nothing is known but that nobody wanted it."""
    rows = [(1.0, score, label) for score, label in zip(scores.tolist(), labels.tolist(), strict=True)]
    return spark.createDataFrame([*rows, (0.0, float(scores[0]), 0.0)], "seen double, score double, label double")


def test_bins_as_fine_as_the_data_give_the_fit_of_scikit_learn_on_every_row(spark: SparkSession) -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 60, 400).astype(float)
    labels = (random.random(400) < scores / 60).astype(float)
    found = fit_calibration(_scored(spark, scores, labels), 30.0, kept=100)
    assert found is not None and found.days == 30.0
    asked = np.linspace(-5, 65, 200)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, labels).predict(asked)
    np.testing.assert_allclose(np.interp(asked, found.own.scores, found.own.probabilities), expected, atol=1e-12)


@given(
    st.lists(
        st.tuples(st.integers(-500, 500), st.integers(1, 40), st.floats(0, 1)),
        min_size=1, max_size=40, unique_by=lambda bin: bin[0],
    )
)  # fmt: skip
def test_probabilities_never_fall_and_on_what_they_were_fitted_to_their_mean_is_the_observed_rate(
    bins: list[tuple[int, int, float]],
) -> None:
    score, weight, share = np.array(bins, dtype=float).T
    found = isotonic(np.column_stack([score, weight, share * weight]))
    foretold = np.interp(score, found.scores, found.probabilities)
    assert (np.diff(foretold[np.argsort(score)]) >= 0).all() and foretold.min() >= 0 and foretold.max() <= 1
    assert np.average(foretold, weights=weight) == pytest.approx(np.average(share, weights=weight), abs=1e-9)


def test_thinned_negatives_weigh_what_was_left_out_of_them(spark: SparkSession) -> None:
    # Of new items, with score 0, a twentieth is wanted; of own ones, with score 1, a half.
    pair = spark.range(16_000).select(
        F.format_string("u%d", F.col("id") % 80).alias("user_id"),
        F.format_string("i%d", F.floor(F.col("id") / 80)).alias("item_id"),
        (F.col("id") % 2).cast("double").alias("seen"),
        (F.col("id") % 2).cast("double").alias("score"),
        F.floor(F.col("id") / 80).alias("place"),
    )
    share = F.when(F.col("score") > 0, F.col("place") % 2 == 0).otherwise(F.col("place") % 20 == 0)
    rows = training_rows(pair, pair.where(share), window=0, kept=40).where("scope = 0")
    found = fit_calibration(rows, 30.0, kept=40)
    assert found is not None and (found.new.scores, found.own.scores) == ((0.0,), (1.0,))
    assert found.new.probabilities + found.own.probabilities == pytest.approx((0.05, 0.5), abs=0.015)


def test_probabilities_are_linear_between_points_and_constant_beyond(spark: SparkSession) -> None:
    found = Calibration(Points((0.0, 1.0, 3.0), (0.1, 0.5, 0.7)), Points((0.0, 1.0), (0.0, 0.2)), 30.0)
    rows = [(1.0, -2.0), (1.0, 0.5), (1.0, 2.0), (1.0, 9.0), (0.0, 0.5)]
    scores = spark.createDataFrame(rows, "seen float, score float")
    told = [row.p for row in scores.select(probability("score", found).alias("p")).collect()]
    assert told == pytest.approx([0.1, 0.3, 0.6, 0.7, 0.1])


def test_nothing_to_learn_from_gives_no_calibration(spark: SparkSession) -> None:
    assert fit_calibration(spark.createDataFrame([], "seen double, score double, label double"), 30.0, kept=40) is None


def test_equal_scores_are_worth_the_rate(spark: SparkSession) -> None:
    found = fit_calibration(_scored(spark, np.full(8, 2.5), np.arange(8) // 6 * 1.0), 30.0, kept=100)
    assert found is not None and found.own == Points((2.5,), (0.25,))


@pytest.mark.parametrize(
    ("scores", "probabilities"),
    [((), ()), ((1.0, 1.0), (0.1, 0.2)), ((1.0, 2.0), (0.2, 0.1)), ((1.0,), (0.1, 0.2)), ((1.0,), (1.1,)),
     ((float("nan"), 1.0), (0.1, 0.2))],
)  # fmt: skip
def test_points_that_are_no_calibration_are_refused(
    scores: tuple[float, ...], probabilities: tuple[float, ...]
) -> None:
    with pytest.raises(ModelError, match="ascending scores"):
        Points(scores, probabilities)


def _foretold(spark: SparkSession, rows: list[tuple[str, float, float | None]]) -> DataFrame:
    return spark.createDataFrame(rows, "user_id string, probability double, label double")


def test_error_score_and_skill_by_hand(spark: SparkSession) -> None:
    # Of five foretold .2 two come true, of five foretold .8 three.
    rows = [(f"u{n}", 0.2, 1.0 if n < 2 else None) for n in range(5)] + [
        (f"u{n}", 0.8, 1.0 if n < 3 else 0.0) for n in range(5)
    ]
    found = reliability(_foretold(spark, rows), 30.0)
    assert found is not None
    assert [(bin.pairs, bin.wanted) for bin in found.bins] == [(5, 2), (5, 3)]
    assert [bin.foretold for bin in found.bins] == pytest.approx([0.2, 0.8])
    assert [bin.observed for bin in found.bins] == pytest.approx([0.4, 0.6])
    # .5 x .2 + .5 x .2; (2 x .64 + 3 x .04 + 3 x .04 + 2 x .64) / 10; 1 - .28 / .25
    expected = {"ece": 0.2, "brier": 0.28, "brier_skill": -0.12, "foretold": 0.5, "observed": 0.5,
                "foretold_over_observed": 1.0, "days": 30.0}  # fmt: skip
    assert found.figures() == pytest.approx(expected)


def test_bins_hold_about_as_many_pairs_each(spark: SparkSession) -> None:
    found = reliability(_foretold(spark, [(f"u{n % 7}", n / 1000, None) for n in range(1000)]), 30.0)
    assert found is not None and [bin.pairs for bin in found.bins] == [100] * BINS
    assert "brier_skill" not in found.figures() and "foretold_over_observed" not in found.figures()


def test_pairs_of_one_user_are_not_taken_for_independent(spark: SparkSession) -> None:
    # Users want all of their ten or nothing: 40 users say as much as 39 pairs do, as their mean is estimated too.
    rows = [(f"u{user}", 0.5, float(user % 2)) for user in range(40) for _ in range(10)]
    found = reliability(_foretold(spark, rows), 30.0)
    assert found is not None
    (bin,) = found.bins
    assert (bin.low, bin.high) == pytest.approx(interval(39, 19.5))
    assert bin.high - bin.low > 3 * (interval(400, 200)[1] - interval(400, 200)[0]) * 0.9


def test_wilson_intervals_by_hand() -> None:
    # Of none of ten: 0 to z^2 / (10 + z^2).
    assert interval(10, 0) == pytest.approx((0.0, 3.8415 / 13.8415), abs=1e-4)
    low, high = interval(10, 5)
    assert low + high == pytest.approx(1.0) and high == pytest.approx(0.7634, abs=1e-4)
