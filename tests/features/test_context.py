"""What is preferred when and where: by hand, odd people, by the definition over random days, and by the night."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import item_keys
from features.context import CONTEXT_DAYS, KEYS_KEPT, preferred, standing, within
from features.item_history import only
from features.lift import PRIOR_EVENTS
from features.tiles import user_day, user_item_day
from lake.delta import conform
from lake.tables import CONTEXT
from tests.features.silver import at, by, events, items, user_days, user_item_days
from tests.frames import assert_same_rows

# A Monday.
AS_OF = date(2026, 3, 2)
DEEP = [f"level {number}" for number in range(1, 13)]


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def _at(days: int, hour: int) -> datetime:
    return at(_ago(days).isoformat(), hour)


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return items(
        spark,
        {"item_id": "tea", "category": ["drinks", "hot"]},
        {"item_id": "pan", "category": ["kitchen"]},
        {"item_id": "deep", "category": DEEP},
        {"item_id": "secret", "category": ["drinks"], "sensitive": True},
        {"item_id": "plain"},
    ).cache()


def _told(tiles: DataFrame, days: DataFrame, catalogue: DataFrame, as_of: date = AS_OF) -> DataFrame:
    return preferred(tiles, days, only(item_keys(catalogue)), catalogue, as_of)


def test_what_is_preferred_in_a_situation_by_hand(spark: SparkSession, catalogue: DataFrame) -> None:
    saturday, friday, before = {"event_date": _ago(2)}, {"event_date": _ago(3)}, {"event_date": _ago(CONTEXT_DAYS + 1)}
    tiles = user_item_days(
        spark,
        saturday | {"item_id": "tea", "views": 4, "last_time": _at(2, 18)},
        saturday | {"item_id": "secret", "views": 40, "last_time": _at(2, 18)},
        friday | {"item_id": "tea", "views": 1, "last_time": _at(3, 6)},
        friday | {"item_id": "pan", "purchases": 1, "last_time": _at(3, 11)},
        friday | {"item_id": "plain", "purchases": 9, "last_time": _at(3, 11)},
        before | {"item_id": "pan", "views": 9, "last_time": _at(CONTEXT_DAYS + 1, 11)},
        {"event_date": AS_OF, "item_id": "pan", "views": 9, "last_time": _at(0, 11)},
        saturday | {"user_id": "ben", "item_id": "pan", "views": 2, "last_time": _at(2, 3)},
        friday | {"user_id": "ben", "item_id": "pan", "hides": 1, "last_time": _at(3, 3)},
    )
    days = user_days(
        spark,
        saturday | {"devices": {"mobile": 3.0, "web": 1.0}, "country": "DE"},
        friday | {"devices": {"unknown": 9.0, "web": 2.0, "tv": 2.0}, "country": "FR"},
    )
    rows = by(conform(_told(tiles, days, catalogue), CONTEXT), "user_id", "context", "situation", "key")
    found = {key[1:]: row for key, row in rows.items() if key[0] == "anna"}
    # Drinks: 4 + 1 of 10 in all; kitchen: 5. On Saturday four events, on Friday two.
    alone = (1.0, pytest.approx((4 + PRIOR_EVENTS * 0.5) / (4 + PRIOR_EVENTS) / 0.5), 4)
    kitchen, drinks = (
        (share, pytest.approx((2 * share + PRIOR_EVENTS * 0.5) / (2 + PRIOR_EVENTS) / 0.5), 1)
        for share in (5 / 6, 1 / 6)
    )
    expected = {
        **{(name, value, "drinks"): alone for name, value in
           (("daypart", "evening"), ("week", "weekend"), ("device", "mobile"), ("place", "DE"))},
        **{(name, value, key): told for key, told in (("kitchen", kitchen), ("drinks", drinks)) for name, value in
           (("daypart", "morning"), ("week", "working day"), ("device", "tv"), ("place", "FR"))},
    }  # fmt: skip
    assert {key: (row["share"], row["lift"], row["evidence"]) for key, row in found.items()} == expected
    # Ben turns away from the kitchen on the whole, but not on that Saturday; the places of his days are not known.
    ben = {key[1:]: (row["share"], row["lift"]) for key, row in rows.items() if key[0] == "ben"}
    assert ben == {("week", "weekend", "kitchen"): (1.0, None)}


def test_odd_people_and_items_have_a_stated_outcome(spark: SparkSession, catalogue: DataFrame) -> None:
    instant = _at(1, 12)
    frame = events(
        spark,
        {"user_id": "one event", "event_time": instant, "event_type": "view", "device": None},
        *({"user_id": "one second", "event_time": instant, "event_type": "view", "country": "DE"} for _ in range(9)),
        {"user_id": "ten years of silence", "event_time": at("2016-03-01")},
        {"user_id": "sent back", "event_time": instant, "event_type": "return"},
        {"user_id": "no category", "event_time": instant, "item_id": "plain"},
        {"user_id": "not in the catalogue", "event_time": instant, "item_id": "gone"},
        {"user_id": "only shown", "event_time": instant, "event_type": "impression"},
        {"user_id": "searched", "event_time": instant, "event_type": "search", "item_id": None, "query": "茶"},
        {"user_id": "twelve levels", "event_time": instant, "item_id": "deep", "device": "unknown"},
    )
    rows = _told(user_item_day(frame), user_day(frame), catalogue).collect()
    told: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for row in rows:
        assert (row.share, row.lift) == (1.0, 1.0), "whoever did one thing alone did it everywhere"
        told[row.user_id].add((row.context, row.situation, row.key))
    sunday = {("daypart", "afternoon"), ("week", "weekend")}
    assert told == {
        "one event": {(*place, "drinks") for place in sunday},
        "one second": {(*place, "drinks") for place in {*sunday, ("device", "web"), ("place", "DE")}},
        "twelve levels": {(*place, "level 1") for place in sunday},
    }


def test_the_strongest_categories_of_a_situation_are_kept_and_shares_count_them_all(spark: SparkSession) -> None:
    many = KEYS_KEPT + 3
    catalogue = items(spark, *({"item_id": f"i{n}", "category": [f"c{n}"]} for n in range(many)))
    tiles = user_item_days(
        spark,
        *({"item_id": f"i{n}", "event_date": _ago(1), "views": n + 1, "last_time": _at(1, 9)} for n in range(many)),
    )
    found = {
        row.key: row.share
        for row in _told(tiles, user_days(spark, {"event_date": _ago(1)}), catalogue).collect()
        if row.context == "week"
    }
    total = many * (many + 1) / 2
    assert found == {f"c{n}": pytest.approx((n + 1) / total) for n in range(3, many)}


VISITS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(-3, 40), st.sampled_from(["tea", "pan", "deep"]), st.integers(0, 23),
              st.sampled_from(["view", "view", "purchase", "hide"])),
    min_size=6, max_size=16,
)  # fmt: skip
BROADEST, SAYS = {"tea": "drinks", "pan": "kitchen", "deep": "level 1"}, {"view": 1, "purchase": 5, "hide": -5}
PARTS = ("night", "morning", "afternoon", "evening")


def _expected(visits: list[tuple[str, int, str, int, str]]) -> dict[Any, float]:
    """The shares of dayparts and parts of the week once more, event by event."""
    last: dict[Any, int] = {}
    for user, ago, item, hour, _ in visits:
        last[user, ago, item] = max(hour, last.get((user, ago, item), 0))
    sums: dict[Any, int] = defaultdict(int)
    for user, ago, item, _, kind in visits:
        if 1 <= ago <= CONTEXT_DAYS:
            week = "weekend" if _ago(ago).weekday() >= 5 else "working day"
            for place in (("daypart", PARTS[last[user, ago, item] // 6]), ("week", week)):
                sums[user, *place, BROADEST[item]] += SAYS[kind]
    positive = {key: score for key, score in sums.items() if score > 0}
    totals: dict[Any, int] = defaultdict(int)
    for key, score in positive.items():
        totals[key[:3]] += score
    return {key: score / totals[key[:3]] for key, score in positive.items()}


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(VISITS)
def test_rows_of_nights_are_those_of_their_days_alone_and_no_later_day_changes_them(
    spark: SparkSession, catalogue: DataFrame, visits: list[tuple[str, int, str, int, str]]
) -> None:
    frame = events(
        spark,
        *({"user_id": user, "event_time": _at(ago, hour), "item_id": item, "event_type": kind}
          for user, ago, item, hour, kind in visits),
    )  # fmt: skip
    tiles, days = user_item_day(frame).cache(), user_day(frame).cache()
    told = _told(tiles, days, catalogue)
    shares = {
        (row.user_id, row.context, row.situation, row.key): row.share
        for row in told.collect()
        if row.context in ("daypart", "week")
    }
    assert shares == pytest.approx(_expected(visits))
    # Three nights write whom they touched.
    rows, before = [], _ago(50)
    for night in (_ago(15), _ago(4), AS_OF):
        when = F.col("event_date")
        touched = tiles.filter((when >= F.lit(before)) & (when < F.lit(night))).select("user_id").distinct()
        own = (part.filter(when < F.lit(night)).join(touched, "user_id", "left_semi") for part in (tiles, days))
        rows.append(_told(*own, catalogue, night))
        before = night
    nights = standing(rows[0].unionByName(rows[1]).unionByName(rows[2]), AS_OF).localCheckpoint()
    assert nights.filter(F.col("as_of") <= F.date_sub(F.lit(AS_OF), CONTEXT_DAYS)).isEmpty()
    latest = {row.user_id: row.as_of for row in nights.collect()}
    for user, night in latest.items():
        mine = F.col("user_id") == user
        past = (part.filter(mine & within(night)) for part in (tiles, days))
        assert_same_rows(nights.filter(mine), _told(*past, catalogue, night))
