"""Lift over the population: by hand, and the same population from users and from tiles."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from features.affinity import affinity, anchor_of, item_keys, leanings, population
from features.item_history import only
from features.lift import PRIOR_EVENTS, of_users
from features.tiles import user_day, user_item_day
from tests.features.histories import DAYS, HISTORIES, Line, day, known
from tests.features.silver import by, events, items, user_days, user_item_days
from tests.frames import assert_same_rows

AS_OF = date(2026, 3, 1)
CATALOGUE = (
    {"item_id": "tea", "category": ["drinks", "hot", "leaf"], "brand": "Ahn", "price": 1.0},
    {"item_id": "pan", "category": ["kitchen"], "brand": "Bo", "price": 30.0},
    {"item_id": "knife", "category": ["kitchen", "knives"], "brand": "Bo", "price": 40.0},
)


def test_a_lift_is_drawn_to_one_by_ten_events_and_little_evidence_says_little(spark: SparkSession) -> None:
    yesterday = date(2026, 2, 28)
    tiles = user_item_days(
        spark,
        {"event_date": yesterday, "user_id": "one", "item_id": "tea", "views": 1},
        {"event_date": yesterday, "user_id": "many", "item_id": "tea", "views": 90},
        {"event_date": yesterday, "user_id": "others", "item_id": "pan", "views": 273},
    )
    days = user_days(spark, {"event_date": yesterday, "events": 1})
    rows = by(affinity(tiles, days, items(spark, *CATALOGUE), AS_OF), "user_id", "dimension", "key")
    people = 91 / 364
    assert rows["one", "brand", "Ahn"]["lift"] == pytest.approx((1 + PRIOR_EVENTS * people) / 11 / people)
    assert rows["many", "brand", "Ahn"]["lift"] == pytest.approx((90 + PRIOR_EVENTS * people) / 100 / people)
    deep = ("category_3", "drinks > hot > leaf")
    assert rows["many", *deep]["lift"] == 1.0, "whoever has that level at all has no other key of it"
    assert rows["others", "category", "kitchen"]["lift"] == pytest.approx((273 + 7.5) / 283 / 0.75)
    assert all(row["lift"] is None for (_, dimension, _), row in rows.items() if dimension == "weekday")


def test_of_what_people_turn_away_from_there_is_no_lift(spark: SparkSession) -> None:
    tiles = user_item_days(
        spark,
        {"event_date": date(2026, 2, 1), "user_id": "fond", "views": 3},
        {"event_date": date(2026, 2, 1), "user_id": "weary", "hides": 1},
        {"event_date": date(2026, 2, 1), "user_id": "fond", "item_id": "pan", "views": 1},
    )
    days = user_days(spark, {"event_date": date(2026, 2, 1)})
    rows = by(affinity(tiles, days, items(spark, *CATALOGUE), AS_OF), "user_id", "dimension", "key")
    assert rows["fond", "brand", "Ahn"]["lift"] is None and rows["fond", "brand", "Ahn"]["share"] == 0.75
    # Bo alone is left of the brands.
    assert rows["fond", "brand", "Bo"]["lift"] == pytest.approx((4 * 0.25 + PRIOR_EVENTS) / 14)


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=HISTORIES)
def test_the_population_is_the_same_from_its_users_and_from_tiles(spark: SparkSession, history: list[Line]) -> None:
    """And what happens later changes nobody's lift."""
    happened = events(spark, *known(history, DAYS + 3))
    tiles, days = user_item_day(happened).persist(), user_day(happened).persist()
    catalogue = items(spark, *CATALOGUE)
    keys, end = only(item_keys(catalogue)).persist(), day(3)
    anchor, before = anchor_of(end), F.col("event_date") < F.lit(end)
    users = leanings(tiles.filter(before), days.filter(before), keys, anchor)
    assert_same_rows(of_users(users), population(tiles.filter(before), keys, anchor))
    assert_same_rows(
        affinity(tiles, days, catalogue, end), affinity(tiles.filter(before), days.filter(before), catalogue, end)
    )
