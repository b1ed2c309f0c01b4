"""Nights that are not as they should be, from landed files to features: each has one stated outcome."""

from __future__ import annotations

from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import date, timedelta
from io import StringIO

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import Window as Rows
from pyspark.sql import functions as F

from jobs.job import Report, execute
from lake import delta
from lake.settings import Settings
from lake.tables import AFFINITY, DRIFT, EVENTS, RFM, USER_ITEM_DAY
from lake.window import Window
from tests.frames import assert_same_rows
from tests.jobs.test_clean_events import _land, _line

JUNE = date(2024, 6, 1)
NINE_DAYS = Window(JUNE, JUNE + timedelta(days=9))
EVERYBODYS = [
    _line(number * 100 + n, day=number, user=f"u{n}", currency="EUR" if number == 9 else "GBP")
    for number in range(1, 10)
    for n in range(60)
]
# At three the clock was set back to two: the second half of the log repeats the hour. Then the same by the clock, of
# other people.
MINUTES = [(number, f"02:{number:02}:{second}") for second in ("00", "30") for number in range(30, 60, 5)]
JUMP, TIDY = (
    [
        _line(first + place, time=time, user=f"{name}{number % 2}", order=f"o{place}")
        for place, (number, time) in enumerate(minutes)
    ]
    for name, first, minutes in (("jump", 2000, MINUTES), ("tidy", 3000, sorted(MINUTES, key=lambda minute: minute[1])))
)
LINES = [*EVERYBODYS, *JUMP, *TIDY]
TIMES = [f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(50_000)]
TIRELESS = [
    _line(10_000 + n, day=1 + n // 50_000, time=TIMES[n % 50_000], user="tireless", item=f"t{n % 5_000}")
    for n in range(100_000)
]
TABLES = (EVENTS, USER_ITEM_DAY, RFM, AFFINITY)


@dataclass(frozen=True)
class Nights:
    """What a night made of nine days, by table (of the events, not the tireless one's); what it said; what the same
    lines once more left, and the day before the last of them alone.
    """

    first: dict[str, DataFrame]
    drift: list[Row]
    said: str
    twice: Report
    again: dict[str, DataFrame]
    earlier: dict[str, DataFrame]


def _night(settings: Settings, window: Window) -> Report:
    execute("ingest_events", window, settings)
    report = execute("clean_events", window, settings)
    execute("build_features", window, settings)
    return report


@pytest.fixture(scope="module")
def nights(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("odd")
    settings = Settings(home=folder / "home", missing_consent="granted", shuffle_partitions=2)

    def tables() -> dict[str, DataFrame]:
        found = {table.name: delta.read(spark, settings, table.name) for table in TABLES}
        found[EVENTS.name] = found[EVENTS.name].filter("user_id <> 'tireless'")
        return {name: frame.localCheckpoint() for name, frame in found.items()}

    _land(settings, folder, "lines", *LINES, *TIRELESS)
    with redirect_stderr(StringIO()) as said:
        _night(settings, NINE_DAYS)
    first, drift = tables(), delta.read(spark, settings, DRIFT.name).collect()
    _land(settings, folder, "lines-again", *LINES)
    twice = _night(settings, NINE_DAYS)
    again = tables()
    _night(settings, Window.day(NINE_DAYS.end - timedelta(days=2)))
    return Nights(first, drift, said.getvalue(), twice, again, tables())


def test_a_day_that_is_loaded_twice_counts_once(nights: Nights) -> None:
    books = (nights.twice.rows_read, nights.twice.rows_clean, nights.twice.rows_duplicate)
    assert books == (2 * len(LINES) + len(TIRELESS), len(LINES) + len(TIRELESS), len(LINES))
    for name, frame in nights.first.items():
        assert_same_rows(nights.again[name], frame)


def test_a_clock_that_jumps_back_only_changes_the_order_of_the_lines(nights: Nights) -> None:
    # Names, and what is made of them.
    named = ("event_id", "order_id", "user_bucket", "session_id")
    for frame in nights.first.values():
        alike = []
        for name in ("jump", "tidy"):
            people = frame.filter(F.col("user_id").startswith(name)).withColumn("user_id", F.substring("user_id", 5, 9))
            if "session_id" in frame.columns:
                began = F.min("event_time").over(Rows.partitionBy("session_id"))
                people = people.withColumn("session_began", began)
            alike.append(people.drop(*named).localCheckpoint())
        assert not alike[0].isEmpty()
        assert_same_rows(alike[0], alike[1])


def test_a_run_of_an_earlier_day_leaves_the_later_ones_as_they_are(nights: Nights) -> None:
    for name in (EVENTS.name, USER_ITEM_DAY.name):
        assert_same_rows(nights.earlier[name], nights.again[name])
    last = F.col("as_of") == F.lit(NINE_DAYS.end)
    for name in (RFM.name, AFFINITY.name):
        assert_same_rows(nights.earlier[name].filter(last), nights.again[name].filter(last))
    assert not nights.earlier[RFM.name].filter(F.col("as_of") == F.lit(NINE_DAYS.end - timedelta(days=1))).isEmpty()


def test_a_user_with_a_hundred_thousand_events_goes_through_to_the_features(nights: Nights) -> None:
    theirs = F.col("user_id") == "tireless"
    assert [row.frequency for row in nights.first[RFM.name].filter(theirs).collect()] == [100_000]
    assert nights.first[USER_ITEM_DAY.name].filter(theirs).count() == 2 * 5_000


def test_a_source_that_changes_its_currency_keeps_both_and_the_night_says_so(nights: Nights) -> None:
    assert "currency_mix" in nights.said
    drift = [(row.event_date, row.state) for row in nights.drift if row.measure == "currency_mix"]
    assert drift == [(JUNE + timedelta(days=8), "beyond")]
    everybody = nights.first[EVENTS.name].filter(F.col("user_id").startswith("u"))
    kept = everybody.groupBy("currency").agg(F.count(F.lit(1)).alias("n")).collect()
    assert {row.currency: row.n for row in kept} == {"GBP": 480, "EUR": 60}
