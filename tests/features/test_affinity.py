"""Affinities: decay, weights, keys and shares, against examples worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import DIMENSIONS, KEYS_KEPT, PRICE_BANDS, RECENT_PERIOD_DAYS, affinity
from features.item_history import EPOCH, only
from features.leanings import LEVELS
from lake.delta import conform
from lake.tables import AFFINITY
from tests.features.silver import by, items, user_days, user_item_days
from tests.frames import assert_same_rows

AS_OF = date(2026, 3, 1)

CATALOGUE: tuple[dict[str, Any], ...] = (
    {"item_id": "tea", "category": ["drinks", "hot", "leaf"], "brand": "Ahn", "price": 1.0},
    {"item_id": "milk", "category": ["drinks"], "brand": None, "price": 2.0},
    {"item_id": "pan", "category": ["kitchen", "pots"], "brand": "Ahn", "price": 30.0},
    {"item_id": "knife", "category": ["kitchen", "knives"], "brand": "Bo", "price": 40.0},
    {"item_id": "stove", "category": None, "brand": "", "price": 900.0},
    {"item_id": "unpriced", "category": [], "brand": "Bo", "price": float("nan")},
)


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return items(spark, *CATALOGUE).cache()


@pytest.fixture(scope="module")
def no_days(spark: SparkSession) -> DataFrame:
    return user_days(spark, {"event_date": _ago(-1)})


def test_a_score_halves_with_every_half_life(spark: SparkSession, catalogue: DataFrame, no_days: DataFrame) -> None:
    tiles = user_item_days(
        spark,
        {"event_date": _ago(90), "purchases": 1},
        {"event_date": _ago(180), "views": 2},
        {"event_date": _ago(90), "item_id": "milk", "views": 1},
    )
    rows = by(conform(affinity(tiles, no_days, catalogue, AS_OF, 90), AFFINITY), "dimension", "key")
    tea, milk = rows["category", "drinks > hot"], rows["category", "drinks"]
    assert (tea["score"], tea["evidence"]) == (5 / 2 + 2 / 4, 3)
    assert (milk["score"], milk["evidence"]) == (1 / 2, 1)
    assert tea["share"] == pytest.approx(3 / 3.5)
    assert rows["brand", "Ahn"]["share"] == 1.0, "an item without a brand takes no share of the brands"
    assert rows["category_1", "drinks"]["share"] == rows["category_3", "drinks > hot > leaf"]["share"] == 1.0
    assert (rows["category_1", "drinks"]["score"], rows["category_1", "drinks"]["evidence"]) == (3.5, 4)


def test_of_a_deep_path_twelve_levels_are_told_and_levels_without_a_name_are_none(
    spark: SparkSession, no_days: DataFrame
) -> None:
    names = [f"level {number}" for number in range(1, 15)]
    odd = {"item_id": "odd", "category": [None, "A", " ", "B > C", "D\u001f"], "brand": "\u001fAhn", "price": 1.0}
    wide = items(spark, {"item_id": "deep", "category": names}, odd, {"item_id": "bare"})
    tiles = user_item_days(spark, *({"item_id": item, "event_date": _ago(1), "views": 1} for item in ("deep", "bare")))
    rows = by(affinity(tiles, no_days, wide, AS_OF), "dimension")
    assert {dimension: row["key"].count(">") + 1 for dimension, row in rows.items()} == {
        dimension: level for level, dimension in enumerate(LEVELS, start=1)
    }
    assert len(LEVELS) == 12 and all(row["share"] == 1.0 for row in rows.values())
    keys = by(affinity(tiles.withColumn("item_id", F.lit("odd")), no_days, wide, AS_OF), "dimension")
    assert [keys[name]["key"] for name in LEVELS[:3]] == ["A", "A > B / C", "A > B / C > D"]
    # What stands between keys on their way to Python is no part of one.
    assert (keys["brand"]["key"], keys["price_band"]["key"]) == ("Ahn", "lowest")


def test_what_stands_between_keys_is_left_out_of_keys_that_were_noted_with_it(spark: SparkSession) -> None:
    noted = [("tea", [("path", "hot\u001f drinks"), ("price_band", "low")])]
    keys = spark.createDataFrame(noted, "item_id string, keys array<struct<dimension: string, key: string>>")
    assert only(keys).first()["said"] == "hot drinks\u001f\u001flow"  # type: ignore[index]


def test_what_is_below_a_category_adds_up_in_it_though_some_of_it_is_disliked(
    spark: SparkSession, catalogue: DataFrame, no_days: DataFrame
) -> None:
    tiles = user_item_days(
        spark,
        {"event_date": _ago(90), "item_id": "pan", "purchases": 2},
        {"event_date": _ago(90), "item_id": "knife", "hides": 1},
    )
    rows = by(affinity(tiles, no_days, catalogue, AS_OF, 90), "dimension", "key")
    assert rows["category_1", "kitchen"]["score"] == (10 - 5) / 2 and rows["category_1", "kitchen"]["evidence"] == 3
    assert ("category", "kitchen > knives") not in rows


def test_what_was_done_lately_halves_every_fortnight_and_ends_after_two_periods(
    spark: SparkSession, catalogue: DataFrame, no_days: DataFrame
) -> None:
    start = EPOCH + timedelta(days=RECENT_PERIOD_DAYS * 120)
    tiles = user_item_days(
        spark,
        {"event_date": start + timedelta(days=13), "item_id": "tea", "purchases": 1},
        {"event_date": start - timedelta(days=1), "item_id": "pan", "likes": 1},
        {"event_date": start - timedelta(days=RECENT_PERIOD_DAYS + 1), "item_id": "knife", "views": 9},
        {"event_date": start, "item_id": "milk", "likes": 2},
        {"event_date": start + timedelta(days=13), "item_id": "milk", "removes_from_cart": 1, "hides": 1},
    )
    rows = by(affinity(tiles, no_days, catalogue, start + timedelta(days=27), 1000), "dimension", "key")
    # Ages of 14, 28, 196 and, taken back, 27 days and 14 days.
    tea, pan = 5 / 2, 3 * 0.25
    milk = 6 * 2 ** (-27 / 14) - 8 / 2
    told = {key: (row["recent_score"], row["recent_share"]) for (kind, key), row in rows.items() if kind == "category"}
    assert told == {
        "drinks > hot": pytest.approx((tea, tea / (tea + pan)), rel=1e-6),
        "kitchen > pots": pytest.approx((pan, pan / (tea + pan)), rel=1e-6), "kitchen > knives": (0.0, 0.0),
    }  # fmt: skip
    assert rows["category_1", "drinks"]["recent_score"] == pytest.approx(tea + milk)
    # Nobody came since: the sums are told from the user's own last period, however long ago.
    later = by(affinity(tiles, no_days, catalogue, start + timedelta(days=27 + 140), 1000), "dimension", "key")
    assert later["category", "kitchen > pots"]["recent_score"] == pytest.approx(pan / 1024, rel=1e-4)


def test_items_are_told_apart_by_category_brand_and_quintile_of_price(
    spark: SparkSession, catalogue: DataFrame, no_days: DataFrame
) -> None:
    names = [str(row["item_id"]) for row in CATALOGUE] + ["in no catalogue"]
    tiles = user_item_days(
        spark, *({"user_id": name, "item_id": name, "event_date": _ago(1), "views": 1} for name in names)
    )
    keys = {
        (row["user_id"], row["dimension"]): row["key"] for row in affinity(tiles, no_days, catalogue, AS_OF).collect()
    }
    bands = {user: key for (user, dimension), key in keys.items() if dimension == "price_band"}
    assert bands == dict(zip(("tea", "milk", "pan", "knife", "stove"), PRICE_BANDS, strict=True))
    assert {user for user, dimension in keys if dimension == "brand"} == {"tea", "pan", "knife", "unpriced"}
    assert keys["pan", "category"] == "kitchen > pots"
    assert not any(user == "in no catalogue" for user, _ in keys)


def test_what_is_returned_or_hidden_more_than_liked_is_no_affinity(
    spark: SparkSession, catalogue: DataFrame, no_days: DataFrame
) -> None:
    tiles = user_item_days(
        spark,
        {"event_date": _ago(1), "purchases": 1, "returns": 1},
        {"event_date": _ago(1), "item_id": "knife", "likes": 2, "hides": 1},
        {"event_date": _ago(1), "item_id": "milk", "impressions": 9},
    )
    keys = by(affinity(tiles, no_days, catalogue, AS_OF), "dimension", "key")
    assert {key for dimension, key in keys if dimension == "category"} == {"kitchen > knives"}


def test_dayparts_and_devices_come_from_the_days_and_unknown_is_no_device(
    spark: SparkSession, catalogue: DataFrame
) -> None:
    days = user_days(
        spark,
        {"event_date": _ago(90), "dayparts": {"night": 2.0, "evening": 4.0}, "devices": {"web": 5.0, "unknown": 1.0}},
        {"event_date": _ago(180), "dayparts": {"night": 4.0}, "devices": {"web": 4.0}},
    )
    rows = by(affinity(user_item_days(spark, {"event_date": _ago(-1)}), days, catalogue, AS_OF), "dimension", "key")
    told = {key: (row["score"], row["evidence"]) for key, row in rows.items() if key[0] != "weekday"}
    assert told == {
        ("daypart", "night"): (2.0, 6), ("daypart", "evening"): (2.0, 4), ("device", "web"): (3.5, 9),
    }  # fmt: skip
    assert rows["daypart", "night"]["share"] == 0.5


def test_weekdays_and_places_are_those_of_the_days_and_an_unknown_place_is_none(
    spark: SparkSession, catalogue: DataFrame
) -> None:
    days = user_days(
        spark,
        {"event_date": date(2026, 2, 22), "events": 3, "country": "DE"},
        {"event_date": date(2026, 2, 23), "events": 1, "country": None},
        {"event_date": date(2025, 11, 25), "events": 4, "country": "FR"},
    )
    nothing = user_item_days(spark, {"event_date": _ago(-1)})
    rows = by(affinity(nothing, days, catalogue, date(2026, 2, 23), 90), "dimension", "key")
    assert {key: (row["score"], row["evidence"]) for key, row in rows.items()} == {
        ("weekday", "sunday"): (pytest.approx(3 * 0.5 ** (1 / 90)), 3), ("place", "DE"): (ANY, 3),
        ("weekday", "tuesday"): (2.0, 4), ("place", "FR"): (2.0, 4),
    }  # fmt: skip


def test_of_many_keys_the_best_are_kept_and_shares_count_them_all(spark: SparkSession, no_days: DataFrame) -> None:
    many = range(KEYS_KEPT + 10)
    wide = items(spark, *({"item_id": str(n), "brand": f"brand {n:03}"} for n in many))
    tiles = user_item_days(spark, *({"item_id": str(n), "event_date": _ago(1), "views": n + 1} for n in many))
    kept = by(affinity(tiles, no_days, wide, AS_OF), "key")
    assert set(kept) == {f"brand {n:03}" for n in many[10:]}
    assert kept[f"brand {many[-1]:03}"]["share"] == pytest.approx(len(many) / sum(n + 1 for n in many))


@examples(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["tea", "pan"]), st.integers(-3, 9)), min_size=1, max_size=8
    )
)
def test_days_at_or_after_as_of_change_nothing(
    spark: SparkSession, catalogue: DataFrame, history: list[tuple[str, str, int]]
) -> None:
    unique = {(user, item, days): None for user, item, days in history}
    tiles = user_item_days(
        spark,
        *({"user_id": user, "item_id": item, "event_date": _ago(days), "views": 1} for user, item, days in unique),
    )
    days = user_days(
        spark, *({"user_id": user, "event_date": _ago(ago), "devices": {"web": 1.0}} for user, _, ago in unique)
    )
    past = F.col("event_date") < F.lit(AS_OF)
    everything = affinity(tiles, days, catalogue, AS_OF)
    assert_same_rows(everything, affinity(tiles.filter(past), days.filter(past), catalogue, AS_OF))
    assert {row.dimension for row in everything.select("dimension").collect()} <= set(DIMENSIONS)
