"""What standardising does to one row."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from features.standardise import correct_times, standardise
from lake.codes import country_codes, currency_codes
from tests.bronze import bronze, shop


def _standard(spark: SparkSession, frame: DataFrame) -> DataFrame:
    return standardise(
        frame, shop(), country_codes(), currency_codes(), spark.createDataFrame([("gift",)], "item_id string")
    )


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a country by its name becomes its code": ({"country": " united kingdom "}, {"country": "GB", "corrected": []}),
    "a country by its three letters": ({"country": "FRA"}, {"country": "FR"}),
    "an unknown country is null and flagged": (
        {"country": "Atlantis"}, {"country": None, "corrected": ["unknown_country"]}),
    "a country mapped to nothing is null": ({"country": "Somewhere"}, {"country": None, "corrected": []}),
    "a currency by its name becomes its code": ({"currency": "pound sterling"}, {"currency": "GBP"}),
    "an unknown currency stays for the rules": ({"currency": "quid"}, {"currency": "QUID"}),
    "amount is filled from quantity and price": (
        {"quantity": "4"}, {"amount": 10.0, "unit_price": 2.5, "filled": ["amount"]}),
    "price is filled from amount and quantity": (
        {"price": None, "amount": "9", "quantity": "3"}, {"unit_price": 3.0, "filled": ["unit_price"]}),
    "a missing quantity of a purchase is one": (
        {"quantity": None, "amount": "9", "price": "9"}, {"quantity": 1.0, "filled": ["quantity"]}),
    "a missing device is unknown": ({"device": " "}, {"device": "unknown", "filled": ["amount", "device"]}),
    "a view is given no quantity": (
        {"kind": "View", "quantity": None, "price": None}, {"event_type": "view", "quantity": None, "filled": []}),
    "white space in titles is one space": ({"title": "  Green\t\u00a0 tea "}, {"title": "Green tea"}),
    "an id keeps quotes, slashes and any script": ({"user": " a/'b\"Ж "}, {"user_id": "a/'b\"Ж"}),
    "a cancellation becomes a return": (
        {"order": "C7", "quantity": "-2"},
        {"event_type": "return", "quantity": 2.0, "amount": 5.0, "corrected": ["cancellation_to_return"]}),
    "negative quantity and money are a return": (
        {"quantity": "-2"},
        {"event_type": "return", "quantity": 2.0, "amount": 5.0, "corrected": ["negative_quantity_to_return"]}),
    "a negative quantity at no price stays negative": (
        {"quantity": "-2", "price": "0"}, {"event_type": "purchase", "quantity": -2.0}),
    "a search is kept as it was written": (
        {"kind": "search", "query": " Zwölf  Öfen\t茶 "}, {"query": "Zwölf Öfen 茶", "corrected": []}),
    "what was searched for of a sensitive topic is not kept": (
        {"kind": "search", "query": "red WINE from Rome"}, {"event_type": "search", "query": None}),
    "postage is no item": ({"item": "POST"}, {"_not_item": True}),
    "an item of an excluded category is no item": ({"item": "gift"}, {"_not_item": True}),
    "a time that cannot be read is null": ({"time": "2024-06-01 later"}, {"event_time": None}),
}  # fmt: skip


def test_each_row_is_standardised_as_its_case_says(spark: SparkSession) -> None:
    rows = _standard(spark, bronze(spark, *(changes for changes, _ in CASES.values()))).collect()
    found = {row["event_id"]: row.asDict() for row in rows}
    for number, (name, (_, expected)) in enumerate(CASES.items()):
        actual = {column: found[f"shop:{number}"][column] for column in expected}
        assert actual == expected, name


@pytest.mark.parametrize("bad", ["abc", "1e309", "NaN"])
def test_a_number_that_cannot_be_read_does_not_become_one(spark: SparkSession, bad: str) -> None:
    row = _standard(spark, bronze(spark, {"quantity": bad})).collect()[0]
    assert not 0 < row["quantity"] < 1e300


def test_day_and_month_are_exchanged_only_when_that_gives_the_day_of_arrival(spark: SparkSession) -> None:
    # Received on 30 June 2024: 4 December lies ahead, 12 April does not.
    arrived = bronze(spark, {"time": "2024-12-04 10:00:00"}, window_date=date(2024, 4, 12))
    row = _standard(spark, arrived).collect()[0]
    assert (row["event_time"], row["corrected"]) == (datetime(2024, 4, 12, 10), ["day_and_month_swapped"])
    other = _standard(spark, bronze(spark, {"time": "2024-12-04 10:00:00"}, window_date=date(2024, 4, 13))).collect()[0]
    assert (other["event_time"], other["corrected"]) == (datetime(2024, 12, 4, 10), [])


def test_exchanging_day_and_month_keeps_the_fraction_of_a_second(spark: SparkSession) -> None:
    time, received = datetime(2024, 12, 4, 10, 0, 7, 250_000), datetime(2024, 6, 30)
    schema = "event_time timestamp, received_at timestamp, _window_date date, corrected array<string>"
    row = correct_times(spark.createDataFrame([(time, received, date(2024, 4, 12), [])], schema)).collect()[0]
    assert row["event_time"] == datetime(2024, 4, 12, 10, 0, 7, 250_000)
