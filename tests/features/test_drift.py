"""Drift: what is measured of a day, and what counts as unlike its past."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from features.drift import PSI, Measurement, counts_of, measurements, stability_index, verdicts
from tests.features.silver import events, items

DAY = date(2025, 3, 31)


def past(measure: str, key: str, values: list[float]) -> list[Measurement]:
    """The last of them yesterday."""
    return [Measurement(DAY - timedelta(days=back + 1), measure, key, value) for back, value in enumerate(values[::-1])]


def state(measure: str, key: str, value: float, values: list[float]) -> str:
    found = verdicts(DAY, [Measurement(DAY, measure, key, value)], past(measure, key, values))
    assert len(found) == 1
    return found[0].state


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1000, "within"), (340, "within"), (330, "beyond"), (2900, "within"), (3100, "beyond"), (0, "beyond")],
)  # fmt: skip
def test_a_volume_may_be_a_third_to_three_times_its_past(value: float, expected: str) -> None:
    assert state("events", "view", value, [1000.0] * 14) == expected


def test_a_weekday_is_compared_with_its_own_kind() -> None:
    weekly = [100.0 if (DAY - timedelta(days=back)).weekday() == DAY.weekday() else 1000.0 for back in range(28, 0, -1)]
    assert state("events", "view", 100.0, weekly) == "within"
    assert state("events", "view", 1000.0, weekly) == "beyond"


def test_an_event_type_that_ceases_is_beyond() -> None:
    found = verdicts(DAY, [], past("events", "purchase", [200.0] * 10))
    assert [(str(v.measurement.key), v.measurement.value, v.state) for v in found] == [("purchase", 0.0, "beyond")]


def test_too_little_of_the_past_or_of_events_says_nothing() -> None:
    assert state("events", "view", 9000.0, [1000.0] * 6) == "unknown"
    assert state("events", "hide", 20.0, [3.0] * 20) == "unknown"
    assert state("rejected", "all", 0.9, [0.0] * 6) == "unknown"


@pytest.mark.parametrize(("value", "expected"), [(0.02, "within"), (0.065, "within"), (0.08, "beyond")])
def test_a_share_may_move_by_a_twentieth(value: float, expected: str) -> None:
    assert state("nulls", "country", value, [0.02] * 10) == expected


def test_a_share_that_always_varied_may_vary() -> None:
    assert state("rejected", "all", 0.3, [0.0, 0.2] * 10) == "within"


def test_a_mix_is_one_number_over_all_keys() -> None:
    before = past("category", "shoes", [500.0] * 10) + past("category", "hats", [500.0] * 10)
    same = verdicts(DAY, [Measurement(DAY, "category", "shoes", 50), Measurement(DAY, "category", "hats", 50)], before)
    moved = verdicts(DAY, [Measurement(DAY, "category", "shoes", 95), Measurement(DAY, "category", "hats", 5)], before)
    assert [(v.measurement.measure, v.measurement.key, v.state) for v in same] == [("category_mix", "psi", "within")]
    assert [v.state for v in moved] == ["beyond"]
    assert moved[0].measurement.value > PSI


def test_the_index_is_the_formula() -> None:
    # Without the half counts: (.9 - .5) ln(.9 / .5) + (.1 - .5) ln(.1 / .5)
    found = stability_index({"a": 9e9, "b": 1e9}, {"a": 5e9, "b": 5e9})
    assert found == pytest.approx(0.4 * 0.5877866649 + 0.4 * 1.6094379124, rel=1e-6)


counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**6).map(float), max_size=6)


@given(counts, counts)
def test_the_index_is_finite_symmetric_and_zero_only_for_the_same_mix(
    one: dict[str, float], two: dict[str, float]
) -> None:
    found = stability_index(one, two)
    assert found >= 0
    # The half counts weigh more where there are fewer events, so only equal counts are equal mixes.
    assert stability_index(two, one) == pytest.approx(found)
    assert stability_index(one, one) == 0


def test_a_day_is_measured_by_type_category_nulls_and_rejections(spark: SparkSession) -> None:
    at_noon = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
    log = events(
        spark,
        *(
            {"event_id": str(number), "event_time": at_noon, **row}
            for number, row in enumerate([
                {"event_type": "view", "item_id": "shoe", "country": "DE"},
                {"event_type": "view", "item_id": "hat", "country": None},
                {"event_type": "purchase", "item_id": "shoe", "country": "DE"},
                {"event_type": "search", "item_id": None, "country": "DE"},
                {"event_type": "view", "item_id": "shoe", "country": None, "is_bot": True},
            ])
        ),
    )  # fmt: skip
    catalogue = items(spark, {"item_id": "shoe", "category": ["shoes", "boots"]}, {"item_id": "hat"})
    counts = counts_of(log, catalogue).collect()
    found = {(row.measure, row.key): row.value for row in measurements(counts, {DAY: 1})}
    assert {key: value for key, value in found.items() if key[0] != "nulls"} == {
        ("events", "view"): 2, ("events", "purchase"): 1, ("events", "search"): 1,
        ("category", "shoes"): 2, ("category", "unknown"): 2, ("currency", "EUR"): 4, ("rejected", "all"): 0.2,
    }  # fmt: skip
    assert found["nulls", "country"] == 0.25 and found["nulls", "item_id"] == 0.25 and found["nulls", "session_id"] == 0


def test_a_day_of_which_every_line_was_rejected_is_measured() -> None:
    found = {(row.measure, row.key): row.value for row in measurements([], {DAY: 7})}
    assert found["rejected", "all"] == 1
