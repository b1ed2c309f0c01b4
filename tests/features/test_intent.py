"""Intent: carts, looks and searches by hand, odd people and texts, the definition over random days, nothing later."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.rules import Rule, failed
from expectations.suites import SUITES
from features.intent import ITEMS_KEPT, OPEN_DAYS, TERM_LENGTH, TERMS_KEPT, intent, open_items, searches
from features.tiles import user_item_day
from lake.delta import conform
from lake.tables import INTENT
from tests.features.silver import at, by, events, items, user_item_days
from tests.frames import assert_same_rows

AS_OF = date(2026, 3, 31)
LOOKED = ("views", "clicks", "adds_to_cart", "removes_from_cart", "purchases", "returns", "hides", "dislikes")


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def _at(days: int, hour: int = 12) -> datetime:
    return at(_ago(days).isoformat(), hour)


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return items(
        spark,
        {"item_id": "tea", "price": 4.5},
        {"item_id": "pan", "price": 30.0},
        {"item_id": "gift", "price": float("nan")},
        {"item_id": "secret", "price": 9.0, "sensitive": True},
    ).cache()


def _open(spark: SparkSession, *rows: tuple[str, int, dict[str, int]]) -> dict[Any, tuple[Any, ...]]:
    tiles = user_item_days(spark, *({"item_id": item, "event_date": _ago(ago)} | said for item, ago, said in rows))
    found = by(open_items(tiles, AS_OF), "item_id")
    return {item: (row["cart_idle"], row["looks"], row["look_idle"]) for item, row in found.items()}


def test_what_is_in_the_cart_and_what_was_looked_at_by_hand(spark: SparkSession) -> None:
    put, taken, bought = {"adds_to_cart": 1}, {"removes_from_cart": 1}, {"purchases": 1}
    found = _open(
        spark,
        ("left", 9, put | {"views": 2}), ("left", 4, {"views": 1, "clicks": 3}),
        ("put again", 9, put), ("put again", 7, taken), ("put again", 2, put),
        ("taken out", 9, put), ("taken out", 7, taken | {"views": 1}),
        ("one of two", 5, {"adds_to_cart": 2} | taken), ("out the same day", 5, put | taken),
        ("bought", 9, put | {"views": 5}), ("bought", 5, bought),
        ("bought that day", 5, put | bought | {"views": 1}),
        ("bought, then again", 9, bought), ("bought, then again", 8, put),
        ("sent back", 9, put), ("sent back", 3, {"returns": 1}),
        ("hidden", 9, {"views": 4}), ("hidden", 8, {"hides": 1}), ("disliked", 8, put | {"dislikes": 1}),
        ("only shown", 1, {"impressions": 9}), ("yesterday", 1, {"views": 1}),
        ("just in", OPEN_DAYS, put), ("too long ago", OPEN_DAYS + 1, put), ("today", 0, put | {"views": 3}),
    )  # fmt: skip
    assert found == {
        "left": (9, 5, 4), "put again": (2, 0, None), "taken out": (None, 1, 7), "one of two": (5, 0, None),
        "bought, then again": (8, 0, None), "sent back": (9, 0, None), "yesterday": (None, 1, 1),
        "just in": (OPEN_DAYS, 0, None),
    }  # fmt: skip


def test_intent_by_hand(spark: SparkSession, catalogue: DataFrame) -> None:
    frame = events(
        spark,
        {"item_id": "tea", "event_time": _at(3), "event_type": "add_to_cart"},
        {"item_id": "tea", "event_time": _at(2), "event_type": "view"},
        {"item_id": "gift", "event_time": _at(8), "event_type": "add_to_cart"},
        *({"item_id": "pan", "event_time": _at(5, hour), "event_type": "view"} for hour in (9, 10)),
        *({"item_id": "secret", "event_time": _at(1, hour), "event_type": "add_to_cart"} for hour in (9, 10)),
        {"item_id": None, "event_time": _at(6), "event_type": "search", "query": "Green Tea"},
        {"item_id": None, "event_time": _at(2, 9), "event_type": "search", "query": "pan"},
        {"item_id": None, "event_time": _at(2, 10), "event_type": "search", "query": "green tea"},
        {"item_id": None, "event_time": _at(0, 1), "event_type": "search", "query": "of today"},
        {"item_id": None, "event_time": _at(8), "event_type": "search", "query": "of last week"},
        {"user_id": "ben", "item_id": "secret", "event_time": _at(1), "event_type": "add_to_cart"},
        {"user_id": "cleo", "item_id": None, "event_time": _at(7), "event_type": "search", "query": None},
    )
    meant = conform(intent(open_items(user_item_day(frame), AS_OF), searches(frame, AS_OF), catalogue, AS_OF), INTENT)
    found = by(meant, "user_id")
    assert set(found) == {"anna", "cleo"}, "a sensitive item leaves no trace"
    anna = found["anna"]
    assert anna["as_of"] == AS_OF
    assert (anna["cart_items"], anna["cart_value"], anna["cart_newest"], anna["cart_oldest"]) == (2, 4.5, 3, 8)
    assert (anna["viewed_items"], anna["last_viewed"]) == (1, 5)
    assert (anna["searches"], anna["search_idle"], anna["terms"]) == (3, 2, ["green tea", "pan"])
    assert [tuple(item.values()) for item in anna["items"]] == [
        ("tea", 3, 1, 2, 4.5), ("pan", None, 2, 5, 30.0), ("gift", 8, 0, None, None),
    ]  # fmt: skip
    cleo = found["cleo"]
    assert (cleo["searches"], cleo["terms"], cleo["cart_items"], cleo["items"]) == (1, [], 0, None)
    rules = [promise for promise in SUITES[INTENT.name].promises if isinstance(promise, Rule)]
    broken = SUITES[INTENT.name].derive(meant).select(F.explode(failed(rules)))
    assert broken.collect() == []


def test_texts_of_any_script_are_kept_as_they_are_told_apart(spark: SparkSession) -> None:
    said = {
        "ΚΑΦΈΣ": ["καφές"], "緑茶": ["緑茶"], "شاي أخضر": ["شاي أخضر"], "ÉCLAIR 🍰": ["éclair 🍰"], "ЧАЙ": ["чай"],
        "   ": [], "x" * 300: ["x" * TERM_LENGTH], "anna@example.org": [], "+49 170 1234567": [],
        "lego 75192": ["lego 75192"],
    }  # fmt: skip
    rows = [{"user_id": text, "event_time": _at(1), "event_type": "search", "query": text} for text in said]
    many = [
        {
            "user_id": "many",
            "event_time": _at(1) + timedelta(seconds=place),
            "event_type": "search",
            "query": f"t{place}",
        }
        for place in range(TERMS_KEPT + 5)
    ]
    bot = {"user_id": "bot", "event_time": _at(1), "event_type": "search", "query": "tea", "is_bot": True}
    found = by(searches(events(spark, *rows, *many, bot), AS_OF), "user_id")
    assert {user: row["terms"] for user, row in found.items() if user != "many"} == said
    assert all(row["searches"] == 1 for user, row in found.items() if user != "many")
    last = TERMS_KEPT + 5
    assert found["many"]["terms"] == [f"t{place}" for place in range(last - 1, last - 1 - TERMS_KEPT, -1)]


def test_odd_people_have_a_stated_outcome(spark: SparkSession, catalogue: DataFrame) -> None:
    instant = _at(1)
    frame = events(
        spark,
        {"user_id": "one view", "event_time": instant, "event_type": "view"},
        {"user_id": "ten years of silence", "event_time": at("2016-03-01"), "event_type": "add_to_cart"},
        *({"user_id": "one second", "event_time": instant, "event_type": kind} for kind in ("add_to_cart", "purchase")),
        *(
            {"user_id": "everything", "item_id": f"i{place:03d}", "event_time": instant, "event_type": "add_to_cart"}
            for place in range(ITEMS_KEPT + 9)
        ),
    )
    found = by(intent(open_items(user_item_day(frame), AS_OF), searches(frame, AS_OF), catalogue, AS_OF), "user_id")
    assert set(found) == {"everything"}
    row = found["everything"]
    assert (row["cart_items"], row["cart_value"], len(row["items"])) == (ITEMS_KEPT + 9, None, ITEMS_KEPT)


DAYS = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(-2, 40)),
    st.dictionaries(st.sampled_from(LOOKED), st.integers(1, 2), min_size=1, max_size=3),
    min_size=8, max_size=20,
)  # fmt: skip


def _expected(history: dict[tuple[str, str, int], dict[str, int]]) -> dict[Any, tuple[Any, ...]]:
    """The rules once more, a day after the other."""
    found: dict[Any, tuple[Any, ...]] = {}
    for user, item, ago in sorted(history, key=lambda key: -key[2]):
        said = history[user, item, ago]
        if not 1 <= ago <= OPEN_DAYS:
            continue
        cart, looks, looked = found.get((user, item), (None, 0, None))
        if any(said.get(name) for name in ("purchases", "hides", "dislikes")):
            found[user, item] = (None, 0, None)
            continue
        put, taken = said.get("adds_to_cart", 0), said.get("removes_from_cart", 0)
        if put or taken:
            cart = ago if put > taken else None
        seen = max(said.get("views", 0), said.get("clicks", 0))
        found[user, item] = (cart, looks + seen, ago if seen else looked)
    return {key: row for key, row in found.items() if row[0] is not None or row[1]}


@examples(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(DAYS)
def test_the_cart_is_what_the_days_in_their_order_say_and_no_later_day_changes_it(
    spark: SparkSession, history: dict[tuple[str, str, int], dict[str, int]]
) -> None:
    rows = [
        {"user_id": user, "item_id": item, "event_date": _ago(ago)} | said
        for (user, item, ago), said in history.items()
    ]
    tiles = user_item_days(spark, *rows)
    found = open_items(tiles, AS_OF)
    told = {(row.user_id, row.item_id): (row.cart_idle, row.looks, row.look_idle) for row in found.collect()}
    assert told == _expected(history)
    assert_same_rows(found, open_items(tiles.filter(F.col("event_date") < F.lit(AS_OF)), AS_OF))
