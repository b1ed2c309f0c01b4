"""The cleaning job over real ingested files: books, late rows, books day by day, catalogue and consents."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.clean import NOT_A_PRODUCT, TOO_LATE, UNPARSABLE
from jobs import clean_events
from jobs.job import Report, execute
from lake import delta
from lake.errors import SourceError
from lake.settings import Settings
from lake.sources import load
from lake.window import Window
from tests.bronze import MAPPING
from tests.frames import assert_same_rows

HEADER = "id,user,item,kind,time,order,quantity,price,amount,currency,country,device,title"
JUNE = date(2024, 6, 1)


def _line(number: int, day: int = 1, time: str = "10:00:00", **changes: str) -> str:
    row = {"id": str(number), "user": "u1", "item": "i1", "kind": "purchase", "time": f"2024-06-{day:02} {time}",
           "order": f"o{number}", "quantity": "1", "price": "2.5", "amount": "", "currency": "GBP",
           "country": "France", "device": "web", "title": "Tea"} | changes  # fmt: skip
    return ",".join(row.values())


def _land(settings: Settings, folder: Path, name: str, *lines: str) -> None:
    mapping = folder / "shop.toml"
    mapping.write_text(MAPPING)
    file = folder / f"{name}.csv"
    file.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    load("files", settings, [file], mapping)


def _run(settings: Settings, window: Window) -> Report:
    execute("ingest_events", window, settings)
    return execute("clean_events", window, settings)


def _rejected(spark: SparkSession, settings: Settings) -> dict[str, int]:
    rows = delta.read(spark, settings, "silver.rejected").select(F.explode("reasons").alias("reason"))
    return {row["reason"]: row["count"] for row in rows.groupBy("reason").count().collect()}


def _events(spark: SparkSession, settings: Settings) -> DataFrame:
    return delta.read(spark, settings, "silver.events")


def test_every_bad_row_is_rejected_with_its_reasons_and_the_books_balance_however_often_it_is_run(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    _land(
        settings, tmp_path, "june",
        _line(1),
        _line(2, user="", item=""),
        _line(3, quantity="-4", price="0"),
        _line(4, price="NaN"),
        _line(5, price="1e308"),
        _line(6, time="25:99:00"),
        _line(7, currency="quid"),
        _line(8, item="POST"),
        _line(9, user="x" * 10_000),
        _line(10, user="o'Brien/../Ж"),
        "an unparsable line",
        _line(11, time="11:00:00"), _line(11, time="11:00:00"),
        "12,u2,i2,purchase,1969-12-31 10:00:00,o,1,1,,GBP,France,web,Old",
        "13,u2,i2,purchase,2924-06-01 10:00:00,o,1,1,,GBP,France,web,Later",
    )  # fmt: skip
    report = _run(settings, Window.day(JUNE))
    assert (report.rows_read, report.rows_clean, report.rows_rejected, report.rows_duplicate) == (15, 3, 11, 1)
    reasons = _rejected(spark, settings)
    assert reasons == {
        "user_id missing": 1,
        "item_id missing": 1,
        "quantity not a number above 0 and up to 1,000,000": 1,
        "amount of a purchase not above 0": 3,
        "amount not a number from 0 to 10,000,000": 2,
        "unit_price not a number from 0 to 10,000,000": 2,
        "event_time missing or unreadable": 1,
        "event_time before 1970 or after 2999": 1,
        "event_time in the future": 1,
        "currency not in ISO 4217": 1,
        NOT_A_PRODUCT: 1,
        "user_id longer than 256 characters": 1,
        UNPARSABLE: 1,
    }
    lines = [row["row"] for row in delta.read(spark, settings, "silver.rejected").collect()]
    assert "an unparsable line" in lines
    users = {row["user_id"] for row in _events(spark, settings).collect()}
    assert users == {"u1", "o'Brien/../Ж"}
    before, items = _events(spark, settings).collect(), delta.read(spark, settings, "silver.items").collect()
    report = execute("clean_events", Window.day(JUNE), settings)
    assert (report.rows_read, report.rows_clean, report.rows_rejected, report.rows_duplicate) == (15, 3, 11, 1)
    assert _rejected(spark, settings) == reasons
    assert _events(spark, settings).collect() == before
    assert delta.read(spark, settings, "silver.items").collect() == items


def test_late_rows_correct_their_own_day_and_older_ones_are_reported(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    _land(settings, tmp_path, "first", _line(1, day=8), _line(2, day=9))
    _run(settings, Window(JUNE + timedelta(days=7), JUNE + timedelta(days=9)))
    _land(settings, tmp_path, "second", _line(3, day=10), _line(4, day=8, time="09:50:00"), _line(5, day=2))
    report = _run(settings, Window.day(JUNE + timedelta(days=9)))
    # Days 8 and 9 were cleaned again with the late row; the row of day 2 is beyond the horizon of three days.
    assert (report.rows_read, report.rows_clean, report.rows_rejected) == (5, 4, 1)
    assert _rejected(spark, settings) == {TOO_LATE: 1}
    sessions = _events(spark, settings).filter(F.col("event_date") == "2024-06-08").select("session_id").distinct()
    assert sessions.count() == 1


def test_day_by_day_gives_the_same_events_as_one_window(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the window is so large that it is divided into more tasks than the session would make."""
    lines = [
        _line(1, day=1, time="23:50:00"),
        _line(2, day=2, time="00:05:00"),
        _line(3, day=2, time="12:00:00", order="C1", quantity="-1"),
        _line(4, day=3, time="12:00:00", user="u2", title="Green tea", price="3"),
    ]
    window = Window(JUNE, JUNE + timedelta(days=3))
    _land(settings, tmp_path, "all", *lines)
    with monkeypatch.context() as small:
        small.setattr(clean_events, "ROWS_A_TASK", 1)
        _run(settings.model_copy(update={"shuffle_partitions": 1}), window)
    nightly = settings.model_copy(update={"home": tmp_path / "nightly"})
    for day, number in ((0, [0]), (1, [1, 2]), (2, [3])):
        _land(nightly, tmp_path, f"day{day}", *(lines[index] for index in number))
        _run(nightly, Window.day(JUNE + timedelta(days=day)))
    assert_same_rows(_events(spark, nightly), _events(spark, settings))
    returned = _events(spark, settings).filter("event_type = 'return'").collect()
    assert [row["returned_event_id"] for row in returned] == ["shop:2"]
    # A frame with a map cannot be put in order; this source gives no attributes.
    items = (delta.read(spark, home, "silver.items").drop("attributes") for home in (nightly, settings))
    assert_same_rows(*items)


def test_cleaning_before_ingesting_says_what_to_run(settings: Settings, spark: SparkSession) -> None:
    with pytest.raises(SourceError, match="attune load SOURCE"):
        execute("clean_events", Window.day(JUNE), settings)
