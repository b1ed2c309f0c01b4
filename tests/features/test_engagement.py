"""Engagement: an example by hand, every stage at its boundaries, odd users, and the definitions over random days."""

from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import item_keys
from features.engagement import clumpiness, engagement
from features.facts import facts, users
from features.item_history import only
from features.state import from_nothing
from features.tiles import user_day
from lake.delta import conform
from lake.tables import USER_DAY
from tests.features.silver import at, by, events, items, user_days, user_item_days
from tests.frames import assert_same_rows

AS_OF = date(2026, 3, 1)
AGO = st.sets(st.one_of(st.integers(1, 130), st.integers(1, 800)), min_size=1, max_size=12)


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def _rows(histories: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"user_id": user, "event_date": _ago(ago)} for user, days in histories.items() for ago in days]


def _engaged(days: DataFrame) -> dict[Any, dict[str, Any]]:
    return by(engagement(users(facts(days)), AS_OF), "user_id")


def test_engagement_by_hand(spark: SparkSession) -> None:
    days = user_days(
        spark,
        {"event_date": _ago(92), "events": 5, "sessions": 2, "quick_exits": 1, "back_and_forth": 2, "dwell_ms": 700},
        {"event_date": _ago(91), "events": 1, "sessions": 1, "quick_exits": 1, "dwell_ms": 0},
        {"event_date": _ago(29), "events": 2, "sessions": 1, "quick_exits": 0, "dwell_ms": 300},
        {
            "event_date": _ago(28),
            "events": 1,
            "sessions": 0,
            "quick_exits": None,
            "back_and_forth": None,
            "dwell_ms": None,
        },
        {"event_date": _ago(8)},
        {"event_date": _ago(7)},
    )
    anna = _engaged(days)["anna"]
    assert (anna["as_of"], anna["age"], anna["idle"], anna["active_days"], anna["stage"]) == (AS_OF, 92, 7, 6, "active")
    assert (anna["active_7"], anna["active_28"], anna["active_91"]) == (1, 3, 5)
    assert (anna["events"], anna["sessions"], anna["dwell_ms"]) == (11, 6, 1000)
    assert anna["depth"] == pytest.approx(11 / 6) and anna["quick_exit_share"] == pytest.approx(2 / 6)
    assert anna["back_and_forth"] == pytest.approx(2 / 6)
    assert anna["trend"] == pytest.approx(math.log((3 + 1) / (1 + 1)))
    gaps = [gap / 366 for gap in (366 - 92, 1, 62, 1, 20, 1, 7)]
    assert anna["clumpiness"] == pytest.approx(1 + sum(gap * math.log(gap) for gap in gaps) / math.log(7))


def test_clumpiness_of_three_customers_of_thirty_days_is_what_is_published(spark: SparkSession) -> None:
    """Evenly, in two clumps and in one: Zhang, Bradlow & Small print .036, .48 and .34."""
    customers = {"even": (1, 6, 11, 16, 21, 26), "two": (2, 3, 4, 27, 28, 29), "one": (13, 14, 15, 16, 17, 18)}
    rows = [(name, [date(2026, 1, day) for day in days]) for name, days in customers.items()]
    frame = spark.createDataFrame(rows, "name string, calendar array<date>")
    found = {row.name: row.clumpy for row in frame.select(
        "name", clumpiness(F.lit(date(2026, 1, 31)), 30).alias("clumpy")).collect()}  # fmt: skip
    assert found == {name: pytest.approx(value, abs=0.0005) for name, value in
                     (("even", 0.036), ("two", 0.477), ("one", 0.341))}  # fmt: skip


def test_stages_at_their_boundaries(spark: SparkSession) -> None:
    stages = {
        "new": [{1}, {30}, {30, 1}],
        "active": [{31, 30}, {31, 1}, {120, 30}, {1000, 120, 30}, {200, 40, 5}],
        "at_risk": [{31}, {90}, {400, 31}],
        "lapsed": [{91}, {400, 91}],
        "returned": [{121, 30}, {92, 1}, {93, 2, 1}, {396, 30}, {2000, 1}],
    }
    histories = {f"{stage} {sorted(days)}": days for stage, lists in stages.items() for days in lists}
    found = {user: row["stage"] for user, row in _engaged(user_days(spark, *_rows(histories))).items()}
    assert found == {user: user.split()[0] for user in histories}


def test_odd_users_have_a_stated_outcome(spark: SparkSession) -> None:
    instant = at("2026-02-28")
    frame = events(
        spark,
        {"user_id": "one event", "event_time": instant, "event_type": "view"},
        {"user_id": "ten years of silence", "event_time": at("2016-02-01")},
        *({"user_id": "one second", "event_time": instant, "dwell_ms": 5} for _ in range(9)),
        {"user_id": "no session", "event_time": instant, "session_id": None},
    )
    found = _engaged(conform(user_day(frame), USER_DAY))

    def said(user: str, *names: str) -> tuple[Any, ...]:
        return tuple(found[user][name] for name in names)

    counts = ("stage", "age", "idle", "active_days", "active_91", "events", "depth", "quick_exit_share", "dwell_ms")
    assert said("one event", *counts) == ("new", 1, 1, 1, 1, 1, 1.0, 1.0, 0)
    assert said("one second", *counts) == ("new", 1, 1, 1, 1, 9, 9.0, 0.0, 45)
    assert said("ten years of silence", *counts) == ("lapsed", 3681, 3681, 1, 0, 1, 1.0, 1.0, 0)
    assert said("ten years of silence", "trend", "clumpiness") == (0.0, None)
    assert said("no session", "sessions", "depth", "quick_exit_share", "back_and_forth", "stage") == (
        0, None, None, None, "new",
    )  # fmt: skip
    assert found["one event"]["trend"] == pytest.approx(math.log(2))
    assert found["one event"]["clumpiness"] > 0.95


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(AGO, min_size=15, max_size=15))
def test_counts_trend_and_stage_are_what_their_definitions_say(spark: SparkSession, histories: list[set[int]]) -> None:
    named = {str(number): days for number, days in enumerate(histories)}
    for user, row in _engaged(user_days(spark, *_rows(named))).items():
        days = sorted(named[user])  # the latest first
        assert (row["idle"], row["age"], row["active_days"]) == (days[0], days[-1], len(days))
        for length in (7, 28, 91):
            assert row[f"active_{length}"] == sum(ago <= length for ago in days)
        recent, earlier = sum(ago <= 28 for ago in days), sum(28 < ago <= 56 for ago in days)
        assert row["trend"] == pytest.approx(math.log((recent + 1) / (earlier + 1)))
        silence = max((before - ago for ago, before in pairwise(days) if ago <= 30), default=0)
        if days[-1] <= 30:
            stage = "new"
        elif days[0] > 30:
            stage = "at_risk" if days[0] <= 90 else "lapsed"
        else:
            stage = "returned" if silence > 90 else "active"
        assert row["stage"] == stage, days


@examples(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(-40, 140), min_size=1, max_size=6), min_size=1))
def test_days_at_or_after_as_of_change_nothing(spark: SparkSession, histories: dict[str, set[int]]) -> None:
    keys = only(item_keys(items(spark, {"item_id": "tea"})))
    everything = user_days(spark, *_rows(histories))
    past = everything.filter(F.col("event_date") < F.lit(AS_OF))
    full, cut = (from_nothing(user_item_days(spark), days, keys, AS_OF) for days in (everything, past))
    assert_same_rows(engagement(full, AS_OF), engagement(cut, AS_OF))
