"""What may be shown, and why it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake.tables import USERS
from models.policy import allowed_items, as_lists, best, personal_users, without_refused
from models.reasons import TOLD, popular_reason, source, with_reasons
from tests.models.data import AS_OF, item_frame, table_frame, tile_frame

DAY = AS_OF.date()


def test_sensitive_and_unavailable_items_are_never_shown(spark: SparkSession) -> None:
    day = timedelta(days=1)
    items = item_frame(
        spark,
        [
            {"item_id": "fine"},
            {"item_id": "sensitive", "sensitive": True},
            {"item_id": "first day", "available_from": DAY, "sensitive": False},
            {"item_id": "last day", "available_to": DAY},
            {"item_id": "not yet", "available_from": DAY + day},
            {"item_id": "no longer", "available_from": DAY - 9 * day, "available_to": DAY - day},
        ],
    )
    rows = items.select("item_id").union(spark.createDataFrame([("in no catalogue",)], "item_id string"))
    shown = {row.item_id for row in allowed_items(rows, items, DAY).collect()}
    assert shown == {"fine", "first day", "last day", "in no catalogue"}


def test_what_a_user_hid_or_disliked_is_gone_for_them_alone(spark: SparkSession) -> None:
    tiles = tile_frame(spark, [("u", "hidden", 3, 1), ("u", "disliked", 3, 1), ("u", "bought", 3, 1)])
    tiles = tiles.withColumn("hides", F.when(F.col("item_id") == "hidden", 1).otherwise(0).cast("long"))
    tiles = tiles.withColumn("dislikes", F.when(F.col("item_id") == "disliked", 1).cast("long"))
    rows = spark.createDataFrame(
        [(user, item) for user in "uv" for item in ("hidden", "disliked", "bought")], "user_id string, item_id string"
    )
    kept = without_refused(rows, tiles).collect()
    assert sorted((row.user_id, row.item_id) for row in kept) == [
        ("u", "bought"), ("v", "bought"), ("v", "disliked"), ("v", "hidden"),
    ]  # fmt: skip


def test_personal_lists_are_for_those_who_consent_and_want_them(spark: SparkSession) -> None:
    users = spark.createDataFrame([(name,) for name in ("a", "b", "c", "d", "e")], "user_id string")
    profiles = table_frame(
        spark,
        USERS,
        [
            {"user_id": "a", "personalisation_level": "none"},
            {"user_id": "b", "personalisation_level": "Segment"},
            {"user_id": "c", "personalisation_level": "individual"},
            {"user_id": "d"},
        ],
    )
    refusing = spark.createDataFrame([("d",)], "user_id string")
    assert {row.user_id for row in personal_users(users, profiles, refusing).collect()} == {"c", "e"}


def test_lists_are_capped_ranked_and_named(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("u", "x", 1.0), ("u", "b", 2.0), ("u", "a", 2.0)], "user_id string, item_id string, score double"
    )
    told = best(rows, ("user_id",), 2).withColumns(
        {"source": F.lit("als"), "reason": F.lit("because"), "slot_kind": F.lit("new")}
    )
    items = item_frame(spark, [{"item_id": "a", "title": "An A"}])
    (found,) = as_lists(told, ("user_id",), items).collect()
    assert [(entry["rank"], entry.item_id, entry.title, entry.propensity) for entry in found["items"]] == [
        (1, "a", "An A", 1.0), (2, "b", "b", 1.0),
    ]  # fmt: skip


@pytest.fixture(params=["interpreted", "compiled"])
def either(request: pytest.FixtureRequest, spark: SparkSession) -> Iterator[SparkSession]:
    """The session as it is, and as production compiles: compiled, what stands twice in a condition is evaluated first,
    whatever is asked before it.
    """
    compiled = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
    before = {name: spark.conf.get(name) for name in compiled}
    for name, value in (compiled if request.param == "compiled" else before).items():
        spark.conf.set(name, value)
    yield spark
    for name, value in before.items():
        spark.conf.set(name, value)


def test_reasons_say_what_is_true_of_the_data(either: SparkSession) -> None:
    spark = either
    told: list[tuple[str, float, dict[str, int], float | None, float, float]] = [
        ("often", 1.0, {"als": 1}, 0.9, 0.0, 5.0),
        ("habit", 1.0, {"als": 1}, 0.9, 0.0, 5.0),
        ("given up", 1.0, {"als": 1}, 0.9, 0.0, 5.0),
        ("only liked since", 1.0, {"als": 1}, 0.9, 0.0, 5.0),
        ("daily", 1.0, {"als": 1}, 0.9, 0.0, 5.0),
        ("overdue", 1.0, {"als": 1}, 0.9, 0.0, 5.0),
        ("once", 1.0, {"als": 1}, 0.0, 0.0, 5.0),
        ("liked", 1.0, {"als": 1}, 0.0, 0.0, 5.0),
        ("drink", 0.0, {"als": 1, "next": 9}, 0.4, 0.0, 5.0),
        ("als", 0.0, {"als": 1}, 0.01, 0.0, 5.0),
        ("follows", 0.0, {"next": 1, "neighbours": 2}, 0.01, 0.0, 5.0),
        ("neighbour", 0.0, {"next": 2, "neighbours": 1}, 0.01, 0.0, 5.0),
        ("after tea", 0.0, {"next": 1, "neighbours": 2}, 0.9, 0.0, 5.0),
        ("with tea", 0.0, {"next": 2, "neighbours": 1}, 0.01, 0.0, 5.0),
        ("untitled", 0.0, {"next": 2, "neighbours": 1}, 0.01, 0.0, 5.0),
        ("popular", 0.0, {"popularity": 1, "als": 2}, None, 0.0, 5.0),
        ("visit with tea", 0.0, {"together": 1}, None, 0.0, 5.0),
        ("visit", 0.0, {"together": 1}, None, 0.0, 5.0),
        ("alike", 0.0, {"alike": 1, "als": 3}, None, 0.0, 5.0),
        ("rising", 0.0, {"trending": 1}, None, 2.0, 5.0),
        ("risen", 0.0, {"trending": 1}, None, 0.0, 5.0),
        ("arrived", 0.0, {"arrivals": 1, "popularity": 2}, None, 0.0, 5.0),
        ("alike in words", 0.0, {"content": 1}, None, 0.0, 5.0),
        ("kind", 0.0, {"category": 1}, None, 0.0, 5.0),
    ]
    # Their places among the person's own items, by how often and by what is due.
    places = {
        "often": (1, 1), "habit": (2, 1), "given up": (3, 2), "only liked since": (3, 2), "daily": (3, 2),
        "overdue": (4, 9), "once": (9, 4),
    }  # fmt: skip
    ranks = ", ".join(f"{name}_score float, {name}_rank int" for name in TOLD)
    # What does not speak for an item ranks it too: best of all, for nothing.
    rows = spark.createDataFrame(
        [
            (
                "u",
                item,
                seen,
                *(cell for name in TOLD for cell in ((1.0, by[name]) if name in by else (0.0, 1))),
                *rest,
                *places.get(item, (None, 1)),
            )
            for item, seen, by, *rest in told
        ],
        f"user_id string, item_id string, seen double, {ranks}, b_category double, i_users7 double, i_users30 double, "
        "repurchase_rank int, due_again_rank int",
    ).withColumn("source", source())
    as_of = datetime(2011, 12, 9, tzinfo=UTC)
    facts = spark.createDataFrame(
        [
            ("u", "often", 4, date(2011, 1, 2), date(2011, 12, 2), 7.0),
            ("u", "habit", 3, date(2011, 11, 1), date(2011, 11, 22), 17.0),
            ("u", "given up", 3, date(2011, 10, 1), date(2011, 10, 22), 48.0),
            ("u", "only liked since", 3, date(2011, 10, 1), date(2011, 10, 22), 5.0),
            ("u", "daily", 5, date(2011, 11, 1), date(2011, 11, 6), 33.0),
            ("u", "overdue", 2, date(2011, 1, 1), date(2011, 1, 8), 335.0),
            ("u", "once", 1, date(2011, 3, 1), date(2011, 3, 1), 283.0),
            ("u", "liked", 0, None, None, 5.0),
        ],
        "user_id string, item_id string, bought long, first_bought date, last_bought date, x_idle double",
    ).withColumn("last_time", F.timestamp_seconds(F.lit(as_of.timestamp()) - 86400 * F.col("x_idle")))
    keys = spark.createDataFrame([("drink", "FOOD > SOFT DRINKS"), ("als", "X")], "item_id string, key_category string")
    because = F.when(F.col("item_id").isin("after tea", "with tea", "als", "visit with tea"), "tea").when(
        F.col("item_id") == "untitled", "nameless"
    )
    items = spark.createDataFrame([("tea", "Tea"), ("nameless", None)], "item_id string, title string")
    rows = rows.withColumn("because", because)
    found = {row.item_id: (row.source, row.reason) for row in with_reasons(rows, facts, keys, items).collect()}
    assert found == {
        "often": ("repurchase", "You bought this on 4 days, last on 2 December 2011"),
        "habit": ("due_again", "You buy this about every 11 days, last on 22 November 2011"),
        "given up": ("due_again", "You bought this on 3 days, last on 22 October 2011"),
        "only liked since": ("due_again", "You bought this on 3 days, last on 22 October 2011"),
        "daily": ("due_again", "You bought this on 5 days, last on 6 November 2011"),
        "overdue": ("repurchase", "You bought this on 2 days, last on 8 January 2011"),
        "once": ("due_again", "You bought this on 1 March 2011"),
        "liked": ("repurchase", "You liked this before"),
        "drink": ("als", "Because you often choose SOFT DRINKS"),
        "als": ("als", "Chosen by people with a history like yours"),
        "follows": ("next", "Often chosen after what you chose before"),
        "neighbour": ("neighbours", "Often chosen by people who chose what you did"),
        "after tea": ("next", "Often chosen after Tea"),
        "with tea": ("neighbours", "Often chosen by people who chose Tea"),
        "untitled": ("neighbours", "Often chosen by people who chose what you did"),
        "popular": ("popularity", "Popular in the last 30 days"),
        "visit with tea": ("together", "Often in one visit with Tea"),
        "visit": ("together", "Often in one visit with what you chose before"),
        "alike": ("alike", "Chosen by people with a history like yours"),
        "rising": ("trending", "Popular in the last 7 days"),
        "risen": ("trending", "Popular in the last 30 days"),
        "arrived": ("arrivals", "New, and already chosen by others"),
        "alike in words": ("content", "Like what you chose before"),
        "kind": ("category", "Popular among things of a kind you chose before"),
    }


def test_fallback_reasons_do_not_tell_people_their_segment(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("segment", 3.0), ("country", 3.0), ("global", 0.0)], "rung string, score double")
    found = [row.reason for row in rows.select(popular_reason(F.col("rung")).alias("reason")).collect()]
    assert found == [
        "Popular with customers like you in the last 30 days", "Popular in your country in the last 30 days",
        "Popular before",
    ]  # fmt: skip
