"""Cold start: the list serving falls back on, users without history, items that are new."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from features.tiles import user_day, user_item_day
from lake.tables import EVENTS, USER_DAY
from models.cold_start import (
    DEPTH,
    Wants,
    item_kinds,
    ladder_lists,
    strangers_described,
    strangers_lists,
    wants_by_kind,
)
from models.fitting import Log, tiles_before
from models.interactions import positives
from models.popularity import popularity, season
from models.ranking_features import Facts, pairs
from models.snapshot import LEAST_COHORT, fallback_lists
from models.split import truth
from tests.models.data import AS_OF, item_frame, purchases, table_frame, tile_frame

# In the middle of a day: its first half is before the cut.
CUT = AS_OF + timedelta(hours=12)


def _days(spark: SparkSession, rows: list[tuple[str, int, str | None]]) -> DataFrame:
    """gold.user_day of (user, days before AS_OF, country)."""
    found: list[dict[str, Any]] = [
        {"user_id": user, "event_date": (AS_OF - timedelta(days=days)).date(), "country": country}
        for user, days, country in rows
    ]
    return table_frame(spark, USER_DAY, found)


def test_the_ladder_gives_the_list_of_the_segment_else_of_the_country_else_of_all(spark: SparkSession) -> None:
    many = range(LEAST_COHORT)
    buyers = [(f"a{n}", item, 3, 1) for n in many for item in ("tea", "milk")]
    buyers += [(f"b{n}", "rum", 3, 1) for n in many] + [("lone", "ale", 3, 1), ("rater", "rum", 3, 1)]
    of = {**{f"a{n}": ("Loyal", "GB") for n in many}, **{f"b{n}": ("Lost", "FR") for n in many}, "lone": ("New", "FR")}
    rfm = spark.createDataFrame([(user, *of[user]) for user in of], "user_id string, segment string, country string")
    history = pairs(tile_frame(spark, buyers), AS_OF)
    facts = Facts(history, rfm, history, item_frame(spark, [{"item_id": "milk", "sensitive": True}]), AS_OF)
    published = fallback_lists(facts, DEPTH).persist()
    lists = {(row.rung, row.cohort): [entry.item_id for entry in row["items"]] for row in published.collect()}
    assert lists["segment", "Loyal"] == lists["country", "GB"] == ["tea"] and ("segment", "New") not in lists
    assert lists["country", "FR"] == ["rum", "ale"] and lists["global", "all"] == ["rum", "tea", "ale"]
    seen = [("b0", 2, "FR"), ("lone", 3, "FR"), ("visitor", 9, "FR"), ("visitor", 1, "GB"), ("visitor", 0, None)]
    users = spark.createDataFrame(
        [(user,) for user in ("a0", "b0", "lone", "rater", "visitor", "moon", "nobody")], "user_id string"
    )
    days = _days(spark, [*seen, ("moon", 1, "ZZ")])
    found = {row.user_id: row for row in ladder_lists(users, days, facts, published).collect()}
    assert {user: row.ladder_items for user, row in found.items()} == {
        "a0": lists["segment", "Loyal"],
        "b0": lists["segment", "Lost"],
        "lone": lists["country", "FR"],
        "rater": lists["global", "all"],
        "visitor": lists["country", "GB"],
        "moon": lists["global", "all"],
        "nobody": lists["global", "all"],
    }
    new = {user: row.ladder_new_items for user, row in found.items()}
    assert (new["a0"], new["lone"], new["rater"]) == ([], ["rum"], ["tea", "ale"])
    published.unpersist()


def test_stages_of_people_who_want_something_and_the_time_of_the_year_are_rungs(spark: SparkSession) -> None:
    many = range(LEAST_COHORT)
    tiles = tile_frame(
        spark,
        [(f"n{n}", "tea", 3, 1) for n in many] + [(f"l{n}", "rum", 200, 1) for n in many] + [("r", "ale", 40, 1)]
        + [(f"l{n}", "fir", 350, 1) for n in many] + [("l0", "yew", 350, 1)] + [(f"l{n}", "egg", 366, 1) for n in many],
    )  # fmt: skip
    stage = {**{f"n{n}": "new" for n in many}, **{f"l{n}": "lapsed" for n in many}, "r": "returned"}
    engaged = spark.createDataFrame([*stage.items()], "user_id string, stage string")
    history, rfm = pairs(tiles, AS_OF), spark.createDataFrame([], "user_id string, segment string, country string")
    facts = Facts(history, rfm, history, item_frame(spark, []), AS_OF, None, engaged, season(tiles, AS_OF.date()))
    published = fallback_lists(facts, DEPTH).persist()
    lists = {(row.rung, row.cohort): row["items"] for row in published.collect()}
    # Who lapsed wants nothing lately; one who returned is no cohort; one person a year ago is no time of the year.
    assert {key: [entry.item_id for entry in found] for key, found in lists.items() if key[0] != "global"} == {
        ("stage", "new"): ["tea"], ("season", "all"): ["fir"],
    }  # fmt: skip
    assert lists["season", "all"][0].reason == "Popular at this time of the year"
    assert lists["stage", "new"][0].reason == "Popular with customers like you in the last 30 days"
    users = spark.createDataFrame([("n0",), ("l0",), ("nobody",)], "user_id string")
    found = {row.user_id: row.ladder_items for row in ladder_lists(users, _days(spark, []), facts, published).collect()}
    everyone = [entry.item_id for entry in lists["global", "all"]]
    assert found == {"n0": ["tea"], "l0": everyone, "nobody": everyone}
    published.unpersist()


def test_users_without_history_are_asked_apart_and_answered_by_popularity_and_the_ladder(spark: SparkSession) -> None:
    history = spark.createDataFrame([("u", "a"), ("v", "b")], "user_id string, item_id string")
    items = spark.createDataFrame([("a",), ("b",)], "item_id string")
    wanted = spark.createDataFrame(
        [("u", "a"), ("s", "a"), ("s", "a"), ("s", "b"), ("s", "unknown"), ("t", "unknown")],
        "user_id string, item_id string",
    )
    strangers = truth(wanted, history, items, strangers=True)
    (asked,) = strangers_described(strangers).collect()
    assert (asked.user_id, sorted(asked.relevant_strangers), asked.groups) == ("s", ["a", "b"], ["acquaintance/0"])
    ladder = spark.createDataFrame([("s", ["b"], ["b"])], "user_id string, ladder_items array<string>, x array<string>")
    popular = popularity(pairs(tile_frame(spark, [("u", "c", 1, 1), ("v", "b", 1, 1), ("w", "b", 50, 1)]), AS_OF))
    (answer,) = strangers_lists(ladder, popular).collect()
    assert answer.asDict() == {"user_id": "s", "ladder_items": ["b"], "popularity_items": ["b", "c"]}


def _log(spark: SparkSession, events: DataFrame) -> Log:
    items = item_frame(spark, [{"item_id": name} for name in ("recent", "described")])
    return Log(events, user_item_day(events), user_day(events), items, positives(events))


def _kinds(log: Log) -> DataFrame:
    tiles, _ = tiles_before(log, CUT)
    return item_kinds(log.wanted, tiles, CUT)


def test_kinds_of_items_are_told_by_what_was_before_the_cut_alone(spark: SparkSession) -> None:
    # Ages are days before AS_OF, which is half a day before the cut; less than zero is after AS_OF.
    bought = purchases(
        spark, [("u", "known", 90), ("v", "known", 1), ("u", "edge", 29.5), ("u", "recent", 29.4), ("u", "today", -0.4)]
    )
    viewed = purchases(spark, [("u", "viewed", 60), ("v", "shown", -0.3)]).selectExpr(
        "concat('v', event_id) AS event_id",
        "'view' AS event_type",
        *(name for name in EVENTS.names if name not in ("event_id", "event_type")),
    )
    before = bought.unionByName(viewed)
    found = _kinds(_log(spark, before))
    assert {row.item_id: row.kind for row in found.collect()} == {
        "known": "known", "edge": "known", "recent": "new", "today": "new", "viewed": "unwanted", "shown": "unwanted",
    }  # fmt: skip
    after = purchases(spark, [("w", item, -0.5) for item in ("known", "viewed", "described")] + [("w", "late", -3)])
    after = after.selectExpr(
        "concat('a', event_id) AS event_id", *(name for name in EVENTS.names if name != "event_id")
    )
    assert_df_equality(_kinds(_log(spark, before.unionByName(after))), found, ignore_row_order=True)


def test_wants_are_shared_out_among_kinds_of_items_and_no_want_is_left_out(spark: SparkSession) -> None:
    kinds = spark.createDataFrame(
        [("old", "known"), ("fresh", "new"), ("viewed", "unwanted")], "item_id string, kind string"
    )
    rows = [("u", "old"), ("u", "old"), ("v", "old"), ("u", "fresh"), ("u", "never"), ("w", "nowhere")]
    wanted = spark.createDataFrame(rows, "user_id string, item_id string")
    assert wants_by_kind(wanted, kinds) == {
        "known": Wants(2, 0.4, 2, 1), "new": Wants(1, 0.2, 1, 1), "unwanted": Wants(0, 0.0, 0, 0),
        "unseen": Wants(2, 0.4, 2, 2),
    }  # fmt: skip
