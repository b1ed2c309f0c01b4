"""Nights that are not as they should be, from landed files to features: each has one stated outcome."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.job import Report, execute
from lake import delta
from lake.settings import Settings
from lake.tables import AFFINITY, DRIFT, EVENTS, RFM
from lake.window import Window
from tests.frames import assert_same_rows
from tests.jobs.test_clean_events import _land, _line

JUNE = date(2024, 6, 1)


def _night(settings: Settings, day: int) -> Report:
    window = Window.day(JUNE + timedelta(days=day - 1))
    execute("ingest_events", window, settings)
    report = execute("clean_events", window, settings)
    execute("build_features", window, settings)
    return report


def _features(spark: SparkSession, settings: Settings) -> tuple[DataFrame, DataFrame]:
    rfm, affinity = (delta.read(spark, settings, table.name) for table in (RFM, AFFINITY))
    return rfm, affinity


def test_a_day_that_is_loaded_twice_counts_once(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    lines = [_line(1), _line(2, user="u2", time="11:00:00")]
    _land(settings, tmp_path, "day", *lines)
    _night(settings, 1)
    before = [frame.localCheckpoint() for frame in _features(spark, settings)]
    _land(settings, tmp_path, "day-again", *lines)
    report = _night(settings, 1)
    assert (report.rows_read, report.rows_clean, report.rows_duplicate) == (4, 2, 2)
    for frame, again in zip(before, _features(spark, settings), strict=True):
        assert_same_rows(again, frame)


def test_a_clock_that_jumps_back_only_changes_the_order_of_the_lines(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    # At three the clock was set back to two: the second half of the log repeats the hour.
    first = [_line(number, time=f"02:{number:02}:00", user=f"u{number % 2}") for number in range(30, 60, 5)]
    second = [_line(100 + number, time=f"02:{number:02}:30", user=f"u{number % 2}") for number in range(30, 60, 5)]
    _land(settings, tmp_path, "jump", *first, *second)
    report = _night(settings, 1)
    assert (report.rows_read, report.rows_clean) == (12, 12)
    ordered = settings.model_copy(update={"home": tmp_path / "ordered"})
    _land(ordered, tmp_path, "jump", *sorted(first + second, key=lambda line: line.split(",")[4]))
    _night(ordered, 1)
    assert_same_rows(delta.read(spark, settings, EVENTS.name), delta.read(spark, ordered, EVENTS.name))
    for frame, other in zip(_features(spark, settings), _features(spark, ordered), strict=True):
        assert_same_rows(frame, other)


def test_a_run_of_an_earlier_day_leaves_the_later_ones_as_they_are(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    _land(settings, tmp_path, "both", _line(1, day=1), _line(2, day=2))
    execute("ingest_events", Window(JUNE, JUNE + timedelta(days=2)), settings)
    for day in (1, 2):
        _night(settings, day)
    before = [frame.localCheckpoint() for frame in _features(spark, settings)]
    _night(settings, 1)
    for frame, again in zip(before, _features(spark, settings), strict=True):
        assert_same_rows(again, frame)


def test_a_source_that_changes_its_currency_keeps_both_and_the_night_says_so(
    spark: SparkSession, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def day(number: int, currency: str) -> list[str]:
        return [_line(number * 100 + n, day=number, user=f"u{n}", currency=currency) for n in range(60)]

    lines = [line for number in range(1, 9) for line in day(number, "GBP")]
    _land(settings, tmp_path, "before", *lines, *day(9, "EUR"))
    window = Window(JUNE, JUNE + timedelta(days=9))
    execute("ingest_events", window, settings)
    execute("clean_events", window, settings)
    execute("build_features", window, settings)
    assert "currency_mix" in capsys.readouterr().err
    drift = delta.read(spark, settings, DRIFT.name).filter("measure = 'currency_mix'").collect()
    assert [(row.event_date, row.state) for row in drift] == [(JUNE + timedelta(days=8), "beyond")]
    kept = delta.read(spark, settings, EVENTS.name).groupBy("currency").agg(F.count(F.lit(1)).alias("n")).collect()
    assert {row.currency: row.n for row in kept} == {"GBP": 480, "EUR": 60}
