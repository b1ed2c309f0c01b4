"""Day tiles, against examples worked out by hand."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from features.tiles import DAYPARTS, user_day, user_item_day
from lake.delta import conform
from lake.tables import USER_DAY, USER_ITEM_DAY
from tests.features.silver import at, by, events
from tests.frames import assert_same_rows

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)


def test_a_user_item_day_counts_each_kind_of_event_and_sums_what_was_bought(spark: SparkSession) -> None:
    frame = events(
        spark,
        {"event_time": at("2026-03-01", 8), "event_type": "view", "dwell_ms": 700},
        {"event_time": at("2026-03-01", 9), "event_type": "view", "dwell_ms": 300},
        {"event_time": at("2026-03-01", 10), "quantity": 2.0, "amount": 0.1},
        {"event_time": at("2026-03-01", 11), "quantity": 3.0, "amount": 0.2},
        {"event_time": at("2026-03-01", 12), "event_type": "rate", "rating": 4.5},
        {"event_time": at("2026-03-02"), "event_type": "hide"},
        {"event_time": at("2026-03-02"), "event_type": "search", "item_id": None, "query": "tea"},
    )
    tiles = by(conform(user_item_day(frame), USER_ITEM_DAY), "item_id", "event_date")
    assert set(tiles) == {("tea", FIRST), ("tea", SECOND)}
    first = tiles["tea", FIRST]
    assert (first["views"], first["purchases"], first["ratings"], first["hides"]) == (2, 2, 1, 0)
    assert (first["units"], first["rating_sum"], first["dwell_ms"]) == (5.0, 4.5, 1000)
    assert first["amount"] == 0.3  # a sum of doubles would be 0.30000000000000004
    assert tiles["tea", SECOND]["hides"] == 1


def test_every_return_is_counted_but_only_a_matched_one_takes_money_back(spark: SparkSession) -> None:
    frame = events(
        spark,
        {"event_time": at("2026-03-01"), "amount": 30.0, "quantity": 3.0},
        {"event_time": at("2026-03-01"), "event_type": "return", "amount": 10.0, "returned_event_id": "event-0"},
        {"event_time": at("2026-03-01"), "event_type": "return", "amount": 99.0, "quantity": 9.0},
    )
    (item,) = user_item_day(frame).collect()
    assert (item.returns, item.units_returned, item.amount_returned, item.amount) == (2, 1.0, 10.0, 30.0)
    (day,) = user_day(frame).collect()
    assert (day.amount, day.amount_returned, day.orders) == (30.0, 10.0, 1)


def test_bots_leave_no_trace(spark: SparkSession) -> None:
    frame = events(spark, {"event_time": at("2026-03-01"), "is_bot": True})
    assert user_item_day(frame).isEmpty()
    assert user_day(frame).isEmpty()


def test_a_user_day_tells_when_on_what_and_where_the_user_was_active(spark: SparkSession) -> None:
    frame = events(
        spark,
        {"event_time": at("2026-03-01", 5), "event_type": "view", "session_id": "a", "country": "FR"},
        {"event_time": at("2026-03-01", 6), "event_type": "view", "session_id": "a", "device": "mobile"},
        {"event_time": at("2026-03-01", 17), "event_type": "view", "session_id": "b", "country": "DE"},
        {"event_time": at("2026-03-01", 18), "event_type": "view", "session_id": "b", "device": None},
    )
    (day,) = conform(user_day(frame), USER_DAY).collect()
    assert day.dayparts == {"night": 1.0, "morning": 1.0, "afternoon": 1.0, "evening": 1.0}
    assert day.devices == {"web": 2.0, "mobile": 1.0, "unknown": 1.0}
    assert (day.events, day.sessions, day.orders, day.country) == (4, 2, 0, "DE")
    assert day.last_purchase_time is None
    assert day.amount == 0.0


def test_a_quick_exit_is_a_session_with_one_event_on_the_day(spark: SparkSession) -> None:
    visits = {
        "alone": [{"dwell_ms": 400}], "twice": [{}, {}], "two devices": [{}, {"device": "tv"}],
        "two orders": [{"order_id": "1"}, {"order_id": "2"}], "also alone": [{"order_id": "1", "dwell_ms": 100}],
    }  # fmt: skip
    rows = [row | {"session_id": session} for session, given in visits.items() for row in given]
    midnight = {"event_time": at("2026-03-02", 0), "session_id": "twice"}
    no_session = {"event_time": at("2026-03-02"), "session_id": None}
    frame = events(spark, *({"event_time": at("2026-03-01", 23)} | row for row in rows), midnight, no_session)
    days = by(conform(user_day(frame), USER_DAY), "event_date")
    counts = {day: (row["sessions"], row["quick_exits"], row["dwell_ms"]) for day, row in days.items()}
    assert counts == {FIRST: (5, 2, 500), SECOND: (1, 1, 0)}


def _looks(*seen: tuple[str, float]) -> list[dict[str, Any]]:
    """Views of (item, seconds after noon)."""
    noon = at("2026-03-01", 12)
    return [
        {"event_time": noon + timedelta(seconds=after), "event_type": "view", "item_id": item} for item, after in seen
    ]


def test_whoever_is_back_with_an_item_at_once_goes_back_and_forth(spark: SparkSession) -> None:
    cases: dict[str, tuple[int, list[dict[str, Any]]]] = {
        "once": (1, _looks(("tea", 0), ("pan", 10), ("tea", 30))),
        "too late": (0, _looks(("tea", 0), ("pan", 10), ("tea", 30.5))),
        "stayed a while, then once": (1, _looks(("tea", 0), ("tea", 60), ("pan", 70), ("tea", 90), ("tea", 900))),
        "to and fro": (3, _looks(("tea", 0), ("pan", 5), ("tea", 10), ("pan", 15), ("tea", 20))),
        "by a third": (0, _looks(("tea", 0), ("pan", 5), ("cup", 10), ("tea", 15))),
        "only forth": (0, _looks(("tea", 0), ("pan", 5))),
        "one second": (0, _looks(("tea", 0), ("pan", 0), ("tea", 0), ("pan", 0))),
        "bought in between": (0, [*_looks(("tea", 0), ("tea", 9)), _looks(("pan", 5))[0] | {"event_type": "purchase"}]),
        "a click in between": (1, [*_looks(("tea", 0), ("tea", 9)), _looks(("pan", 5))[0] | {"event_type": "click"}]),
        "of two sessions": (0, [*_looks(("tea", 0), ("tea", 9)), _looks(("pan", 5))[0] | {"session_id": "other"}]),
        "without a session": (0, [row | {"session_id": None} for row in _looks(("tea", 0), ("pan", 5), ("tea", 9))]),
    }  # fmt: skip
    # The events come in no order.
    rows = [row | {"user_id": user} for user, (_, given) in cases.items() for row in reversed(given)]
    found = by(conform(user_day(events(spark, *rows)), USER_DAY), "user_id")
    assert {user: row["back_and_forth"] for user, row in found.items()} == {user: n for user, (n, _) in cases.items()}


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(["anna", "ben"]), st.sampled_from("st"), st.sampled_from("xyz"), st.integers(0, 400)),
        min_size=6, max_size=30, unique_by=lambda look: (look[0], look[3]),
    )
)  # fmt: skip
def test_back_and_forth_is_what_a_walk_through_each_session_finds(
    spark: SparkSession, looks: list[tuple[str, str, str, int]]
) -> None:
    rows = [_looks((item, after))[0] | {"user_id": user, "session_id": session} for user, session, item, after in looks]
    expected = {user: 0 for user, *_ in looks}
    for user in expected:
        for name in "st":
            stays: list[tuple[str, int, int]] = []
            for after, item in sorted(
                (after, item) for who, session, item, after in looks if (who, session) == (user, name)
            ):
                if stays and stays[-1][0] == item:
                    stays[-1] = (item, stays[-1][1], after)
                else:
                    stays.append((item, after, after))
            for before, then in zip(stays, stays[2:], strict=False):
                expected[user] += before[0] == then[0] and then[1] - before[2] <= 30
    found = by(user_day(events(spark, *rows)), "user_id")
    assert {user: row["back_and_forth"] for user, row in found.items()} == expected


def test_an_order_counts_once_on_the_day_of_its_first_line(spark: SparkSession) -> None:
    frame = events(
        spark,
        {"event_time": at("2026-03-01", 23), "order_id": "1"},
        {"event_time": at("2026-03-02", 0), "order_id": "1"},
        {"event_time": at("2026-03-02", 9), "order_id": "2"},
        {"event_time": at("2026-03-02", 9), "order_id": "2", "source": "other shop"},
        {"event_time": at("2026-03-02", 9), "order_id": "1", "user_id": "ben"},
    )
    orders = {key: row["orders"] for key, row in by(user_day(frame), "user_id", "event_date").items()}
    assert orders == {("anna", FIRST): 1, ("anna", SECOND): 2, ("ben", SECOND): 1}


def test_without_order_ids_the_purchases_of_a_session_are_an_order(spark: SparkSession) -> None:
    sessions = ("a", "a", "b", None, None)
    frame = events(spark, *({"event_time": at("2026-03-01"), "session_id": session} for session in sessions))
    assert user_day(frame).first()["orders"] == 4


def test_the_tiles_of_a_day_do_not_depend_on_other_days(spark: SparkSession) -> None:
    """What lets a night rebuild its own days only: but for orders that began on the day before."""
    rows = [
        {"event_time": at("2026-03-01", 10), "order_id": "1", "amount": 0.1},
        {"event_time": at("2026-03-02", 10), "order_id": "2", "amount": 0.2, "device": "mobile"},
        {"event_time": at("2026-03-02", 11), "order_id": "2", "amount": 0.7, "item_id": "milk"},
        {"event_time": at("2026-03-03", 10), "event_type": "view", "user_id": "ben"},
    ]
    frame = events(spark, *rows)
    of_second = F.col("event_date") == F.lit(SECOND)
    for make, table in ((user_item_day, USER_ITEM_DAY), (user_day, USER_DAY)):
        alone = conform(make(frame.filter(of_second)), table)
        among = conform(make(frame).filter(of_second), table)
        if table is USER_DAY:  # maps have no order
            maps = {name: F.to_json(name) for name in ("dayparts", "devices")}
            alone, among = alone.withColumns(maps), among.withColumns(maps)
        assert_same_rows(alone, among)


LINES = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.sampled_from(["anna", "ben"]), "day": st.integers(1, 3), "hour": st.integers(0, 23),
            "event_type": st.sampled_from(["view", "purchase", "return"]),
            "quantity": st.sampled_from([None, 1.0, 2.5]), "amount": st.sampled_from([None, 0.1, 7.0]),
            "session_id": st.sampled_from([None, "a", "b"]),
            "order_id": st.sampled_from([None, "1", "2"]), "device": st.sampled_from([None, "web", "tv"]),
            "country": st.sampled_from([None, "DE", "FR"]), "dwell_ms": st.sampled_from([None, 5]),
            "returned_event_id": st.sampled_from([None, "event-0"]), "source": st.sampled_from(["shop", "till"]),
        }
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@examples(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES)
def test_a_day_is_what_it_is_when_its_events_are_looked_at_one_by_one(
    spark: SparkSession, lines: list[dict[str, Any]]
) -> None:
    rows = [row | {"event_time": at(f"2026-03-0{row.pop('day')}", row.pop("hour"))} for row in map(dict, lines)]
    frame = events(spark, *rows)
    happened, tiles = frame.collect(), by(conform(user_day(frame), USER_DAY), "user_id", "event_date")
    assert set(tiles) == {(row.user_id, row.event_date) for row in happened}
    for (user, today), tile in tiles.items():
        mine = [row for row in happened if row.user_id == user]
        own = [row for row in mine if row.event_date == today]
        bought = [row for row in own if row.event_type == "purchase"]

        def order(row: Row) -> tuple[str | None, ...]:
            return (row.source, row.order_id, None if row.order_id else row.session_id or row.event_id)

        earlier = {order(row) for row in mine if row.event_type == "purchase" and row.event_date < today}
        visits = Counter(row.session_id for row in own if row.session_id)
        located = [(row.event_time, row.country) for row in own if row.country]
        expected = {
            "events": len(own), "sessions": len(visits), "quick_exits": sum(n == 1 for n in visits.values()),
            "dwell_ms": sum(row.dwell_ms or 0 for row in own), "orders": len({*map(order, bought)} - earlier),
            "amount": pytest.approx(sum(row.amount or 0 for row in bought)),
            "amount_returned": pytest.approx(
                sum(row.amount or 0 for row in own if row.event_type == "return" and row.returned_event_id)
            ),
            "units": pytest.approx(sum(row.quantity or 0 for row in bought)),
            "last_purchase_time": max((row.event_time for row in bought), default=None),
            "last_time": max(row.event_time for row in own),
            "dayparts": dict(Counter(DAYPARTS[row.event_time.hour // 6] for row in own)),
            "devices": dict(Counter(row.device or "unknown" for row in own)),
            "country": max(located)[1] if located else None,
        }  # fmt: skip
        assert {name: tile[name] for name in expected} == expected
