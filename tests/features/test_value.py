"""Value in Spark: the published figures of CDNOW from its groups, bounded groups, scores as scipy computes them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from scipy.special import hyp2f1

from benchmarks import cdnow
from benchmarks.cdnow import AS_OF
from features.facts import facts, users
from features.value import Parameters, fitted, observed, purchase_groups, scored, value_groups
from features.value_fit import BgNbd, GammaGamma, fit_bg_nbd
from lake.errors import ModelError
from tests.conftest import SHARED_DATA
from tests.features.silver import by, user_days

FITTED = Parameters(AS_OF, BgNbd(0.243, 4.414, 0.793, 2.426), -9582.4, GammaGamma(6.25, 3.74, 15.44), -1.0, 2357, 1016)


@pytest.fixture(scope="module")
def days() -> pd.DataFrame:
    """The CDNOW sample; skips where it is absent."""
    path = SHARED_DATA / "cdnow" / "CDNOW_sample.txt"
    if not path.exists():
        pytest.skip(f"CDNOW is not at {path}")
    return cdnow.purchases(path)


@pytest.fixture(scope="module")
def calibration(spark: SparkSession, days: pd.DataFrame) -> DataFrame:
    return observed(cdnow.state_of(spark, days[days["day"] < AS_OF]), AS_OF).cache()


def test_cdnow_gives_the_published_figures_from_its_groups(
    spark: SparkSession, calibration: DataFrame, days: pd.DataFrame
) -> None:
    found = fitted(calibration, AS_OF)
    assert cdnow.as_printed(vars(found.purchasing), cdnow.PUBLISHED) == len(cdnow.PUBLISHED)
    assert round(found.purchasing_log_likelihood, 1) == cdnow.PUBLISHED_LOG_LIKELIHOOD
    assert (found.users, found.groups) == (2357, 1016)
    value = cdnow.published_value(spark, days[days["day"] < AS_OF])
    assert cdnow.as_printed(vars(value), cdnow.PUBLISHED_VALUE) == len(cdnow.PUBLISHED_VALUE)
    # One group a customer comes to the same.
    rows = calibration.toPandas()
    alone = fit_bg_nbd(rows["again"], rows["last"] / 7, rows["age"] / 7, np.ones(len(rows)))
    np.testing.assert_allclose(list(vars(alone.model).values()), list(vars(found.purchasing).values()), rtol=1e-5)
    # The holdout is near what the model expected, and more with every purchase before.
    table = cdnow.holdout(scored(calibration, found, AS_OF, cdnow.HOLDOUT_DAYS).toPandas(), days)
    assert list(table["again"]) == list(range(cdnow.MOST + 1)) and table["customers"].sum() == 2357
    assert table["customers"] @ table["expected"] == pytest.approx(table["customers"] @ table["actual"], rel=0.15)
    assert table["expected"].is_monotonic_increasing


def test_groups_never_exceed_the_bound_and_a_coarse_grid_says_nearly_the_same(calibration: DataFrame) -> None:
    times = purchase_groups(calibration, 150)
    assert len(times["users"]) <= 150 and times["users"].sum() == 2357
    model = fit_bg_nbd(times["again"], times["last"] / 7, times["age"] / 7, times["users"]).model
    expected = BgNbd(**cdnow.PUBLISHED).purchases_if_alive(np.array([1.0]), np.array([30.0]), 39.0)
    assert model.purchases_if_alive(np.array([1.0]), np.array([30.0]), 39.0) == pytest.approx(expected, rel=0.05)
    values = value_groups(calibration, 300)
    assert len(values["users"]) <= 300 and values["users"].sum() == calibration.filter("mean > 0").count()
    with pytest.raises(ModelError, match=r"more than 10 groups on the coarsest grid; allow at least 20,000"):
        value_groups(calibration, 10)


def test_a_purchase_is_a_day_with_one_and_its_value_less_what_came_back(spark: SparkSession) -> None:
    def ago(number: int) -> date:
        return AS_OF - timedelta(days=number)

    days = user_days(
        spark,
        {"event_date": ago(10), "orders": 5, "amount": 50.0},
        {"event_date": ago(4), "amount": 12.0, "amount_returned": 2.0},
        {"event_date": ago(1), "orders": 0, "amount": 0.0, "last_purchase_time": None},
        {"event_date": ago(3), "user_id": "returner", "amount_returned": 25.0},
        {"event_date": ago(3), "user_id": "looker", "orders": 0, "amount": 0.0, "last_purchase_time": None},
    )
    found = by(observed(users(facts(days)), AS_OF).drop("user_bucket"), "user_id")
    expected = {
        "anna": {"purchases": 2, "again": 1, "last": 6, "age": 9, "mean": 30.0},
        "returner": {"purchases": 1, "again": 0, "last": 0, "age": 2, "mean": -15.0},
    }
    assert found == {user: {"user_id": user, **row} for user, row in expected.items()}


def test_scores_are_what_scipy_computes_and_odd_users_have_a_stated_outcome(spark: SparkSession) -> None:
    def ago(number: int) -> date:
        return AS_OF - timedelta(days=number)

    people = [
        # user, days with a purchase, money in millionths, first, last
        ("usual", 3, 90_000_000, ago(273), ago(60)),
        ("one event", 1, 10_000_000, ago(30), ago(30)),
        ("yesterday", 1, 10_000_000, ago(1), ago(1)),
        ("ten years of silence", 12, 600_000_000, ago(4015), ago(3650)),
        ("daily", 400, 4_000_000_000, ago(400), ago(1)),
        ("sent all back", 2, 0, ago(100), ago(50)),
        ("sent back more", 2, -30_000_000, ago(100), ago(50)),
        ("never bought", 0, 0, None, None),
    ]
    schema = "user_id string, purchase_days long, net_micros long, first_purchase date, last_purchase date"
    found = observed(spark.createDataFrame(people, schema).selectExpr("*", "0 AS user_bucket"), AS_OF)
    rows = by(scored(found, FITTED, AS_OF, 90), "user_id")
    assert set(rows) == {name for name, *_ in people} - {"never bought"}
    r, alpha, a, b = vars(FITTED.purchasing).values()
    for name, bought, micros, first, last in people[:-1]:
        assert first is not None and last is not None
        row, x = rows[name], bought - 1
        t_x, age, weeks = (last - first).days / 7, ((AS_OF - first).days - 1) / 7, 90 / 7
        odds = a / (b + x - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x) if x else 0.0
        assert row["alive"] == pytest.approx(1 / (1 + odds), rel=1e-9), name
        if x < 100:  # beyond, the printed form may overflow
            whole = alpha + age + weeks
            series = hyp2f1(r + x, b + x, a + b + x - 1, weeks / whole)
            coming = (a + b + x - 1) / (a - 1) * (1 - ((alpha + age) / whole) ** (r + x) * series) / (1 + odds)
            assert row["expected_purchases"] == pytest.approx(coming, rel=1e-6), name
        mean = max(micros / 1e6 / bought, 0.0)
        assert row["expected_value"] == pytest.approx((15.44 + mean * bought) * 6.25 / (6.25 * bought + 2.74)), name
        assert row["expected_revenue"] == row["expected_purchases"] * row["expected_value"]
        assert (row["horizon_days"], row["fitted_as_of"], row["purchases"]) == (90, AS_OF, bought)
    assert rows["one event"]["alive"] == rows["yesterday"]["alive"] == 1.0
    assert rows["ten years of silence"]["alive"] < 1e-6
    assert 30 < rows["daily"]["expected_purchases"] < 90
    least = min(rows.values(), key=lambda row: row["expected_value"])
    assert (
        rows["sent all back"]["expected_value"] == rows["sent back more"]["expected_value"] == least["expected_value"]
    )


def test_who_never_bought_is_in_no_group_whatever_spark_looks_at_first(spark: SparkSession) -> None:
    schema = (
        "user_id string, user_bucket int, purchase_days long, net_micros long, first_purchase date, last_purchase date"
    )
    day = date(1997, 9, 1)
    people = spark.createDataFrame([("buyer", 1, 2, 9_000_000, day, day), ("looker", 2, 0, 0, None, None)], schema)
    # Behind an exchange the conditions are generated code, which leaves the test for null to the last.
    groups = value_groups(observed(people.repartition(1), AS_OF))
    assert list(groups["users"]) == [1.0]


def test_without_values_there_are_purchases_to_expect_but_no_money(spark: SparkSession, calibration: DataFrame) -> None:
    free = calibration.selectExpr("user_id", "user_bucket", "purchases", "again", "last", "age", "0D AS mean")
    found = fitted(free, AS_OF)
    assert found.spending is None and found.spending_log_likelihood is None
    row = scored(free, found, AS_OF, 30).first()
    assert row is not None and row.expected_purchases > 0
    assert (row.expected_value, row.expected_revenue) == (None, None)
