"""Columns of bronze read through a mapping."""

from __future__ import annotations

from datetime import datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake.sources.columns import category, event_time_expression, is_no_item, is_sensitive, parse_time, standard
from lake.sources.mapping import Mapping
from lake.sources.sections import Time


def times(spark: SparkSession, texts: list[str | None], formats: list[str], zone: str) -> list[str | None]:
    frame = spark.createDataFrame([(n, text) for n, text in enumerate(texts)], "n int, t string").coalesce(1)
    parsed = parse_time(F.col("t"), Time(format=formats, zone=zone)).cast("string")  # type: ignore[arg-type]
    return [row[0] for row in frame.orderBy("n").select(parsed).collect()]


def test_iso_times_are_put_into_utc_from_their_offset_or_else_their_zone(spark: SparkSession) -> None:
    texts = [
        "2011-07-01T10:00:00", "2011-07-01 10:00:00Z", "2011-07-01T10:00:00+02:00", "2011-07-01T10:00:00.25-0500",
        "2011-07-01", "2011-12-01 10:00:00",
    ]  # fmt: skip
    assert times(spark, [*texts], ["iso"], "Europe/London") == [
        "2011-07-01 09:00:00", "2011-07-01 10:00:00", "2011-07-01 08:00:00", "2011-07-01 15:00:00.25",
        "2011-06-30 23:00:00", "2011-12-01 10:00:00",
    ]  # fmt: skip
    assert times(spark, ["2011-07-01T10:00:00+02:00"], ["iso"], "UTC") == ["2011-07-01 08:00:00"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/London"])
def test_what_is_no_time_is_null(spark: SparkSession, zone: str) -> None:
    texts: list[str | None] = [
        None,
        "",
        "now",
        "today",
        "10:00",
        "0:00-05:00",
        "2011-13-01",
        "2011-02-30",
        "junk",
        "-1",
    ]
    assert times(spark, texts, ["iso"], zone) == [None] * len(texts)


def test_epochs_are_seconds_or_milliseconds_with_fractions_and_never_overflow(spark: SparkSession) -> None:
    texts: list[str | None] = ["1309514400", "1309514400.5", "1e400", "99999999999999999999999", "x", "-1"]
    assert times(spark, texts, ["epoch_seconds"], "Europe/London") == [
        "2011-07-01 10:00:00", "2011-07-01 10:00:00.5", None, None, None, "1969-12-31 23:59:59",
    ]  # fmt: skip
    assert times(spark, ["1309514400123"], ["epoch_millis"], "UTC") == ["2011-07-01 10:00:00.123"]


def test_the_first_pattern_that_parses_wins(spark: SparkSession) -> None:
    formats = ["dd/MM/yyyy HH:mm", "yyyy-MM-dd'T'HH:mm:ssXXX", "yyyy-MM-dd"]
    texts: list[str | None] = ["02/07/2011 10:00", "2011-07-02T10:00:00+02:00", "2011-07-02", "07.02.2011"]
    assert times(spark, texts, formats, "Europe/London") == [
        "2011-07-02 09:00:00", "2011-07-02 08:00:00", "2011-07-01 23:00:00", None,
    ]  # fmt: skip


def test_standard_columns_are_constants_or_trimmed_and_mapped_text(spark: SparkSession) -> None:
    mapping = Mapping.bundled("online-retail-ii")
    frame = spark.createDataFrame(
        [("EIRE", "2010-07-01 10:00:00"), (" France ", "2010-01-01 10:00"), ("Unspecified", "x"), ("  ", None)],
        "Country string, InvoiceDate string",
    )
    events = mapping.events
    rows = frame.select(
        standard(events, "country"), standard(events, "currency"), standard(events, "rating"),
        event_time_expression(mapping),
    ).collect()  # fmt: skip
    assert [row[0] for row in rows] == ["Ireland", "France", None, None]
    assert {row[1] for row in rows} == {"GBP"} and {row[2] for row in rows} == {None}
    assert [row[3] for row in rows][:3] == [datetime(2010, 7, 1, 9), datetime(2010, 1, 1, 10), None]


def test_category_paths_come_from_columns_or_from_one_divided_column(spark: SparkSession) -> None:
    films = Mapping.bundled("movielens-1m").items
    grocer = Mapping.bundled("complete-journey").items
    assert films and grocer
    genres = spark.createDataFrame([("Animation|Children's |",), (None,)], "genres string")
    assert [row[0] for row in genres.select(category(films)).collect()] == [["Animation", "Children's"], None]
    path = spark.createDataFrame(
        [("GROCERY", " ", None)], "department string, product_category string, product_type string"
    )
    assert path.select(category(grocer)).collect()[0][0] == ["GROCERY"]


def test_sensitive_and_no_items_match_whole_levels_and_are_never_null(spark: SparkSession) -> None:
    mapping = Mapping.bundled("complete-journey")
    paths = {
        "cigarettes": (["DRUG GM", "CIGARETTES", "x"], True, False),
        "wine": (["GROCERY", "Imported Wine", None], True, False),
        "glasses": (["GROCERY", "WINEGLASSES"], False, False),
        "ham": (["MEAT-PCKGD", "LUNCHMEAT", "HAM- NET WEIGHT"], False, False),
        "pregnancy": (["DRUG GM", "HOME HEALTH CARE", "PREGNANCY TEST KITS"], True, False),
        "petrol": (["MISCELLANEOUS", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED"], False, True),
        "none": (None, False, False),
    }
    frame = spark.createDataFrame([(name, row[0]) for name, row in paths.items()], "name string, path array<string>")
    found = frame.select(
        "name", is_sensitive(mapping, F.col("path"), F.lit("t")), is_no_item(mapping, F.lit("1"), F.col("path"))
    ).collect()
    assert {row[0]: (row[1], row[2]) for row in found} == {name: row[1:] for name, row in paths.items()}


def test_codes_that_are_no_product_are_known(spark: SparkSession) -> None:
    mapping = Mapping.bundled("online-retail-ii")
    codes = ["POST", "m", "BANK CHARGES", "gift_0001_30", "DCGS0058", "85123A", "15056bl", "21232"]
    frame = spark.createDataFrame([(code,) for code in codes], "code string")
    chosen = frame.where(is_no_item(mapping, F.col("code"), F.lit(None).cast("array<string>")))
    assert {row[0] for row in chosen.collect()} == set(codes[:5])
