"""RFM of the last days: by hand, and against a plain loop over random histories."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.facts import facts, users
from features.rfm_windows import windowed
from lake.delta import conform
from lake.tables import RFM_WINDOWS
from tests.features.silver import by, user_days

AS_OF = date(2026, 3, 1)


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def _known(days: DataFrame) -> DataFrame:
    return users(facts(days.filter(F.col("event_date") < F.lit(AS_OF))))


def test_a_window_counts_its_own_days_and_scores_among_its_own_users(spark: SparkSession) -> None:
    days = user_days(
        spark,
        {"event_date": _ago(1), "orders": 1, "amount": 10.0},
        {"event_date": _ago(30), "orders": 2, "amount": 5.0, "amount_returned": 0.5},
        {"event_date": _ago(31), "orders": 4, "amount": 100.0},
        {"event_date": _ago(5), "user_id": "gave back", "orders": 1, "amount": 1.0, "amount_returned": 9.0},
        {"event_date": _ago(365), "user_id": "last year", "orders": 1, "amount": 7.0},
        {"event_date": _ago(366), "user_id": "last year", "orders": 1, "amount": 7.0},
        {"event_date": _ago(400), "user_id": "long ago", "orders": 9},
        {"event_date": _ago(2), "user_id": "looked", "orders": 0, "amount": 0.0, "last_purchase_time": None},
        {"event_date": _ago(-1), "user_id": "looked", "orders": 5},
    )
    rows = by(conform(windowed(_known(days), AS_OF, (30, 365)), RFM_WINDOWS), "user_id", "window_days")
    told = {key: (row["recency"], row["frequency"], row["monetary"]) for key, row in rows.items()}
    assert told == {
        ("anna", 30): (1, 3, 14.5), ("anna", 365): (1, 7, 114.5), ("gave back", 30): (5, 1, 0.0),
        ("gave back", 365): (5, 1, 0.0), ("last year", 365): (365, 1, 7.0),
    }  # fmt: skip
    scores = {key: (row["r"], row["f"], row["m"]) for key, row in rows.items()}
    assert scores["anna", 30] == (3, 3, 3) and scores["gave back", 30] == (1, 1, 1)
    assert scores["anna", 365] == (4, 4, 4) and scores["last year", 365] == (1, 1, 2)


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=st.dictionaries(
        st.tuples(st.sampled_from(["anna", "ben"]), st.integers(-5, 500)),
        st.tuples(st.integers(0, 3), st.integers(0, 900), st.integers(0, 900)),
        min_size=1, max_size=20,
    ),
    windows=st.lists(st.integers(1, 365), min_size=1, max_size=3, unique=True),
)  # fmt: skip
def test_windows_hold_what_a_loop_over_the_days_before_finds(
    spark: SparkSession, history: dict[tuple[str, int], tuple[int, int, int]], windows: list[int]
) -> None:
    """Days at or after the date change nothing: the loop leaves them out."""
    days = user_days(
        spark,
        *(
            {"user_id": user, "event_date": _ago(ago), "orders": orders, "amount": paid / 100,
             "amount_returned": back / 100}
            for (user, ago), (orders, paid, back) in history.items()
        ),
    )  # fmt: skip
    expected = {}
    for window in windows:
        for user in ("anna", "ben"):
            within = [row for (who, ago), row in history.items() if who == user and 1 <= ago <= window]
            if sum(orders for orders, _, _ in within):
                money = max(0, sum(paid - back for _, paid, back in within)) / 100
                expected[user, window] = (sum(orders for orders, _, _ in within), pytest.approx(money))
    found = by(windowed(_known(days), AS_OF, windows), "user_id", "window_days")
    assert {key: (row["frequency"], row["monetary"]) for key, row in found.items()} == expected


def test_windows_that_reach_beyond_what_is_kept_are_refused(spark: SparkSession) -> None:
    known = _known(user_days(spark, {"event_date": _ago(1)}))
    for wrong in ((366,), (0,), (30, 30), ()):
        with pytest.raises(ValueError, match="allowed are whole days from 1 to 365, each once"):
            windowed(known, AS_OF, wrong)
