"""People and items that are not as they should be: what comes of them in RFM, its windows, affinities and lifts. The
other families have theirs in their own tests; all outcomes are in docs/features.md.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from features.affinity import affinity
from features.facts import facts, users
from features.rfm import rfm
from features.rfm_windows import windowed
from features.tiles import user_day, user_item_day
from tests.features.silver import at, by, events, items

AS_OF = date(2026, 3, 1)
INSTANT = at("2026-02-28", 23)
# Half an hour after midnight at the date line's far side; in UTC it is the morning of the day before.
FAR_AWAY = datetime(2026, 2, 28, 0, 30, tzinfo=timezone(timedelta(hours=14)))


@pytest.fixture(scope="module")
def log(spark: SparkSession) -> DataFrame:
    back = {"event_type": "return", "returned_event_id": "some purchase"}
    return events(
        spark,
        {"user_id": "one event", "event_time": INSTANT},
        {"user_id": "one look", "event_time": INSTANT, "event_type": "view"},
        *({"user_id": "one second", "event_time": INSTANT, "order_id": "o"} for _ in range(9)),
        *({"user_id": "ten years of silence", "event_time": at("2016-03-01")} for _ in range(9)),
        {"user_id": "negative value", "event_time": INSTANT, "amount": 5.0},
        {"user_id": "negative value", "event_time": INSTANT, "amount": 90.0} | back,
        {"user_id": "only returns", "event_time": INSTANT} | back,
        {"user_id": "no category, no price", "event_time": INSTANT, "item_id": "plain"},
        {"user_id": "twelve levels", "event_time": INSTANT, "item_id": "deep"},
        {"user_id": "far away", "event_time": FAR_AWAY, "event_date": FAR_AWAY.astimezone(UTC).date()},
    ).cache()


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return items(
        spark,
        {"item_id": "tea", "category": ["drinks", "hot"], "brand": "Ahn", "price": 2.0},
        {"item_id": "plain"},
        {"item_id": "deep", "category": [f"L{number}" for number in range(1, 13)]},
    )


def test_rfm_of_odd_people(log: DataFrame) -> None:
    days = user_day(log)
    told = {
        user: (row["recency"], row["frequency"], row["monetary"])
        for user, row in by(rfm(days, AS_OF), "user_id").items()
    }
    lately = {user: told[user] for user in told if user != "ten years of silence"}
    assert told == {
        "one event": (1, 1, 10.0), "one second": (1, 1, 90.0), "ten years of silence": (3652, 1, 90.0),
        "negative value": (1, 1, 0.0), "no category, no price": (1, 1, 10.0), "twelve levels": (1, 1, 10.0),
        "far away": (2, 1, 10.0),
    }  # fmt: skip
    windows = by(windowed(users(facts(days)), AS_OF, (365,)), "user_id")
    assert {user: (row["recency"], row["frequency"], row["monetary"]) for user, row in windows.items()} == lately


def test_affinities_of_odd_people(log: DataFrame, catalogue: DataFrame) -> None:
    found = affinity(user_item_day(log), user_day(log), catalogue, AS_OF)
    rows: dict[str, dict[tuple[str, str], Any]] = {}
    for (user, *key), row in by(found, "user_id", "dimension", "key").items():
        rows.setdefault(user, {})[tuple(key)] = row
    when = {("daypart", "evening"), ("weekday", "saturday"), ("device", "web")}
    tea = {("category_1", "drinks"), ("category", "drinks > hot"), ("brand", "Ahn"), ("price_band", "lowest")}
    path = [f"L{number}" for number in range(1, 13)]
    deep = {(f"category_{n}" if n != 2 else "category", " > ".join(path[:n])) for n in range(1, 13)}
    assert {user: set(keys) for user, keys in rows.items()} == {
        "one event": when | tea, "one look": when | tea, "one second": when | tea,
        # What was bought goes with what came back; the days stay. Ten years fade to nothing.
        "negative value": when, "only returns": when, "no category, no price": when, "twelve levels": when | deep,
        "far away": {("daypart", "morning"), ("weekday", "friday"), ("device", "web")} | tea,
    }  # fmt: skip
    once, often = rows["one look"]["brand", "Ahn"], rows["one second"]["brand", "Ahn"]
    assert (once["share"], once["lift"], once["evidence"]) == (1.0, pytest.approx(1.0), 1)
    assert (often["share"], often["evidence"], often["score"] / once["score"]) == (1.0, 9, pytest.approx(45))
