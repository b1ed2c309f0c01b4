"""Training sets: each label with what was known before its day, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import affinity
from features.engagement import engagement
from features.facts import facts, users
from features.rfm import unscored
from features.training_sets import training_set
from tests.features.silver import items, user_days, user_item_days
from tests.frames import assert_same_rows

FIRST = date(2026, 2, 1)


def day(number: int) -> date:
    """The day of a number, from 0."""
    return FIRST + timedelta(days=number)


def labels(spark: SparkSession, *asked: tuple[str, int, int]) -> DataFrame:
    """Labels of (user, day, hour), numbered."""
    rows = [
        (user, datetime.combine(day(number), datetime.min.time(), UTC) + timedelta(hours=hour), place)
        for place, (user, number, hour) in enumerate(asked)
    ]
    return spark.createDataFrame(rows, "user_id string, instant timestamp, label int")


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return items(
        spark,
        {"item_id": "tea", "category": ["drinks", "hot"], "brand": "Ahn", "price": 1.0},
        {"item_id": "pan", "category": ["kitchen"], "brand": "Bo", "price": 30.0},
    ).cache()


def _tiles(spark: SparkSession, history: dict[tuple[str, int], int]) -> tuple[DataFrame, DataFrame]:
    """A user's day has so many purchases of tea at 10 each; on even days as many views of a pan too."""
    bought = [
        {"user_id": user, "event_date": day(number), "purchases": count} for (user, number), count in history.items()
    ]
    seen: list[dict[str, Any]] = [
        {"user_id": user, "event_date": day(number), "item_id": "pan", "views": count}
        for (user, number), count in history.items()
        if number % 2 == 0
    ]
    days = [
        {"user_id": user, "event_date": day(number), "events": 2 * count, "orders": count, "amount": 10.0 * count,
         "dayparts": {"night": 2.0 * count}}
        for (user, number), count in history.items()
    ]  # fmt: skip
    return user_item_days(spark, *bought, *seen), user_days(spark, *days)


def test_a_label_knows_what_its_user_did_before_its_day_and_nothing_else(
    spark: SparkSession, catalogue: DataFrame
) -> None:
    tiles, days = _tiles(spark, {("anna", 0): 1, ("anna", 3): 2, ("anna", 4): 4, ("ben", 1): 1})
    asked = labels(spark, ("anna", 4, 23), ("anna", 5, 0), ("anna", 0, 12), ("anna", 4, 1), ("nobody", 9, 0))
    found = training_set(asked, tiles, days, catalogue)
    rows = {row.label: row for row in found.labels.collect()}
    assert set(rows) == set(range(5)), "every label stays, once"
    told = {
        label: (row.as_of, row.active_days, row.recency, row.frequency, row.monetary) for label, row in rows.items()
    }
    assert told == {
        0: (day(4), 2, 1, 3, 30.0), 1: (day(5), 3, 1, 7, 70.0), 2: (day(0), None, None, None, None),
        3: (day(4), 2, 1, 3, 30.0), 4: (day(9), None, None, None, None),
    }  # fmt: skip
    brands = found.affinities.where("dimension = 'brand' AND key = 'Ahn'").collect()
    assert {(row.user_id, row.as_of): row.evidence for row in brands} == {("anna", day(4)): 3, ("anna", day(5)): 7}


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=st.dictionaries(
        st.tuples(st.sampled_from(["anna", "ben"]), st.integers(0, 150)), st.integers(1, 3), min_size=2, max_size=9
    ),
    instants=st.lists(st.integers(0, 160), min_size=2, max_size=2, unique=True),
)
def test_a_label_has_the_numbers_that_the_night_before_it_would_have_written(
    spark: SparkSession, catalogue: DataFrame, history: dict[tuple[str, int], int], instants: list[int]
) -> None:
    """The nights know nothing of days at or after their own: neither do the labels."""
    tiles, days = _tiles(spark, history)
    asked = labels(spark, *((user, number, 6) for user in ("anna", "ben") for number in instants))
    # A half-life of ten days has an anchor every 120: the instants are of several.
    found = training_set(asked, tiles, days, catalogue, half_life_days=10.0)

    def nights(made: Any) -> DataFrame:
        return reduce(DataFrame.unionByName, (made(day(number)) for number in instants))

    def known(as_of: date) -> DataFrame:
        return users(facts(days.where(F.col("event_date") < F.lit(as_of))))

    active = nights(lambda as_of: engagement(known(as_of), as_of)).drop("user_bucket")
    bought = nights(lambda as_of: unscored(known(as_of), as_of)).drop("user_bucket")
    numbers = found.labels.where("age IS NOT NULL").localCheckpoint()
    assert_same_rows(numbers.select(*active.columns), active)
    assert_same_rows(numbers.where("recency IS NOT NULL").select(*bought.columns), bought)
    leanings = nights(lambda as_of: affinity(tiles, days, catalogue, as_of, 10.0)).drop("user_bucket", "lift")
    assert_same_rows(found.affinities, leanings)


def test_labels_that_cannot_be_joined_are_refused_by_name(spark: SparkSession, catalogue: DataFrame) -> None:
    tiles, days = _tiles(spark, {("anna", 0): 1})
    asked = labels(spark, ("anna", 4, 23))
    with pytest.raises(ValueError, match=r"they need \['instant'\] as well"):
        training_set(asked.drop("instant"), tiles, days, catalogue)
    with pytest.raises(ValueError, match=r"\['depth'\], which are names of features"):
        training_set(asked.withColumn("depth", F.lit(1)), tiles, days, catalogue)
    with pytest.raises(ValueError, match="there is no label"):
        training_set(asked.limit(0), tiles, days, catalogue)
