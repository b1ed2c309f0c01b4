"""ops.drift as build_features keeps it: a night is compared with the nights before, with a word or a stop."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import SparkSession

from jobs.drift import check_drift
from jobs.job import Context
from lake import delta
from lake.errors import ContractError
from lake.settings import Settings
from lake.tables import DRIFT, EVENTS, ITEMS
from lake.window import Window
from tests.features.silver import events, items

FIRST = date(2026, 3, 1)
DAYS = 12
USUAL, FEW = 90, 5
LAST = FIRST + timedelta(days=DAYS - 1)


@pytest.fixture
def home(spark: SparkSession, settings: Settings) -> Settings:
    """Eleven usual days, and a last one on which hardly anybody came."""
    rows = [
        {"event_id": f"{day}-{number}", "event_time": _noon(day) + timedelta(seconds=number), "event_type": "view",
         "user_id": f"u{number}"}
        for day in range(DAYS)
        for number in range(FEW if day == DAYS - 1 else USUAL)
    ]  # fmt: skip
    delta.append(items(spark, {"item_id": "tea", "category": ["kitchen"]}), settings, ITEMS, "seed")
    delta.append(events(spark, *rows), settings, EVENTS, "seed")
    return settings


def _noon(day: int) -> datetime:
    return datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=day, hours=12)


def _check(settings: Settings, window: Window) -> int:
    return check_drift(Context("build_features", window, settings), window, {})


def _states(spark: SparkSession, settings: Settings, day: date) -> dict[tuple[str, str], str]:
    rows = delta.read(spark, settings, DRIFT.name).filter(f"event_date = '{day.isoformat()}'").collect()
    return {(row.measure, row.key): row.state for row in rows}


def test_a_backfill_measures_all_its_days_and_judges_the_last(spark: SparkSession, home: Settings) -> None:
    assert _check(home, Window(FIRST, LAST + timedelta(days=1))) == 1
    last, before = (_states(spark, home, day) for day in (LAST, LAST - timedelta(days=1)))
    assert last["events", "view"] == "beyond"
    assert last["rejected", "all"] == "within"
    assert set(before.values()) == {"measured"}


def test_night_by_night_a_day_is_judged_by_what_the_nights_before_left(spark: SparkSession, home: Settings) -> None:
    usual = Window(FIRST, LAST)
    assert _check(home, usual) == 0
    assert _states(spark, home, LAST - timedelta(days=1))["events", "view"] == "within"
    assert _check(home, Window.day(LAST)) == 1
    once = delta.read(spark, home, DRIFT.name).count()
    assert _check(home, Window.day(LAST)) == 1
    assert delta.read(spark, home, DRIFT.name).count() == once


def test_by_setting_the_night_stops_after_writing_what_it_found(spark: SparkSession, home: Settings) -> None:
    strict = home.model_copy(update={"drift": "stop"})
    said = r"2026-03-12 is unlike the 4 weeks before it: events of view is 5, expected 90 \(allowed 30 to 270\)"
    with pytest.raises(ContractError, match=said):
        _check(strict, Window(FIRST, LAST + timedelta(days=1)))
    assert _states(spark, home, LAST)["events", "view"] == "beyond"


def test_by_setting_nothing_is_measured(spark: SparkSession, home: Settings) -> None:
    assert _check(home.model_copy(update={"drift": "off"}), Window.day(LAST)) == 0
    assert not delta.exists(spark, home, DRIFT.name)
