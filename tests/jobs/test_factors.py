"""The vectors that a night leaves for the next."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import SparkSession

from jobs.factors import keep_factors, last_factors
from jobs.job import Context
from lake import delta
from lake.settings import Settings
from lake.window import Window
from models.als import Factors

FIRST = date(2024, 1, 1)


def night(settings: Settings, number: int) -> Context:
    return Context("publish_snapshots", Window.day(FIRST + timedelta(days=number)), settings, {})


def factors(spark: SparkSession, value: float) -> Factors:
    return Factors(
        spark.createDataFrame([("u", [value, value])], "user_id string, vector array<float>"),
        spark.createDataFrame([("i", [value, value], 3)], "item_id string, vector array<float>, wanted long"),
    )


def vectors(found: Factors | None) -> tuple[list[float], list[float]] | None:
    if found is None:
        return None
    user, item = found.users.first(), found.items.first()
    assert user is not None and item is not None
    return list(user.vector), list(item.vector)


def test_a_night_starts_from_the_one_before_and_two_nights_are_kept(spark: SparkSession, settings: Settings) -> None:
    assert last_factors(night(settings, 0), 2) is None
    for number in range(3):
        keep_factors(night(settings, number), factors(spark, float(number)))
    assert vectors(last_factors(night(settings, 3), 2)) == ([2.0, 2.0], [2.0, 2.0])
    for table in ("gold.user_factors", "gold.item_factors"):
        kept = {row.as_of for row in delta.read(spark, settings, table).select("as_of").collect()}
        assert kept == {FIRST + timedelta(days=2), FIRST + timedelta(days=3)}


def test_a_night_that_runs_again_starts_where_it_started_before(spark: SparkSession, settings: Settings) -> None:
    for number in (0, 1, 1):
        assert vectors(last_factors(night(settings, number), 2)) == (None if number == 0 else ([0.0, 0.0], [0.0, 0.0]))
        keep_factors(night(settings, number), factors(spark, float(number)))


def test_vectors_of_another_rank_are_no_start(spark: SparkSession, settings: Settings) -> None:
    keep_factors(night(settings, 0), factors(spark, 1.0))
    assert last_factors(night(settings, 1), 3) is None
    assert last_factors(night(settings, 1), 2) is not None
