"""The gate: stops what breaks a contract, says what and how often, and keeps people out of Data Docs."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from expectations.gate import gate, gates
from expectations.recommendations import FALLBACKS_SUITE, LIST_RULES, SUITE, with_checks
from expectations.rules import failed
from expectations.suites import SUITES
from lake.errors import ContractError
from lake.settings import Settings
from lake.tables import (
    AFFINITY,
    CONTEXT,
    CYCLES,
    DUE_AGAIN,
    ENGAGEMENT,
    FALLBACKS,
    INTENT,
    RECOMMENDATIONS,
    RFM,
    RFM_WINDOWS,
    TABLES,
    VALUE,
    Table,
)

SECRET = "a-user-who-must-not-be-named"


def _entry(rank: int, **changes: Any) -> tuple[Any, ...]:
    entry = {
        "rank": rank, "item_id": f"item-{rank}", "title": None, "score": 1.0, "source": "popularity",
        "reason": "Popular this month", "slot_kind": "ranked", "propensity": 1.0,
    }  # fmt: skip
    return tuple((entry | changes).values())


def _fallbacks(spark: SparkSession, *lists: list[tuple[Any, ...]] | None) -> DataFrame:
    rows = [("s1", "country", f"c{number}", items) for number, items in enumerate(lists)]
    return spark.createDataFrame(rows, FALLBACKS.schema).coalesce(1)


def _text(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.suffix in {".html", ".json"})


def test_what_keeps_its_contract_passes_and_the_verdict_is_in_data_docs(
    spark: SparkSession, settings: Settings
) -> None:
    gate(_fallbacks(spark, [_entry(1), _entry(2)]), "gold.fallbacks", settings, "run-a")
    index = (settings.data_docs / "index.html").read_text()
    assert "gold.fallbacks" in index
    assert "run-a" in index
    assert [rule.reason for rule in LIST_RULES][-1] in _text(settings.data_docs)


def test_all_that_breaks_is_told_at_once_and_every_verdict_is_in_data_docs(
    spark: SparkSession, settings: Settings
) -> None:
    """Of one table twice, as of two dates, too."""
    twice = [_entry(1), _entry(2, item_id="item-1")]
    lists = spark.createDataFrame([("s1", "u1", 1, "Champions", "FR", twice, None)], RECOMMENDATIONS.schema).coalesce(1)
    sound, broken = _fallbacks(spark, [_entry(1)]), _fallbacks(spark, twice)
    tables = [(broken, "gold.fallbacks"), (sound, "gold.fallbacks"), (lists, "gold.recommendations")]
    with pytest.raises(ContractError) as caught:
        gates(tables, settings, "run")
    message = str(caught.value)
    for table in ("gold.fallbacks", "gold.recommendations"):
        assert message.count(f"{table} breaks its contract: items_distinct_true") == 1
    assert len(list((settings.data_docs / ".store" / "results").rglob("*.json"))) == 3


def test_a_broken_contract_stops_names_table_rules_and_counts_and_leaks_nobody(
    spark: SparkSession, settings: Settings
) -> None:
    rows = [
        ("s1", SECRET, 1, "Champions", "FR", [_entry(1)], None),
        ("s1", SECRET, 1, "Champions", "FR", [_entry(1, item_id=SECRET), _entry(2, item_id=SECRET)], None),
        ("s1", "ok", 999, "Champions", "FR", [_entry(1, score=float("nan"), propensity=0.0)], None),
    ]
    frame = spark.createDataFrame(rows, RECOMMENDATIONS.schema).coalesce(1)
    with pytest.raises(ContractError) as caught:
        gate(frame, "gold.recommendations", settings, "run-b")
    message = str(caught.value)
    assert message.startswith("gold.recommendations breaks its contract")
    assert "user_bucket_between: no row with user_bucket not between 0 and 255, got 1 of 3" in message
    assert "items_distinct_true: no row with an item twice in a list, got 1 of 3" in message
    assert "propensities_valid_true" in message
    assert "snapshot_id_user_id_unique" in message
    assert "ranks_consecutive" not in message
    assert str(settings.data_docs / "index.html") in message
    assert SECRET not in message
    assert "gold.recommendations" in _text(settings.data_docs)
    assert SECRET not in _text(settings.data_docs)


DAY = date(2026, 3, 1)
WHO = {"user_id": "u", "user_bucket": 1, "as_of": DAY}
BOUGHT = {"recency": 3, "frequency": 2, "monetary": 9.5, "r": 5, "f": 1, "m": 3}
# By table a good row, and by what is said of it a bad one.
ROWS: dict[Table, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {
    ENGAGEMENT: (
        WHO | {"age": 40, "idle": 3, "active_days": 6, "active_7": 1, "active_28": 4, "active_91": 6, "events": 9,
               "sessions": 7, "depth": 9 / 7, "quick_exit_share": 0.5, "back_and_forth": 0.0, "dwell_ms": 0,
               "trend": 0.1, "clumpiness": 0.2, "stage": "active", "used": ["view"], "ignored": ["search"]},
        {
            "age not whole days from 1": {"age": 0, "idle": 1, "active_days": 0, "active_91": 0},
            "a last active day before the first": {"idle": 41},
            "more active days than days": {"age": 5},
            "more active days lately than ever": {"active_91": 7},
            "an active day without an event": {"events": 5},
            "depth not a finite number from 1": {"depth": float("nan")},
            "trend not a possible number": {"trend": 9.0},
            "stage": {"stage": "undead"},
            "quick_exit_share": {"quick_exit_share": 1.5},
            "rapid returns not a finite number from 0": {"back_and_forth": -0.5},
            "a kind of event that is none": {"used": ["view", "impression"]},
            "a kind of event that is both used and passed by": {"ignored": ["search", "view"]},
        },
    ),
    RFM: (
        WHO | BOUGHT | {"segment": "Champions", "tenure": 9},
        {
            "recency not whole days from 0": {"recency": -1},
            "frequency below one order": {"frequency": 0},
            "monetary not a finite number from 0": {"monetary": -0.01},
            "r_between": {"r": 6},
            "segment": {"segment": "Nobodies"},
        },
    ),
    RFM_WINDOWS: (
        WHO | BOUGHT | {"window_days": 30},
        {"a window longer than what is kept": {"window_days": 366}, "m_present": {"m": None}},
    ),
    INTENT: (
        WHO | {"cart_items": 1, "cart_value": 9.0, "cart_newest": 2, "cart_oldest": 2, "viewed_items": 0, "searches": 1,
               "search_idle": 1, "terms": ["tea"], "items": [("tea", 2, 1, 1, 9.0)]},
        {
            "nothing in the cart, nothing looked at and no search": {"cart_items": 0, "searches": 0},
            "cart_value not a finite number above 0": {"cart_value": 0.0},
            "the newest item in the cart older than the oldest": {"cart_newest": 3},
            "cart_oldest_between": {"cart_oldest": 31},
            "search_idle_between": {"search_idle": 8},
            "an item without id": {"items": [(None, 2, 1, 1, 9.0)]},
            "longest_text_between": {"terms": ["x" * 101]},
            "texts_between": {"terms": [str(number) for number in range(21)]},
        },
    ),
    AFFINITY: (
        WHO | {"dimension": "brand", "key": "Ahn", "score": 1.0, "share": 0.5, "lift": 1.5, "recent_score": -1.0,
               "recent_share": 0.0, "evidence": 3},
        {
            "score not a finite number above 0": {"score": 0.0},
            "share not between 0 and 1": {"share": 1.5},
            "lift not a finite number above 0": {"lift": float("inf")},
            "recent score not a finite number": {"recent_score": float("nan")},
            "a score without an event behind it": {"evidence": 0},
            "dimension": {"dimension": "colour"},
        },
    ),
    CONTEXT: (
        WHO | {"context": "daypart", "situation": "night", "key": "drinks", "share": 0.5, "lift": 1.5, "evidence": 3},
        {
            "share not between 0 and 1": {"share": 0.0},
            "lift not a finite number above 0": {"lift": float("nan")},
            "a preference without an event behind it": {"evidence": 0},
            "context": {"context": "weather"},
            "situation_present": {"situation": None},
        },
    ),
    DUE_AGAIN: (
        WHO | {"dimension": "item", "key": "tea", "days": 2, "first_bought": date(2026, 1, 1),
               "last_bought": date(2026, 2, 1), "own_gap": 31.0, "cycle": 30.0, "due": date(2026, 3, 3)},
        {
            "a first day after the last": {"first_bought": date(2026, 2, 2)},
            "a purchase after as_of": {"last_bought": date(2026, 3, 2)},
            "due before it was bought": {"due": date(2026, 1, 31)},
            "cycle_between": {"cycle": 366.0},
            "days_between": {"days": 0},
        },
    ),
    CYCLES: (
        {"as_of": DAY, "dimension": "item", "key": "tea", "users": 9, "returning": 3, "gaps": 4, "cycle": 30.0},
        {
            "more who came back than bought": {"users": 2},
            "fewer gaps than users who came back": {"gaps": 2},
            "nobody who came back": {"returning": 0},
            "cycle_between": {"cycle": 0.0},
        },
    ),
    VALUE: (
        WHO | {"purchases": 2, "alive": 0.5, "horizon_days": 90, "expected_purchases": 1.5, "expected_value": 9.0,
               "expected_revenue": 13.5, "fitted_as_of": DAY},
        {
            "days with a purchase not from 1": {"purchases": 0},
            "a probability not between 0 and 1": {"alive": 1.1},
            "expected purchases not a finite number from 0": {"expected_purchases": float("nan")},
            "expected value not a finite number from 0": {"expected_value": -1.0},
            "expected revenue not a finite number from 0": {"expected_revenue": float("inf")},
        },
    ),
}  # fmt: skip


def test_possible_features_pass_and_each_impossible_one_is_named_by_its_rule(
    spark: SparkSession, settings: Settings
) -> None:
    def night(rows: dict[Table, list[dict[str, Any]]]) -> list[tuple[DataFrame, str]]:
        filled = {table: [tuple(row.get(name) for name in table.names) for row in some] for table, some in rows.items()}
        return [(spark.createDataFrame(some, table.schema), table.name) for table, some in filled.items()]

    gates(night({table: [good] for table, (good, _) in ROWS.items()}), settings, "run")
    bad = {}
    for table, (good, faults) in ROWS.items():
        name = "user_id" if "user_id" in table.names else "key"
        rows = [good | {name: f"bad {number}"} | fault for number, fault in enumerate(faults.values())]
        # Twice the same key, too.
        bad[table] = [*rows, good, good]
    with pytest.raises(ContractError) as caught:
        gates(night(bad), settings, "run")
    told = dict(re.findall(r"(gold\.\w+) breaks its contract: (.*?)(?=gold\.\w+ breaks|\Z)", str(caught.value), re.S))
    assert set(told) == {table.name for table in ROWS}
    for table, (_, faults) in ROWS.items():
        missing = [reason for reason in (*faults, "_unique") if reason not in told[table.name]]
        assert not missing, told[table.name]


def test_every_table_of_features_has_a_gate() -> None:
    """Day tiles, and what the state and the models keep for themselves, are made again from what passed."""
    kept = {
        "user_item_day",
        "user_day",
        "item_keys",
        "user_state",
        "population",
        "value_fits",
        "user_factors",
        "item_factors",
        "sources",
    }
    gold = {table.name for table in TABLES.values() if table.name.startswith("gold.")} - {"gold.snapshots"}
    assert gold - {f"gold.{name}" for name in kept} == {name for name in SUITES if name.startswith("gold.")}


def test_data_docs_keep_the_latest_verdicts_only(spark: SparkSession, settings: Settings) -> None:
    frame = _fallbacks(spark, [_entry(1)])
    for run in ("first", "second", "third"):
        gate(frame, "gold.fallbacks", settings, run, keep=2)
    index = (settings.data_docs / "index.html").read_text()
    assert "third" in index
    assert "second" in index
    assert "first" not in index


def test_a_snapshot_without_any_fallback_does_not_pass(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(ContractError, match="fewer than 1 list of a cohort, got 0"):
        gate(_fallbacks(spark), "gold.fallbacks", settings, "run")


def test_a_frame_that_lacks_columns_is_refused_by_name(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(ContractError, match=r"gold\.rfm lacks the columns .*'segment'.*it has \['user_id'\]"):
        gate(spark.createDataFrame([("a",)], "user_id string"), "gold.rfm", settings, "run")
    with pytest.raises(ContractError, match=r"no expectations for gold\.nothing; tables with a gate: silver\.events"):
        gate(spark.createDataFrame([("a",)], "user_id string"), "gold.nothing", settings, "run")


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        (None, "a list that is empty or longer than 200"),
        ([], "a list that is empty or longer than 200"),
        ([_entry(rank) for rank in range(1, 202)], "a list that is empty or longer than 200"),
        ([_entry(1), _entry(3)], "ranks that are not 1, 2, 3, ..."),
        ([_entry(2), _entry(1)], "ranks that are not 1, 2, 3, ..."),
        ([_entry(1), _entry(2, item_id="item-1")], "an item twice in a list"),
        ([_entry(1, item_id=None)], "an item without id"),
        ([_entry(1, score=float("nan"))], "a score that is no finite number"),
        ([_entry(1, score=float("-inf"))], "a score that is no finite number"),
        ([_entry(1, propensity=1.5)], "a propensity outside (0, 1]"),
        ([_entry(1, propensity=None)], "a propensity outside (0, 1]"),
        ([_entry(1, reason="  ")], "an item without a reason"),
        ([_entry(1), _entry(2, reason=None)], "an item without a reason"),
    ],
)
def test_each_fault_of_a_list_has_its_rule(spark: SparkSession, items: list[Any] | None, reason: str) -> None:
    checked = with_checks(_fallbacks(spark, items)).select(failed(LIST_RULES).alias("reasons")).first()
    assert reason in checked.reasons


def test_suites_look_at_columns_their_tables_have(spark: SparkSession) -> None:
    for name, suite in SUITES.items():
        view = suite.view(spark.createDataFrame([], TABLES[name].schema))
        assert len(view.columns) > 3
    assert {*LIST_RULES} <= {*SUITE} & {*FALLBACKS_SUITE}
