"""RFM: examples by hand, the laws of scores and segments, and that nothing at or after as_of matters."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from features.quintiles import boundaries, score
from features.rfm import rfm, segment
from features.segments import GRID, SEGMENTS
from lake.delta import conform
from lake.tables import RFM
from tests.features.silver import by, user_days
from tests.frames import assert_same_rows

AS_OF = date(2026, 3, 1)


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def test_recency_frequency_and_monetary_by_hand(spark: SparkSession) -> None:
    days = user_days(
        spark,
        {"event_date": _ago(40), "orders": 2, "amount": 30.0, "country": "FR"},
        {"event_date": _ago(10), "amount": 0.1, "amount_returned": 20.0, "country": "DE"},
        {"event_date": _ago(1), "orders": 0, "last_purchase_time": None, "amount": 0.0},
        {"event_date": _ago(1), "user_id": "looker", "orders": 0, "last_purchase_time": None, "amount": 0.0},
        {"event_date": _ago(3), "user_id": "returner", "amount_returned": 25.0},
    )
    users = by(conform(rfm(days, AS_OF), RFM), "user_id")
    assert set(users) == {"anna", "returner"}, "who never bought has no RFM"
    anna = users["anna"]
    assert (anna["recency"], anna["tenure"], anna["frequency"], anna["monetary"]) == (10, 40, 3, 10.1)
    assert (anna["as_of"], anna["country"]) == (AS_OF, "DE")
    assert users["returner"]["monetary"] == 0.0


def test_five_users_take_the_five_scores_and_the_most_recent_has_the_best_r(spark: SparkSession) -> None:
    days = user_days(
        spark,
        *({"user_id": str(n), "event_date": _ago(n), "orders": n, "amount": 10.0 * n} for n in range(1, 6)),
    )
    scores = {user: (row["r"], row["f"], row["m"]) for user, row in by(rfm(days, AS_OF), "user_id").items()}
    assert scores == {"1": (5, 1, 1), "2": (4, 2, 2), "3": (3, 3, 3), "4": (2, 4, 4), "5": (1, 5, 5)}


def test_nobody_bought_anything_gives_no_rows(spark: SparkSession) -> None:
    days = user_days(spark, {"event_date": _ago(1), "last_purchase_time": None})
    assert rfm(days, AS_OF).isEmpty()


@examples(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(-3, 30), min_size=1, max_size=40))
def test_a_score_is_one_more_than_five_times_the_share_below(spark: SparkSession, values: list[int]) -> None:
    frame = spark.createDataFrame([(value,) for value in values], "value int")
    bounds = frame.agg(boundaries("value").alias("bounds"))
    scored = frame.crossJoin(bounds).select("value", score("value", "bounds").alias("score")).collect()
    for row in scored:
        assert row.score == 1 + 5 * sum(other < row.value for other in values) // len(values)


def test_every_pair_of_scores_has_exactly_one_segment_and_every_segment_is_used(spark: SparkSession) -> None:
    cells = [(r, f, m) for r in range(1, 6) for f in range(1, 6) for m in range(1, 6)]
    frame = spark.createDataFrame(cells, "r int, f int, m int").withColumn("segment", segment("r", "f", "m"))
    rows = frame.collect()
    assert {row.segment for row in rows} == set(SEGMENTS)
    assert len(SEGMENTS) == 11
    for row in rows:
        assert row.segment == GRID[row.r - 1][-(-(row.f + row.m) // 2) - 1]


@examples(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5, 30), st.integers(1, 500)), min_size=1, max_size=12))
def test_days_at_or_after_as_of_change_nothing(spark: SparkSession, history: list[tuple[str, int, int]]) -> None:
    rows: list[dict[str, Any]] = [
        {"user_id": user, "event_date": _ago(days), "amount": cents / 100} for user, days, cents in history
    ]
    everything = user_days(spark, *rows)
    past = everything.filter(F.col("event_date") < F.lit(AS_OF))
    assert_same_rows(rfm(everything, AS_OF), rfm(past, AS_OF))
