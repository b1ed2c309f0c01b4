"""What people use and what they pass by: by hand, odd people, nothing later."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.habits import DONE, HABIT_DAYS, LEAST_EVENTS, LEAST_SHARE, habits
from features.intent import searches
from features.tiles import user_item_day
from tests.features.silver import at, by, events, user_item_days
from tests.frames import assert_same_rows

AS_OF = date(2026, 3, 1)


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def _asked(spark: SparkSession, **counts: int) -> DataFrame:
    return spark.createDataFrame([*counts.items()], "user_id string, searches long")


def _told(frame: DataFrame) -> dict[str, tuple[list[str], list[str] | None]]:
    return {user: (row["used"], row["ignored"]) for user, row in by(frame, "user_id").items()}


def test_what_is_used_and_passed_by_by_hand(spark: SparkSession) -> None:
    tiles = user_item_days(
        spark,
        {"event_date": _ago(HABIT_DAYS), "views": 6, "clicks": 3, "impressions": 50},
        {"event_date": _ago(1), "item_id": "pan", "views": 1},
        {"event_date": _ago(HABIT_DAYS + 1), "purchases": 9},
        {"event_date": AS_OF, "purchases": 9},
        {"user_id": "ben", "event_date": _ago(3), "views": 8, "purchases": 2},
        {"user_id": "cleo", "event_date": _ago(3), "views": LEAST_EVENTS - 1, "impressions": 9},
        {"user_id": "only shown", "event_date": _ago(3), "impressions": 90},
        {"user_id": "gone", "event_date": _ago(HABIT_DAYS + 1), "views": 90},
    )
    # Of the two who did enough, each did what the other passed by.
    assert _told(habits(tiles, _asked(spark, anna=4, dora=1), AS_OF)) == {
        "anna": (["view", "search", "click"], ["purchase"]),
        "ben": (["view", "purchase"], ["click", "search"]),
        "cleo": (["view"], None),
        "dora": (["search"], None),
    }


def test_a_kind_that_hardly_anybody_uses_is_passed_by_by_nobody(spark: SparkSession) -> None:
    few = round(1 / LEAST_SHARE)
    people: list[dict[str, Any]] = [
        {"user_id": str(number), "event_date": _ago(1), "views": LEAST_EVENTS} for number in range(few + 1)
    ]
    nobody = _asked(spark).limit(0)
    rated = people[0] | {"ratings": 1}
    assert _told(habits(user_item_days(spark, rated, *people[1:]), nobody, AS_OF))["1"] == (["view"], [])
    assert _told(habits(user_item_days(spark, rated, *people[1:few]), nobody, AS_OF))["1"] == (["view"], ["rate"])


def test_odd_people_have_a_stated_outcome(spark: SparkSession) -> None:
    instant = at("2026-02-28")
    frame = events(
        spark,
        {"user_id": "one event", "event_time": instant},
        {"user_id": "ten years of silence", "event_time": at("2016-03-01")},
        *({"user_id": "one second", "event_time": instant, "event_type": "view"} for _ in range(12)),
        {"user_id": "only returns", "event_time": instant, "event_type": "return"},
        {"user_id": "searched", "event_time": instant, "event_type": "search", "item_id": None, "query": "茶"},
        {"user_id": "bot", "event_time": instant, "is_bot": True},
    )
    found = habits(user_item_day(frame), searches(frame, AS_OF), AS_OF)
    assert _told(found) == {
        "one event": (["purchase"], None), "one second": (["view"], []), "only returns": (["return"], None),
        "searched": (["search"], None),
    }  # fmt: skip


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.integers(-3, 33)),
        st.dictionaries(st.sampled_from(["view", "click", "purchase"]), st.integers(1, 9), min_size=1),
        min_size=3, max_size=12,
    )
)  # fmt: skip
def test_habits_are_what_a_loop_over_the_days_before_finds(
    spark: SparkSession, history: dict[tuple[str, int], dict[str, int]]
) -> None:
    """Days at or after the date change nothing: the loop leaves them out."""
    tiles = user_item_days(
        spark,
        *(
            {"user_id": user, "event_date": _ago(ago)} | {DONE[kind]: count for kind, count in kinds.items()}
            for (user, ago), kinds in history.items()
        ),
    )
    sums: dict[str, dict[str, int]] = {}
    for (user, ago), kinds in history.items():
        for kind, count in kinds.items() if 1 <= ago <= HABIT_DAYS else ():
            mine = sums.setdefault(user, {})
            mine[kind] = mine.get(kind, 0) + count
    busy = [user for user in sums if sum(sums[user].values()) >= LEAST_EVENTS]
    common = [kind for kind in DONE if sum(kind in sums[user] for user in busy) >= LEAST_SHARE * len(busy) > 0]
    nobody = _asked(spark).limit(0)
    found = habits(tiles, nobody, AS_OF)
    expected = {
        user: (set(mine), [kind for kind in common if kind not in mine] if user in busy else None)
        for user, mine in sums.items()
    }
    assert {user: (set(used), ignored) for user, (used, ignored) in _told(found).items()} == expected
    assert_same_rows(found, habits(tiles.filter(F.col("event_date") < F.lit(AS_OF)), nobody, AS_OF))
