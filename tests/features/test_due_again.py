"""Due again: cycles and dates by hand, who is not told, odd people, nothing later, the same by the night."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import item_keys
from features.due_again import (
    CYCLE_DAYS,
    KEYS_KEPT,
    LEAST_RETURNING,
    PRIOR_GAPS,
    PRIOR_OWN_GAPS,
    bought,
    cycles,
    due_again,
    standing,
)
from features.item_history import only
from lake.delta import conform
from lake.tables import CYCLES, DUE_AGAIN
from tests.features.silver import by, items, user_item_days
from tests.frames import assert_same_rows

AS_OF = date(2026, 3, 31)


def _ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return items(
        spark,
        {"item_id": "tea", "category": ["drinks"], "price": 1.0},
        {"item_id": "milk", "category": ["drinks"], "price": 1.0},
        {"item_id": "kettle", "price": 30.0},
        {"item_id": "secret", "category": ["drinks"], "sensitive": True},
        {"item_id": "deep", "category": [f"L{number}" for number in range(1, 13)]},
    ).cache()


def _tiles(spark: SparkSession, *days: tuple[str, str, int]) -> DataFrame:
    """A purchase of (user, item) so many days ago."""
    rows = [{"user_id": user, "item_id": item, "event_date": _ago(ago), "purchases": 2} for user, item, ago in days]
    return user_item_days(spark, *rows)


def _known(tiles: DataFrame, catalogue: DataFrame, as_of: date = AS_OF) -> DataFrame:
    return bought(tiles, only(item_keys(catalogue)), catalogue, as_of)


def _due(tiles: DataFrame, catalogue: DataFrame) -> dict[Any, dict[str, Any]]:
    known = _known(tiles, catalogue).localCheckpoint()
    rows = conform(due_again(known, conform(cycles(known, AS_OF), CYCLES), AS_OF), DUE_AGAIN)
    return by(rows, "user_id", "dimension", "key")


def test_cycles_and_dates_by_hand(spark: SparkSession, catalogue: DataFrame) -> None:
    tiles = _tiles(
        spark,
        ("anna", "tea", 50), ("anna", "tea", 40), ("anna", "tea", 20), ("anna", "milk", 20), ("anna", "milk", 8),
        ("ben", "tea", 70), ("ben", "tea", 10), ("cleo", "kettle", 9), ("cleo", "secret", 9), ("cleo", "secret", 4),
        ("dora", "tea", 1), ("dora", "tea", 0),
    )  # fmt: skip
    usual = {key: row["cycle"] for key, row in by(cycles(_known(tiles, catalogue), AS_OF), "dimension", "key").items()}
    # Tea: 30 days in two gaps and 60 in one; milk: 12 in one; all items: 102 in four.
    tea, milk = (90 + PRIOR_GAPS * 102 / 4) / (3 + PRIOR_GAPS), (12 + PRIOR_GAPS * 102 / 4) / (1 + PRIOR_GAPS)
    # Drinks: anna's on 50, 40, 20 and 8 days ago, 42 days in three gaps.
    drinks = (42 + 60 + PRIOR_GAPS * 102 / 4) / (4 + PRIOR_GAPS)
    assert usual == {
        ("item", "tea"): pytest.approx(tea), ("item", "milk"): pytest.approx(milk),
        ("category", "drinks"): pytest.approx(drinks),
    }  # fmt: skip
    found = _due(tiles, catalogue)
    assert set(found) == {
        ("anna", "item", "tea"), ("anna", "item", "milk"), ("anna", "category", "drinks"), ("ben", "item", "tea"),
        ("ben", "category", "drinks"),
    }  # fmt: skip
    row = found["anna", "item", "tea"]
    cycle = (30 + PRIOR_OWN_GAPS * tea) / (2 + PRIOR_OWN_GAPS)
    assert (row["days"], row["first_bought"], row["last_bought"], row["own_gap"]) == (3, _ago(50), _ago(20), 15.0)
    assert row["cycle"] == pytest.approx(cycle) and row["due"] == _ago(20) + timedelta(days=round(cycle))
    assert found["anna", "category", "drinks"]["days"] == 4


def test_who_bought_once_is_told_where_enough_people_came_back(spark: SparkSession, catalogue: DataFrame) -> None:
    back = [(f"u{n}", "tea", ago) for n in range(LEAST_RETURNING) for ago in (30, 10)]
    assert ("once", "item", "tea") in _due(_tiles(spark, *back, ("once", "tea", 3)), catalogue)
    few = [entry for entry in back if entry[0] != "u0"]
    assert ("once", "item", "tea") not in _due(_tiles(spark, *few, ("once", "tea", 3)), catalogue)
    others = [(f"v{n}", "tea", 3) for n in range(5 * LEAST_RETURNING)]
    assert ("once", "item", "tea") not in _due(_tiles(spark, *back, *others, ("once", "tea", 3)), catalogue)


def test_odd_people_have_a_stated_outcome(spark: SparkSession, catalogue: DataFrame) -> None:
    many = [("many", f"i{n:03d}", ago) for n in range(KEYS_KEPT + 3) for ago in (8, 2)]
    found = _due(
        _tiles(
            spark, ("one event", "tea", 1), ("ten years of silence", "tea", 3650),
            ("ten years of silence", "tea", 3600),
            ("a year and a day", "tea", CYCLE_DAYS + 1), ("a year and a day", "tea", 1), *many,
            ("twelve levels", "deep", 9), ("twelve levels", "deep", 2), ("in no catalogue", "gone", 9),
            ("in no catalogue", "gone", 2),
        ),
        catalogue,
    )  # fmt: skip
    assert {key for key in found if key[0] != "many"} == {
        ("twelve levels", "item", "deep"), ("twelve levels", "category", "L1 > L2"),
        ("in no catalogue", "item", "gone"),
    }  # fmt: skip
    assert sum(user == "many" for user, _, _ in found) == KEYS_KEPT


def test_a_return_makes_no_purchase_undone(spark: SparkSession, catalogue: DataFrame) -> None:
    back = {"event_date": _ago(1), "returns": 1}
    bought = [{"event_date": _ago(ago), "purchases": 1, "returns": 1} for ago in (9, 2)]
    found = _due(user_item_days(spark, *bought, back, back | {"user_id": "only returns"}), catalogue)
    told = {key: row["days"] for key, row in found.items()}
    assert told == {("anna", "item", "tea"): 2, ("anna", "category", "drinks"): 2}


PURCHASES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["tea", "milk", "kettle"]), st.integers(-5, 60)),
    min_size=4, max_size=16, unique=True,
)  # fmt: skip


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(PURCHASES)
def test_nights_that_write_whom_they_touched_leave_what_one_from_nothing_has_and_later_days_change_nothing(
    spark: SparkSession, catalogue: DataFrame, purchases: list[tuple[str, str, int]]
) -> None:
    tiles = _tiles(spark, *purchases)
    usual = conform(cycles(_known(tiles, catalogue, _ago(-6)), AS_OF), CYCLES).localCheckpoint()
    rows = []
    before = _ago(70)
    for night in (_ago(30), _ago(10), AS_OF):
        when = F.col("event_date")
        touched = tiles.filter((when >= F.lit(before)) & (when < F.lit(night))).select("user_id").distinct()
        own = _known(tiles.join(touched, "user_id", "left_semi"), catalogue, night)
        rows.append(due_again(own, usual, night))
        before = night
    nights = standing(rows[0].unionByName(rows[1]).unionByName(rows[2]), AS_OF).drop("as_of")
    past = tiles.filter(F.col("event_date") < F.lit(AS_OF))
    assert_same_rows(nights, due_again(_known(past, catalogue), usual, AS_OF).drop("as_of"))
