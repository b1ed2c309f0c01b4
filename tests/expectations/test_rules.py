"""Every rule as the predicate that quarantines and gates, and beside Great Expectations' own expectation of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from benchmarks.native_expectations import verdict
from expectations.counts import counts
from expectations.events import ROW_RULES
from expectations.gate import new_context
from expectations.rules import Rule, all_hold, among, applicable, failed, in_set, is_true, matches, not_after, present
from lake.tables import EVENTS

COLUMNS = f"{EVENTS.schema}, received_at timestamp, unit_price double, flag boolean"
NAMES = (*EVENTS.names, "received_at", "unit_price", "flag")

GOOD: dict[str, Any] = {
    "user_id": "O'Brien/\"é\" 用户\\", "item_id": "85123A", "event_type": "purchase", "quantity": 2.0, "amount": 5.0,
    "event_time": datetime(2026, 3, 1, tzinfo=UTC), "received_at": datetime(2026, 3, 2, tzinfo=UTC), "currency": "GBP",
    "unit_price": 2.5, "flag": True,
}  # fmt: skip

ALSO_GOOD: list[dict[str, Any]] = [
    {"event_type": "search", "item_id": None, "quantity": None, "amount": None},
    {"event_type": "view", "quantity": None, "amount": 0.0, "currency": None, "unit_price": None, "flag": None},
    {"event_type": "rate", "rating": 5.0, "quantity": float("nan")},
    {"user_id": "x" * 256, "amount": 1e7, "quantity": 1e6, "received_at": GOOD["event_time"]},
    {"event_type": "return", "amount": 0.0},
]

# What is wrong with a row, and the reasons it must be rejected for.
BAD: list[tuple[dict[str, Any], set[str]]] = [
    ({"user_id": None}, {"user_id missing"}),
    ({"user_id": ""}, {"user_id empty or with control characters"}),
    ({"user_id": "anna\n"}, {"user_id empty or with control characters"}),
    ({"user_id": "x" * 257}, {"user_id longer than 256 characters"}),
    ({"item_id": None}, {"item_id missing"}),
    ({"item_id": "a\x00b"}, {"item_id empty or with control characters"}),
    ({"item_id": "é" * 10_000}, {"item_id longer than 256 characters"}),
    ({"event_type": None}, {"event_type missing"}),
    ({"event_type": "buy"}, {"event_type unknown"}),
    ({"event_time": None}, {"event_time missing or unreadable"}),
    ({"event_time": datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)}, {"event_time before 1970 or after 2999"}),
    ({"event_time": datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC)}, {"event_time in the future"}),
    ({"quantity": None}, {"quantity missing"}),
    ({"quantity": 0.0}, {"quantity not a number above 0 and up to 1,000,000"}),
    ({"quantity": float("nan")}, {"quantity not a number above 0 and up to 1,000,000"}),
    ({"quantity": 1e300}, {"quantity not a number above 0 and up to 1,000,000"}),
    ({"amount": 0.0}, {"amount of a purchase not above 0"}),
    ({"amount": float("inf"), "event_type": "return"}, {"amount not a number from 0 to 10,000,000"}),
    ({"amount": -1.0, "event_type": "view"}, {"amount not a number from 0 to 10,000,000"}),
    ({"amount": float("nan")}, {"amount not a number from 0 to 10,000,000", "amount of a purchase not above 0"}),
    ({"unit_price": 1e308}, {"unit_price not a number from 0 to 10,000,000"}),
    ({"currency": "XQQ"}, {"currency not in ISO 4217"}),
    ({"event_type": "rate"}, {"rating missing"}),
    ({"rating": float("-inf")}, {"rating not a finite number"}),
    (
        {"user_id": None, "event_type": None, "currency": "€"},
        {"user_id missing", "event_type missing", "currency not in ISO 4217"},
    ),
]

RULES: tuple[Rule, ...] = (*ROW_RULES, is_true("flag", "flag down"))


def _frame(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    return spark.createDataFrame([tuple((GOOD | row).get(name) for name in NAMES) for row in rows], COLUMNS)


def test_each_good_row_keeps_every_rule_and_each_bad_row_is_told_every_reason(spark: SparkSession) -> None:
    rows = [*({} | row for row in ALSO_GOOD), {}, *(row for row, _ in BAD)]
    expected = [set[str]()] * (len(ALSO_GOOD) + 1) + [reasons for _, reasons in BAD]
    verdicts = (
        _frame(spark, rows).select(failed(ROW_RULES).alias("reasons"), all_hold(ROW_RULES).alias("kept")).collect()
    )
    assert [set(row.reasons) for row in verdicts] == expected
    assert [row.kept for row in verdicts] == [not reasons for reasons in expected]
    assert set().union(*expected) == {rule.reason for rule in ROW_RULES}, "a rule without a row that breaks it"


def test_great_expectations_own_expectations_find_the_same_broken_rows_as_the_gate_counts(
    spark: SparkSession, tmp_path: Path
) -> None:
    frame = _frame(spark, [*ALSO_GOOD, {}, {"flag": False}, *(row for row, _ in BAD)]).coalesce(1).cache()
    (counted,) = counts([(frame, RULES)])
    result = verdict(new_context(tmp_path), frame, RULES, "BASIC")
    found = {item.expectation_config.meta["rule"]: item.result["unexpected_count"] for item in result.results}
    assert found | {"rows": frame.count()} == counted
    assert min(found.values()) > 0


def test_great_expectations_own_expectations_pass_what_the_predicates_pass(spark: SparkSession, tmp_path: Path) -> None:
    frame = _frame(spark, [*ALSO_GOOD, {}]).coalesce(1)
    result = verdict(new_context(tmp_path), frame, RULES, "BOOLEAN_ONLY")
    assert result.success, [item.expectation_config.meta["rule"] for item in result.results if not item.success]
    assert sum(counts([(frame, RULES)])[0].values()) == len(ALSO_GOOD) + 1


def test_a_verdict_is_never_null_even_where_everything_else_is(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None,) * len(NAMES)], COLUMNS)
    verdicts = frame.select(*(rule.holds().alias(str(number)) for number, rule in enumerate(RULES))).first()
    assert set(verdicts) == {True, False}


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        (present("a").when(among("kind", "x")), {"a", "kind"}),
        (present("a").unless(among("kind", "x")), {"a", "kind"}),
        (not_after("a", "b"), {"a", "b"}),
        (matches("a", "x"), {"a"}),
    ],
)
def test_a_rule_knows_the_columns_without_which_it_cannot_be_evaluated(rule: Rule, columns: set[str]) -> None:
    assert rule.needs == columns
    assert applicable([rule], columns) == (rule,)
    assert applicable([rule], columns - {"a"}) == ()


def test_a_condition_and_its_opposite_both_leave_rows_alone_whose_kind_is_unknown(spark: SparkSession) -> None:
    rule = in_set("a", ["good"])
    for conditional in (rule.when(among("kind", "x")), rule.unless(among("kind", "x"))):
        frame = spark.createDataFrame([("bad", None)], "a string, kind string")
        assert frame.select(conditional.holds()).first()[0] is True
