"""A generated log through the project's own load, ingest and clean: the books balance, and truth is met by kind."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.clean_truth import measure, missed, parameters
from expectations.events import ROW_RULES
from features.clean import NOT_A_PRODUCT, TOO_LATE, UNPARSABLE
from lake import delta
from lake.errors import SourceError
from lake.generator import Params, write_log
from lake.generator.defects import KINDS
from lake.generator.scoring import score
from lake.settings import Settings
from lake.sources.mapping import Mapping

TINY = Params(users=50, items=50, events=300, start=date(2024, 1, 1), days=3, seed=1, defects=0.0, bots=0.0)


def test_ingest_and_clean_do_with_every_kind_what_truth_says_and_the_books_balance(
    spark: SparkSession, tmp_path: Path
) -> None:
    # A day in the past, the same for ever; no exchanged days, which only a log of these days could have.
    params = replace(parameters(6_000, 0.5, 5, date(2024, 11, 20)), ingested=None)
    report, scores = measure(params, tmp_path)
    read = spark.read.text(str(tmp_path / "log" / "events")).count()
    assert report.rows_read == read
    assert read == (report.rows_clean or 0) + (report.rows_rejected or 0) + (report.rows_duplicate or 0)
    assert missed(scores) == []
    there = {item.kind for item in scores}
    # Rare kinds of purchases and ratings may be absent from so small a log.
    assert {kind.name for kind in KINDS if kind.concerns in ("any", "item")} - there == {"time_swapped"}
    assert {"bot", "return_matched"} <= there
    _falls_when_the_truth_is_another(spark, tmp_path)
    settings = Settings(home=tmp_path / "attune", shuffle_partitions=2)
    people = delta.read(spark, settings, "silver.consents").select("user_id").distinct().count()
    users = spark.read.parquet(str(tmp_path / "log" / "truth" / "users"))
    assert people == users.filter("consent <> 'never asked'").count()


def _falls_when_the_truth_is_another(spark: SparkSession, home: Path) -> None:
    """The scores are no rubber stamp: a truth with repeats, reasons and times that are not so is not met."""
    settings = Settings(home=home / "attune", shuffle_partitions=2)
    tables = [delta.read(spark, settings, name) for name in ("bronze.generated", "silver.events", "silver.rejected")]
    kind, truth = F.col("kind"), spark.read.parquet(str(home / "log" / "truth" / "defects"))
    later = F.col("event_time") + F.expr("INTERVAL 1 SECOND")
    wrong = truth.filter("kind <> 'repeated_line'").withColumns(
        {
            "reasons": F.when(kind == "item_missing", F.array(F.lit("user_id missing"))).otherwise(F.col("reasons")),
            "event_time": F.when(kind == "time_with_offset", later).otherwise(F.col("event_time")),
        }
    )
    found = {item.kind: item for item in score(wrong, *tables)}
    assert found["repeated_event_id"].recall == 1 and found["repeated_event_id"].precision < 1
    assert found["item_missing"].recall == 0 and found["user_missing"].recall == 1
    assert found["time_with_offset"].recall == 0 and found["time_in_millis"].recall == 1


def test_the_reasons_of_truth_are_those_that_cleaning_gives() -> None:
    known = {rule.reason for rule in ROW_RULES} | {NOT_A_PRODUCT, TOO_LATE, UNPARSABLE}
    told = {reason for kind in KINDS if kind.outcome == "rejected" for reason in kind.reasons}
    # A missing quantity is filled, so that no line lacks one.
    assert known - told == {"quantity missing"}
    assert told <= known


def test_a_log_is_written_whole_beside_its_truth_and_never_over_another(spark: SparkSession, tmp_path: Path) -> None:
    out = tmp_path / "new" / "log"
    found = write_log(spark, TINY, out)
    names = sorted(path.name for path in (out / "events").iterdir() if path.suffix == ".jsonl")
    assert names == ["2024-01-01-0000.jsonl", "2024-01-02-0000.jsonl", "2024-01-03-0000.jsonl"]
    assert sorted(path.name for path in (out / "truth").iterdir()) == ["defects", "items", "users"]
    assert Mapping.load(out / "generated.toml").kinds == ("events", "items", "users", "consents")
    assert json.loads((out / "generated.json").read_text())["rows"] == found.rows
    times = [json.loads(line)["at"] for name in names for line in (out / "events" / name).open()]
    assert len(times) == found.rows["events"] == TINY.events and times == sorted(times)
    # Nothing is wrong with this log: its truth has no row, and its columns all the same.
    assert found.defects == {} and "of_event_id" in spark.read.parquet(str(out / "truth" / "defects")).columns
    assert [path.name for path in out.parent.iterdir()] == ["log"]
    with pytest.raises(SourceError, match=r"which is not empty; allowed: a new or an empty folder"):
        write_log(spark, TINY, out)
