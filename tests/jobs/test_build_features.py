"""The features job: consent, late days, repeats, and gates that stop it before anything is touched."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.affinity import leanings_at, standing
from features.context import standing as context_standing
from features.due_again import standing as due_standing
from features.lift import of_users
from jobs import build_features
from jobs.job import Context, Report
from lake import delta
from lake.errors import ContractError, SettingError
from lake.settings import Settings
from lake.tables import (
    AFFINITY,
    CONSENTS,
    CONTEXT,
    CYCLES,
    DUE_AGAIN,
    ENGAGEMENT,
    EVENTS,
    INTENT,
    ITEMS,
    RFM,
    RFM_WINDOWS,
    USER_DAY,
    USER_ITEM_DAY,
    USER_STATE,
)
from lake.window import Window
from tests.features.silver import at, events, items
from tests.frames import assert_same_rows

WINDOW = Window(date(2026, 3, 1), date(2026, 3, 4))
HOME: list[dict[str, Any]] = [
    {"event_time": at("2026-03-01"), "user_id": "anna", "order_id": "1"},
    {"event_time": at("2026-03-02"), "user_id": "anna", "order_id": "2", "item_id": "pan"},
    {"event_time": at("2026-03-03"), "user_id": "ben", "order_id": "3", "device": "mobile"},
    {"event_time": at("2026-03-03"), "user_id": "gone", "order_id": "4"},
]
CONSENT_SCHEMA = "user_id string, purpose string, at timestamp, granted boolean, source string"


# Besides: what is meant (a cart, a search) and what is bought again.
MEANT: list[dict[str, Any]] = [
    *HOME,
    {"event_time": at("2026-03-03"), "user_id": "anna", "item_id": "cup", "event_type": "add_to_cart"},
    {"event_time": at("2026-03-03"), "user_id": "ben", "event_type": "search", "item_id": None, "query": "Tea"},
    {"event_time": at("2026-03-03"), "user_id": "gone", "event_type": "search", "item_id": None, "query": "Tea"},
    {"event_time": at("2026-03-03"), "user_id": "anna", "order_id": "10"},
    {"event_time": at("2026-03-01"), "user_id": "ben", "order_id": "11"},
]


@pytest.fixture
def home(spark: SparkSession, settings: Settings) -> Settings:
    return _open(spark, settings, HOME)


@pytest.fixture(scope="module")
def nights(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Report]]:
    """Homes after their first night, to be copied, and what it reported; by what happened before it."""
    folder, found = tmp_path_factory.mktemp("nights"), {}
    for name, rows in (("usual", HOME), ("meant", MEANT)):
        there = Settings(home=folder / name, missing_consent="granted", shuffle_partitions=2)
        found[name] = (there.home, _run(_open(spark, there, rows)))
    return found


@pytest.fixture
def home_after_a_night(nights: dict[str, tuple[Path, Report]], settings: Settings) -> Settings:
    """A home after its first night."""
    shutil.copytree(nights["usual"][0], settings.home)
    return settings


@pytest.fixture
def home_after_intent(nights: dict[str, tuple[Path, Report]], settings: Settings) -> Settings:
    """A home after the first night of what is meant and bought again."""
    shutil.copytree(nights["meant"][0], settings.home)
    return settings


def _open(spark: SparkSession, settings: Settings, rows: list[dict[str, Any]]) -> Settings:
    _seed(spark, settings, rows)
    catalogue = items(
        spark, {"item_id": "tea", "brand": "Ahn", "price": 1.0}, {"item_id": "pan", "category": ["kitchen"]}
    )
    delta.append(catalogue, settings, ITEMS, "seed")
    _decide(spark, settings, "gone", at("2026-02-01"), granted=False)
    return settings


def _seed(spark: SparkSession, settings: Settings, rows: list[dict[str, Any]]) -> None:
    frame = events(spark, *rows).coalesce(1)
    delta.replace_window(frame, settings, EVENTS, "event_date >= '1970-01-01'", "seed")


def _decide(spark: SparkSession, settings: Settings, user: str, when: datetime, *, granted: bool) -> None:
    frame = spark.createDataFrame([(user, "personalisation", when, granted, "shop")], CONSENT_SCHEMA)
    delta.append(frame.withColumn("user_bucket", delta.user_bucket()), settings, CONSENTS, "seed")


def _run(settings: Settings, window: Window = WINDOW) -> Report:
    return build_features.run(Context("build_features", window, settings))


def _read(spark: SparkSession, settings: Settings, name: str) -> DataFrame:
    frame = delta.read(spark, settings, name)
    return frame.withColumns({map_: F.to_json(map_) for map_ in ("dayparts", "devices") if map_ in frame.columns})


def _users(spark: SparkSession, settings: Settings, name: str) -> set[str]:
    return {row.user_id for row in delta.read(spark, settings, name).select("user_id").distinct().collect()}


def test_a_window_gives_tiles_and_features_of_those_who_consent_and_a_repeat_gives_the_same(
    spark: SparkSession, nights: dict[str, tuple[Path, Report]], home_after_a_night: Settings
) -> None:
    home, report = home_after_a_night, nights["usual"][1]
    assert report.details["users_scored"] == "2"
    assert sum(json.loads(report.details["segments"]).values()) == 2
    tables = (USER_ITEM_DAY, USER_DAY, RFM, RFM_WINDOWS, ENGAGEMENT, AFFINITY)
    for table in tables:
        assert _users(spark, home, table.name) == {"anna", "ben"}, table.name
    anna = delta.read(spark, home, RFM.name).filter("user_id = 'anna'").first()
    assert (anna.as_of, anna.recency, anna.frequency, anna.monetary) == (WINDOW.end, 2, 2, 20.0)
    before = {
        table.name: spark.createDataFrame(
            _read(spark, home, table.name).collect(), _read(spark, home, table.name).schema
        )
        for table in tables
    }
    _run(home)
    for table in tables:
        assert_same_rows(_read(spark, home, table.name), before[table.name])


def test_a_late_event_corrects_its_day_and_a_withdrawal_removes_the_user_everywhere(
    spark: SparkSession, home_after_a_night: Settings
) -> None:
    late = {"event_time": at("2026-03-02"), "user_id": "anna", "order_id": "late", "amount": 5.0}
    _seed(
        spark, home_after_a_night, [*HOME, late, {"event_time": at("2026-03-04"), "user_id": "cleo", "order_id": "5"}]
    )
    _decide(spark, home_after_a_night, "ben", datetime(2026, 3, 4, tzinfo=UTC), granted=False)
    report = _run(home_after_a_night, Window.day(date(2026, 3, 4)))
    assert report.details["users_removed"] == "1"
    for table in (USER_ITEM_DAY, USER_DAY, RFM, RFM_WINDOWS, ENGAGEMENT, AFFINITY):
        assert "ben" not in _users(spark, home_after_a_night, table.name), table.name
    tonight = delta.read(spark, home_after_a_night, RFM.name).filter("as_of = '2026-03-05'").collect()
    assert {row.user_id: row.frequency for row in tonight} == {"anna": 3, "cleo": 1}


def test_a_night_writes_affinities_of_whom_it_touched_and_those_of_the_others_stand_and_fade(
    spark: SparkSession, home_after_a_night: Settings
) -> None:
    def rows() -> DataFrame:
        return delta.read(spark, home_after_a_night, AFFINITY.name)

    again = {"event_time": at("2026-03-04"), "user_id": "anna", "order_id": "7", "item_id": "tea"}
    _seed(spark, home_after_a_night, [*HOME, again])
    night = Window.day(date(2026, 3, 4))
    _run(home_after_a_night, night)
    assert {row.user_id for row in rows().filter(F.col("as_of") == F.lit(night.end)).collect()} == {"anna"}
    state = delta.read(spark, home_after_a_night, USER_STATE.name)
    rounded = [F.round(name, 6).alias(name) for name in ("score", "recent_score")]
    # A lift compares with the population as of the night that touched the user.
    others = [name for name in AFFINITY.names if name not in ("score", "recent_score", "lift")]
    held, read = (
        frame.select(*others, *rounded)
        for frame in (standing(rows(), night.end), leanings_at(state, night.end, of_users(state)))
    )
    assert {row.user_id for row in held.collect()} == {"anna", "ben"}
    assert_same_rows(held, read)
    # All that anna ever did turns out never to have happened.
    _seed(spark, home_after_a_night, [event for event in HOME if event["user_id"] != "anna"])
    _run(home_after_a_night, Window(date(2026, 3, 1), night.end))
    assert _users(spark, home_after_a_night, AFFINITY.name) == {"ben"}


def test_intent_is_of_the_days_before_the_night_and_goes_with_its_user(
    spark: SparkSession, home_after_intent: Settings
) -> None:
    def said(end: str) -> dict[str, tuple[int, list[str] | None]]:
        rows = delta.read(spark, home_after_intent, INTENT.name).filter(F.col("as_of") == end).collect()
        return {row.user_id: (row.cart_items, row.terms) for row in rows}

    first = {"anna": (1, None), "ben": (0, ["tea"])}
    assert said("2026-03-04") == first
    # What anna had left she buys; ben withdraws, and nothing of an earlier night stays either.
    bought = {"event_time": at("2026-03-04"), "user_id": "anna", "item_id": "cup", "order_id": "8"}
    _seed(spark, home_after_intent, [*MEANT, bought])
    _decide(spark, home_after_intent, "ben", datetime(2026, 3, 4, tzinfo=UTC), granted=False)
    _run(home_after_intent, Window.day(date(2026, 3, 4)))
    assert (said("2026-03-05"), said("2026-03-04")) == ({}, {"anna": (1, None)})


def test_what_is_due_again_is_told_of_whom_a_night_touched_and_goes_when_it_was_never_bought(
    spark: SparkSession, home_after_intent: Settings
) -> None:
    def standing_rows() -> dict[tuple[str, str], tuple[date, int, date]]:
        rows = due_standing(delta.read(spark, home_after_intent, DUE_AGAIN.name), date(2026, 3, 31)).filter(
            "dimension = 'item'"
        )
        return {(row.user_id, row.key): (row.as_of, row.days, row.due) for row in rows.collect()}

    def tea(user: str, day: str, order: str) -> dict[str, Any]:
        return {"event_time": at(day), "user_id": user, "order_id": order}

    first = date(2026, 3, 4)
    assert standing_rows() == {
        ("anna", "tea"): (first, 2, date(2026, 3, 5)), ("ben", "tea"): (first, 2, date(2026, 3, 5)),
    }  # fmt: skip
    assert {row.as_of for row in delta.read(spark, home_after_intent, CYCLES.name).collect()} == {first}
    # ben comes back; the usual cycles are those of last night. Then one of anna's purchases turns out not to be hers.
    _seed(spark, home_after_intent, [*MEANT, tea("ben", "2026-03-04", "12")])
    night = Window.day(date(2026, 3, 4))
    _run(home_after_intent, night)
    assert {key: row[:2] for key, row in standing_rows().items()} == {
        ("anna", "tea"): (first, 2), ("ben", "tea"): (night.end, 3),
    }  # fmt: skip
    assert {row.as_of for row in delta.read(spark, home_after_intent, CYCLES.name).collect()} == {first}
    _seed(spark, home_after_intent, [*HOME, tea("ben", "2026-03-01", "11"), tea("ben", "2026-03-04", "12")])
    _run(home_after_intent, Window.day(date(2026, 3, 5)))
    assert set(standing_rows()) == {("ben", "tea")}


def test_what_is_preferred_where_is_told_of_whom_a_night_touched_and_goes_when_it_was_never_done(
    spark: SparkSession, home: Settings
) -> None:
    def standing_rows() -> dict[tuple[str, str, str], tuple[date, int]]:
        rows = context_standing(delta.read(spark, home, CONTEXT.name), date(2026, 3, 10)).collect()
        return {(row.user_id, row.context, row.situation): (row.as_of, row.evidence) for row in rows}

    pan = {"event_time": at("2026-03-03", 20), "user_id": "ben", "item_id": "pan", "event_type": "view"}
    _seed(spark, home, [*HOME, pan, pan | {"user_id": "gone"}])
    _run(home)
    first = date(2026, 3, 4)
    ben = {("ben", "daypart", "evening"): (first, 1), ("ben", "week", "working day"): (first, 1),
           ("ben", "device", "mobile"): (first, 1)}  # fmt: skip
    anna = {("anna", "daypart", "afternoon"): (first, 1), ("anna", "week", "working day"): (first, 1),
            ("anna", "device", "web"): (first, 1)}  # fmt: skip
    assert standing_rows() == ben | anna
    # anna comes back at another time; then it turns out that ben never looked at the pan, though he was there.
    again = {"event_time": at("2026-03-04", 3), "user_id": "anna", "item_id": "pan", "order_id": "9"}
    _seed(spark, home, [*HOME, pan, again])
    night = Window.day(date(2026, 3, 4))
    _run(home, night)
    anna = {("anna", "daypart", "afternoon"): (night.end, 1), ("anna", "daypart", "night"): (night.end, 1),
            ("anna", "week", "working day"): (night.end, 2), ("anna", "device", "web"): (night.end, 2)}  # fmt: skip
    assert standing_rows() == ben | anna
    _seed(spark, home, [*HOME, again])
    _run(home, Window.day(date(2026, 3, 5)))
    assert standing_rows() == anna


def test_a_failed_gate_leaves_every_feature_untouched(spark: SparkSession, home_after_a_night: Settings) -> None:
    versions = {
        table.name: delta.version(spark, home_after_a_night, table.name) for table in (RFM, ENGAGEMENT, AFFINITY)
    }
    absurd = {"event_time": at("2026-03-03"), "user_id": "ben", "order_id": "9", "amount": 2e12}
    _seed(spark, home_after_a_night, [*HOME, absurd])
    with pytest.raises(ContractError, match=r"gold\.rfm breaks its contract: monetary_between.*got 1 of 2"):
        _run(home_after_a_night)
    assert {name: delta.version(spark, home_after_a_night, name) for name in versions} == versions


def test_days_without_events_go_through_and_only_make_everything_older(
    spark: SparkSession, home_after_a_night: Settings
) -> None:
    _run(home_after_a_night, Window.day(date(2026, 4, 1)))
    anna = delta.read(spark, home_after_a_night, RFM.name).filter("user_id = 'anna' AND as_of = '2026-04-02'").first()
    assert (anna.recency, anna.frequency) == (31, 2)
    engaged = delta.read(spark, home_after_a_night, ENGAGEMENT.name).filter("as_of = '2026-04-02'").collect()
    assert {row.user_id: (row.idle, row.stage) for row in engaged} == {"anna": (31, "at_risk"), "ben": (30, "new")}


def test_without_events_or_the_setting_the_error_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(ContractError, match=r"silver\.events was never written.*attune run clean_events"):
        _run(settings)
    unset = settings.model_copy(update={"missing_consent": None})
    with pytest.raises(SettingError, match="ATTUNE_MISSING_CONSENT"):
        _run(unset)
