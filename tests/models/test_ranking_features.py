"""Ranking features: hand-computed values, and nothing from the future."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.tiles import user_day, user_item_day
from models import hybrid
from models.als import AlsParameters
from models.hybrid import Parameters
from models.interactions import positives
from models.ranking_features import feature_date, item_features, pairs
from models.training import Log, fit_before, tiles_before
from tests.frames import assert_same_rows
from tests.models.data import AS_OF, purchases, shop, shop_items, tile_frame

SMALL = Parameters(als=AlsParameters(rank=4, epochs=2))


def test_pairs_know_days_ages_and_the_mean_gap(spark: SparkSession) -> None:
    tiles = tile_frame(spark, [("u", "a", 90, 2), ("u", "a", 30, 1), ("u", "a", 10, 0), ("u", "b", 1, 1)])
    found = {row.item_id: row for row in pairs(tiles, AS_OF).collect()}
    a = found["a"]
    assert (a["days"], a.times, a.bought, a.x_units, a.x_idle, a.x_age) == (2, 3, 2, 3, 30, 90)
    assert a.x_due == pytest.approx(30 / 60) and found["b"].x_due is None
    assert a.x_recent90 == pytest.approx(0.5 ** (30 / 90) + 0.5)
    assert a.last_bought == (AS_OF - timedelta(days=30)).date()


def test_item_features_count_users_and_draw_the_repeat_share_to_the_overall_one(spark: SparkSession) -> None:
    tiles = tile_frame(spark, [("u", "a", 60, 1), ("u", "a", 5, 1), ("v", "a", 20, 1), ("v", "b", 89, 1)])
    found = {row.item_id: row for row in item_features(pairs(tiles, AS_OF)).collect()}
    a, b = found["a"], found["b"]
    assert (a.i_users7, a.i_users30, a.i_users90, a.i_first30, a.i_idle, a.i_age) == (1, 2, 2, 1, 5, 60)
    assert (b.i_users7, b.i_users30, b.i_users90) == (0, 0, 1)
    assert a.i_repeat == pytest.approx((1 + 10 / 3) / (2 + 10))


def test_feature_date_covers_the_partial_day() -> None:
    assert feature_date(AS_OF) == AS_OF.date()
    assert feature_date(AS_OF + timedelta(microseconds=1)) == AS_OF.date() + timedelta(days=1)


INSTANT = AS_OF - timedelta(days=30, hours=10)


def _log(spark: SparkSession, events: DataFrame) -> Log:
    """What the jobs hand to a training: tiles of all days, later ones too."""
    return Log(events, user_item_day(events), user_day(events), shop_items(spark), positives(events))


def _later(spark: SparkSession) -> DataFrame:
    """Events at or after INSTANT, the first at the instant itself."""
    rows = [("u01", "i03", 30 + 10 / 24), ("u01", "i28", 30 + 9 / 24), ("u09", "i01", 5), ("x", "z", 1)]
    return purchases(spark, rows).withColumn("event_id", F.concat(F.lit("later"), "event_id"))


def test_tiles_before_an_instant_are_those_of_the_events_before_it(spark: SparkSession) -> None:
    events = shop(spark, users=10, weeks=12).unionByName(_later(spark))
    tiles, days = tiles_before(_log(spark, events), INSTANT)
    past = events.where(F.col("event_time") < F.lit(INSTANT))
    assert_same_rows(tiles, user_item_day(past))
    # Maps cannot be compared as they are.
    assert_same_rows(days.drop("dayparts", "devices"), user_day(past).drop("dayparts", "devices"))


def test_events_at_or_after_the_instant_change_no_feature(spark: SparkSession, tmp_path: Path) -> None:
    events = shop(spark, users=10, weeks=12).where(F.col("event_time") < F.lit(INSTANT))
    users = spark.createDataFrame([("u01",), ("u02",), ("u03",)], "user_id string")

    def features(log: Log, folder: str) -> DataFrame:
        fitted = fit_before(log, INSTANT, SMALL, str(tmp_path / folder), lambda message: None)
        return hybrid.candidate_features(fitted, users, SMALL)

    later = _log(spark, events.unionByName(_later(spark)))
    assert_same_rows(features(later, "later"), features(_log(spark, events), "past"))
