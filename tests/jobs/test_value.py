"""gold.value in its tables: fitted once a week, the same when repeated, absent with too little data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs import build_features
from jobs.job import Context
from jobs.value import value_at, write
from lake import delta, log
from lake.settings import Settings
from lake.tables import CONSENTS, EVENTS, VALUE, VALUE_FITS
from lake.window import Window
from tests.features.silver import at, by, events
from tests.frames import assert_same_rows

FIRST = date(2026, 1, 5)
END = FIRST + timedelta(days=60)
USERS = 120


def _history() -> list[tuple[str, date, float]]:
    """User, day and money of purchases: half of the users come back, some of them often."""
    random = np.random.default_rng(3)
    rows = []
    for number in range(USERS):
        usual = random.gamma(4, 5)
        for day in {0, *random.integers(0, 55, size=random.negative_binomial(0.8, 0.3))}:
            rows.append(
                (f"user-{number}", FIRST + timedelta(days=int(number % 4 + day)), float(random.gamma(5) * usual))
            )
    return rows


def _context(settings: Settings, end: date, **options: str) -> Context:
    return Context("build_features", Window.day(end - timedelta(days=1)), settings, options)


def _fits(settings: Settings) -> list[date]:
    found = log.rows(settings, VALUE_FITS, Window(date(2026, 1, 1), date(2027, 1, 1)))
    return sorted(row["as_of"] for row in found)


@pytest.fixture(scope="module")
def state(spark: SparkSession) -> DataFrame:
    schema = "user_id string, day date, micros long"
    rows = [(user, day, round(amount * 1e6)) for user, day, amount in _history()]
    spark.createDataFrame(rows, schema).createOrReplaceTempView("history")
    return spark.sql(
        "SELECT user_id, 0 AS user_bucket, COUNT(DISTINCT day) AS purchase_days, SUM(micros) AS net_micros, "
        "MIN(day) AS first_purchase, MAX(day) AS last_purchase FROM history GROUP BY user_id"
    ).cache()


def test_a_fit_serves_a_week_and_a_repeat_while_force_and_an_eighth_day_fit_anew(
    settings: Settings, state: DataFrame
) -> None:
    def made(end: date, **options: str) -> str:
        context = _context(settings, end, **options)
        scores = value_at(context, state, end)
        write(context, replace(scores, frame=None))
        return scores.made_by

    assert value_at(_context(settings, END), state, END).fit is not None and _fits(settings) == [], "nothing is written"
    later = END + timedelta(days=6)
    assert [made(END), made(later), made(END)] == [f"fitted as of {END}"] * 3
    assert _fits(settings) == [END]
    assert made(later + timedelta(days=1)) == f"fitted as of {later + timedelta(days=1)}"
    # An earlier window knows nothing of later fits.
    assert made(END - timedelta(days=1)) == f"fitted as of {END - timedelta(days=1)}"
    before = log.rows(settings, VALUE_FITS, Window.day(END))[0]
    made(END, force="true")
    after = log.rows(settings, VALUE_FITS, Window.day(END))[0]
    assert {**after, "run_id": ""} == {**before, "run_id": ""}, "the same data gives the same bits"
    assert after["run_id"] != before["run_id"]


def test_too_little_data_gives_no_rows_and_the_reason(
    spark: SparkSession, settings: Settings, state: DataFrame
) -> None:
    few = state.filter("user_id < 'user-2'")
    scores = value_at(_context(settings, END), few, END)
    assert scores.frame is None and "got 32 users with a purchase" in scores.made_by
    delta.ensure(spark, settings, VALUE)
    frame = value_at(_context(settings, END), few, END).frame
    assert frame is not None and frame.isEmpty(), "what an earlier run wrote as of the date must go"
    assert _fits(settings) == []


def test_a_night_writes_value_by_the_fit_there_is_and_who_withdraws_is_gone_from_it(
    spark: SparkSession, settings: Settings, state: DataFrame
) -> None:
    rows = [
        {"event_time": at(day.isoformat()), "user_id": user, "order_id": f"{user} {day}", "amount": amount}
        for user, day, amount in _history()
    ]
    frame = events(spark, *rows).coalesce(1)
    delta.replace_window(frame, settings, EVENTS, "event_date >= '1970-01-01'", "seed")
    report = build_features.run(Context("build_features", Window(FIRST, END), settings))
    assert report.details["value"] == f"fitted as of {END}"
    found = delta.read(spark, settings, VALUE.name)
    expected = value_at(_context(settings, END), state, END).frame
    assert expected is not None
    assert_same_rows(found.drop("user_bucket"), delta.conform(expected, VALUE).drop("user_bucket"))
    assert found.count() == USERS
    gone = spark.createDataFrame(
        [("user-7", "personalisation", datetime(2026, 3, 6, tzinfo=UTC), False, "shop")],
        "user_id string, purpose string, at timestamp, granted boolean, source string",
    ).withColumn("user_bucket", delta.user_bucket())
    delta.append(gone, settings, CONSENTS, "seed")
    night = Window.day(END)
    assert build_features.run(Context("build_features", night, settings)).details["value"] == f"fitted as of {END}"
    users = by(delta.read(spark, settings, VALUE.name).select("user_id", "as_of"), "user_id", "as_of")
    assert {as_of for _, as_of in users} == {END, night.end}
    assert len(users) == 2 * (USERS - 1) and "user-7" not in {user for user, _ in users}
