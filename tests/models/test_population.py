"""What the people of a training are like: counts worked out by hand, and nobody told who stands alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from features.demographics import UNKNOWN, demographics
from lake.tables import AFFINITY, CONTEXT, ENGAGEMENT, USERS, VALUE
from models.population import active, engaged, lifts, who, worth
from tests.models.data import AS_OF, table_frame


def test_people_are_counted_by_stage_and_by_active_days(spark: SparkSession) -> None:
    people = [("new", 1), ("new", 4), ("lapsed", 0), ("active", 28), ("active", 3)]
    rows = [{"user_id": str(n), "stage": stage, "active_28": days} for n, (stage, days) in enumerate(people)]
    stages, days = engaged(table_frame(spark, ENGAGEMENT, rows)).values()
    assert stages == {"new": 2, "active": 2, "returned": 0, "at_risk": 0, "lapsed": 1}
    assert days == {"none": 1, "1": 1, "2": 0, "3 to 4": 2, "5 to 8": 0, "9 to 16": 0, "over 16": 1}


def test_what_is_expected_is_told_by_tenths_of_the_probability_of_being_alive(spark: SparkSession) -> None:
    known = ((0.05, 1.0, None), (0.1, 2.0, 3.0), (0.19, 4.0, 5.0), (1.0, 6.0, 7.0))
    rows = [{"alive": alive, "expected_purchases": n, "expected_revenue": money} for alive, n, money in known]
    users, purchases, revenue = worth(table_frame(spark, VALUE, rows)).values()
    assert [name for name, count in users.items() if count] == ["0.0", "0.1", "0.9"]
    assert (users["0.1"], purchases["0.1"], revenue["0.1"], revenue["0.0"]) == (2, 3.0, 4.0, 0.0)


def test_shares_of_context_are_means_in_the_order_of_the_day_and_hardly_anybodys_place_is_left_out(
    spark: SparkSession,
) -> None:
    rows: list[dict[str, Any]] = []
    for number in range(6):
        rows += [{"dimension": "daypart", "key": key, "share": 0.5} for key in ("evening", "morning")]
        rows.append({"dimension": "place", "key": "GB" if number else "VA", "share": 1.0})
    rows.append({"dimension": "brand", "key": "Ahn", "share": 1.0})
    told = active(table_frame(spark, AFFINITY, rows))
    assert told == {
        "mean share by daypart": {"morning": 0.5, "evening": 0.5},
        "mean share by place": {"GB": pytest.approx(5 / 6)},
    }
    assert list(told["mean share by daypart"]) == ["morning", "evening"]


def test_what_people_prefer_in_a_situation_is_compared_with_what_they_do_anywhere(spark: SparkSession) -> None:
    said = [("week", "weekend", "tea", 3), ("week", "weekend", "pans", 1), ("week", "working day", "pans", 4),
            ("daypart", "night", "tea", 2), ("daypart", "night", "pans", 2)]  # fmt: skip
    rows = [
        {"user_id": str(user), "context": context, "situation": situation, "key": key, "evidence": events}
        for user in range(5)
        for context, situation, key, events in said
    ]
    rows.append({"user_id": "alone", "context": "place", "situation": "VA", "key": "tea", "evidence": 90})
    told = lifts(table_frame(spark, CONTEXT, rows))
    # Of eight events of a user three are with tea.
    assert told == {
        "night": {"pans": pytest.approx((2 / 4) / (5 / 8)), "tea": pytest.approx((2 / 4) / (3 / 8))},
        "working day": {"pans": pytest.approx(8 / 5), "tea": 0.0},
        "weekend": {"pans": pytest.approx((1 / 4) / (5 / 8)), "tea": pytest.approx((3 / 4) / (3 / 8))},
    }


def test_who_people_are_is_told_with_the_unknown_last_and_without_values_of_a_few(spark: SparkSession) -> None:
    rows = [
        {"user_id": str(n), "attributes": {"gender": "F" if n < 6 else "X"}, "updated_at": AS_OF - timedelta(days=9)}
        for n in range(8)
    ]
    asked = spark.createDataFrame([(str(n),) for n in range(16)], "user_id string")
    people = demographics(asked, table_frame(spark, USERS, rows), AS_OF.date())
    assert who(people) == {"gender": {"F": 6 / 16, "other": 2 / 16, UNKNOWN: 8 / 16}}
