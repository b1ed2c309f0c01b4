"""Ranking features: hand-computed values, and nothing from the future."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.due_again import PRIOR_GAPS, PRIOR_OWN_GAPS
from features.facts import facts as facts_of
from features.facts import users as users_of
from features.intent import open_items
from features.tiles import user_day, user_item_day
from lake.tables import AFFINITY, ENGAGEMENT, RFM, VALUE
from models import hybrid
from models.als import AlsParameters
from models.fitting import Log, fit_before, tiles_before, worth_at
from models.hybrid import Parameters
from models.interactions import positives
from models.popularity import popularity
from models.ranking_features import (
    Facts,
    feature_date,
    item_features,
    pairs,
    ranking_features,
)  # fmt: skip
from models.repurchase import repurchase, usual_gaps
from tests.features.silver import items as silver_items
from tests.features.silver import user_item_days
from tests.frames import assert_same_rows
from tests.models.data import AS_OF, purchases, shop, shop_items, table_frame, tile_frame

SMALL = Parameters(als=AlsParameters(rank=4, epochs=2))


def test_pairs_know_days_ages_and_the_mean_gap(spark: SparkSession) -> None:
    tiles = tile_frame(spark, [("u", "a", 90, 2), ("u", "a", 30, 1), ("u", "a", 10, 0), ("u", "b", 1, 1)])
    found = {row.item_id: row for row in pairs(tiles, AS_OF).collect()}
    a = found["a"]
    assert (a["days"], a.times, a.bought, a.x_units, a.x_idle, a.x_age) == (2, 3, 2, 3, 30, 90)
    assert a.x_due == pytest.approx(30 / 60) and found["b"].x_due is None
    assert a.x_recent90 == pytest.approx(0.5 ** (30 / 90) + 0.5)
    assert a.first_bought == (AS_OF - timedelta(days=90)).date()
    assert a.last_bought == (AS_OF - timedelta(days=30)).date()


def test_pairs_know_a_persons_trips_and_not_only_days(spark: SparkSession) -> None:
    rows = [
        ("u", "a", 90, 2),
        ("u", "a", 30, 1),
        ("u", "a", 10, 0),
        ("u", "b", 1, 1),
        ("u", "c", 30, 1),
        ("v", "a", 9, 1),
    ]
    found = {(row.user_id, row.item_id): row for row in pairs(tile_frame(spark, rows), AS_OF).collect()}
    # The trips of u, latest first: 1, 30 and 90 days ago; ten days ago they looked, no more.
    a, b = found["u", "a"], found["u", "b"]
    assert (a.x_trips_since, b.x_trips_since, found["u", "c"].x_trips_since) == (1, 0, 1)
    assert (a.x_trip_rate, b.x_trip_rate) == (pytest.approx(2 / 3), 1)
    assert (a.x_trips90, b.x_trips97) == (pytest.approx(0.9 + 0.81), 1)
    assert found["v", "a"].x_trips_since == 0


def test_item_features_count_users_and_draw_the_repeat_share_to_the_overall_one(spark: SparkSession) -> None:
    tiles = tile_frame(spark, [("u", "a", 60, 1), ("u", "a", 5, 1), ("v", "a", 20, 1), ("v", "b", 89, 1)])
    found = {row.item_id: row for row in item_features(pairs(tiles, AS_OF)).collect()}
    a, b = found["a"], found["b"]
    assert (a.i_users7, a.i_users30, a.i_users90, a.i_first30, a.i_idle, a.i_age) == (1, 2, 2, 1, 5, 60)
    assert (b.i_users7, b.i_users30, b.i_users90) == (0, 0, 1)
    assert a.i_repeat == pytest.approx((1 + 10 / 3) / (2 + 10))
    # One gap of 55 days, in all items as in this one.
    assert a.i_gap == b.i_gap == pytest.approx(55)
    assert a.i_trend7 == pytest.approx(math.log(2 * (30 / 7) / (2 + 30 / 7)))
    assert b.i_trend30 == pytest.approx(math.log(3 / 4))


def test_due_again_counts_in_the_persons_cycle_drawn_to_the_items(spark: SparkSession) -> None:
    # u wants a every 10 days, others every 40.
    others = [(f"v{n}", "a", days, 1) for n in range(5) for days in (45, 5)]
    wanted = pairs(tile_frame(spark, [("u", "a", 25, 1), ("u", "a", 15, 1), ("u", "b", 5, 1), *others]), AS_OF)
    facts = Facts(wanted, table_frame(spark, RFM, []), table_frame(spark, AFFINITY, []), shop_items(spark), AS_OF)
    own = repurchase(wanted, popularity(wanted), usual_gaps(wanted))
    asked = own.select("user_id", "item_id", F.lit(True).alias("seen"))
    found = {(row.user_id, row.item_id): row for row in ranking_features(asked, own, facts, ()).collect()}
    gap = (5 * 40 + 10 + PRIOR_GAPS * 35) / (6 + PRIOR_GAPS)
    row = found["u", "a"]
    assert row.i_gap == pytest.approx(gap) and row.x_since == 10 and found["u", "b"].x_since == 0
    assert row.x_due_again == pytest.approx(15 / ((10 + PRIOR_OWN_GAPS * gap) / (1 + PRIOR_OWN_GAPS)))
    assert row.x_due_again > found["v0", "a"].x_due_again


def test_leanings_are_looked_up_by_the_items_keys_at_the_deepest_level_too(spark: SparkSession) -> None:
    wanted = pairs(tile_frame(spark, [("u", "a", 5, 1), ("u", "b", 5, 1), ("new", "a", 5, 1)]), AS_OF)
    items = silver_items(
        spark,
        {"item_id": "a", "category": ["X", "Y", "Z"], "brand": "Ahn"},
        {"item_id": "b", "category": ["X"], "brand": "Bo"},
        {"item_id": "c", "brand": ""},
    )
    known = (
        ("category_1", "X", 0.9, 1.5), ("category", "X > Y", 0.6, 3.0), ("category", "X", 0.1, None),
        ("category_3", "X > Y > Z", 0.5, 2.0), ("brand", "Ahn", 1.0, 4.0), ("weekday", "monday", 1.0, None),
    )  # fmt: skip
    rows = [
        {"user_id": "u", "dimension": d, "key": k, "share": s, "lift": n, "recent_share": s / 2} for d, k, s, n in known
    ]
    facts = Facts(wanted, table_frame(spark, RFM, []), table_frame(spark, AFFINITY, rows), items, AS_OF)
    own = repurchase(wanted, popularity(wanted), usual_gaps(wanted))
    asked = spark.createDataFrame([("u", "a"), ("u", "b"), ("u", "c"), ("new", "a")], "user_id string, item_id string")
    features = ranking_features(asked.withColumn("seen", F.lit(True)), own, facts, ())
    found = {(row.user_id, row.item_id): row for row in features.collect()}
    told = {
        key: (
            row.b_category,
            row.b_category_deep,
            row.b_category_lift,
            row.b_brand,
            row.b_brand_lift,
            row.b_brand_recent,
        )
        for key, row in found.items()
    }
    assert told["u", "a"] == pytest.approx((0.6, 0.5, 3.0, 1.0, 4.0, 0.5))
    assert told["u", "b"] == (pytest.approx(0.1), pytest.approx(0.9), None, 0.0, 0.0, 0.0)
    assert told["u", "c"] == told["new", "a"] == (None,) * 6


def test_what_is_in_the_cart_and_was_looked_at_is_known_of_a_candidate(spark: SparkSession) -> None:
    wanted = pairs(tile_frame(spark, [("u", "a", 20, 1), ("v", "b", 9, 1)]), AS_OF)
    days = {name: (AS_OF - timedelta(days=ago)).date() for name, ago in (("put", 3), ("seen", 2))}
    tiles = user_item_days(
        spark,
        {"user_id": "u", "item_id": "b", "event_date": days["put"], "adds_to_cart": 1, "views": 1},
        {"user_id": "u", "item_id": "b", "event_date": days["seen"], "views": 2},
        {"user_id": "u", "item_id": "c", "event_date": days["put"], "adds_to_cart": 1},
    )
    facts = Facts(
        wanted, table_frame(spark, RFM, []), table_frame(spark, AFFINITY, []), shop_items(spark), AS_OF,
        open_items(tiles, AS_OF.date()),
    )  # fmt: skip
    own = repurchase(wanted, popularity(wanted), usual_gaps(wanted))
    asked = own.select("user_id", "item_id", F.lit(True).alias("seen"))
    asked = asked.unionByName(asked.where("user_id = 'u'").withColumn("item_id", F.lit("b")))
    found = {(row.user_id, row.item_id): row for row in ranking_features(asked, own, facts, ()).collect()}
    told = {key: (row.x_cart_idle, row.x_looks, row.x_look_idle, row.u_cart) for key, row in found.items()}
    assert told == {("u", "b"): (3, 3, 2, 2), ("u", "a"): (None, None, None, 2), ("v", "b"): (None,) * 4}


def test_what_to_expect_of_users_and_how_much_they_are_there_is_known_of_all_their_candidates(
    spark: SparkSession,
) -> None:
    wanted = pairs(tile_frame(spark, [("u", "a", 5, 1), ("v", "a", 5, 1)]), AS_OF)
    worth = {"user_id": "u", "alive": 0.75, "expected_purchases": 2.5, "expected_value": 9.0}
    engaged = {"user_id": "u", "age": 90, "idle": 5, "active_28": 4, "trend": 0.5, "stage": "returned"}
    facts = Facts(
        wanted, table_frame(spark, RFM, []), table_frame(spark, AFFINITY, []), shop_items(spark), AS_OF,
        engaged=table_frame(spark, ENGAGEMENT, [engaged]), worth=table_frame(spark, VALUE, [worth]),
    )  # fmt: skip
    own = repurchase(wanted, popularity(wanted), usual_gaps(wanted))
    asked = own.select("user_id", "item_id", F.lit(True).alias("seen"))
    asked = asked.unionByName(asked.where("user_id = 'u'").withColumn("item_id", F.lit("b")))
    found = {(row.user_id, row.item_id): row for row in ranking_features(asked, own, facts, ()).collect()}
    told = {
        key: (row.u_alive, row.u_expected_purchases, row.u_expected_value, row.u_age, row.u_absent, row.u_active_28,
              row.u_trend, row.u_depth, row.u_stage)
        for key, row in found.items()
    }  # fmt: skip
    assert told["u", "a"] == told["u", "b"] == (0.75, 2.5, 9.0, 90, 5, 4, 0.5, None, 3)
    assert told["v", "a"] == (None,) * 9


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


def test_what_to_expect_of_users_is_fitted_on_what_was_before_the_instant_alone(spark: SparkSession) -> None:
    """With fewer people there is no fit, and nothing is known."""
    rows = [(f"u{user:03d}", "a", 40 + user % 30 + 7 * again) for user in range(110) for again in range(1 + user % 3)]
    past = purchases(spark, rows)
    later = past.unionByName(purchases(spark, [(f"u{user:03d}", "a", 3) for user in range(0, 120, 2)]))

    def worth(events: DataFrame, least: str = "") -> DataFrame | None:
        _, days = tiles_before(_log(spark, events.where(F.col("user_id") >= F.lit(least))), INSTANT)
        return worth_at(users_of(facts_of(days)), feature_date(INSTANT))

    known, same = worth(past), worth(later)
    assert known is not None and same is not None and known.count() == 110
    assert_same_rows(same, known)
    assert worth(past, "u020") is None
