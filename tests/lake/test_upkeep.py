"""Upkeep: few files with the same rows, retention, vacuum, and what must stay readable."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from chispa.dataframe_comparer import assert_df_equality
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import delta, log, upkeep
from lake.settings import Settings
from lake.tables import FALLBACKS, REJECTED, TABLES, USER_STATE, Table

DAY = date(2025, 3, 1)


def rejected(spark: SparkSession, day: date, rows: int = 5) -> DataFrame:
    frame = spark.range(rows).select(F.lit(day).alias("window_date"), F.col("id").cast("string").alias("row"))
    return frame.withColumns(
        {item.name: F.lit(None).cast(item.type) for item in REJECTED.columns if item.name not in frame.columns}
    )


def nights(spark: SparkSession, settings: Settings, count: int, first: date = DAY) -> None:
    for number in range(count):
        day = first + timedelta(days=number)
        delta.replace_window(
            rejected(spark, day), settings, REJECTED, f"window_date = '{day.isoformat()}'", f"run {number}", files=1
        )


def files(settings: Settings, table: Table) -> int:
    return log.files_of(DeltaTable(log.address(settings, table.name))).num_rows


def keep_up(spark: SparkSession, settings: Settings, table: Table, as_of: date) -> upkeep.Upkeep:
    return upkeep.keep_up(spark, settings, table.name, TABLES[table.name], as_of, [])


def due(settings: Settings, table: Table, as_of: date) -> bool:
    return upkeep.due(settings, table.name, TABLES[table.name], as_of, [])


def test_many_small_files_become_few_with_the_same_rows(spark: SparkSession, settings: Settings) -> None:
    nights(spark, settings, 10)
    before = delta.read(spark, settings, REJECTED.name, version=10)
    assert due(settings, REJECTED, DAY + timedelta(days=10))
    done = keep_up(spark, settings, REJECTED, DAY + timedelta(days=10))
    assert (done.before, done.after, done.expired) == (10, 1, False)
    assert_df_equality(delta.read(spark, settings, REJECTED.name), before, ignore_row_order=True)


def test_few_files_are_left_alone(spark: SparkSession, settings: Settings) -> None:
    nights(spark, settings, 3)
    version = delta.version(spark, settings, REJECTED.name)
    assert not due(settings, REJECTED, DAY + timedelta(days=3))
    done = keep_up(spark, settings, REJECTED, DAY + timedelta(days=3))
    assert (done.before, done.after) == (3, 3)
    assert files(settings, REJECTED) == 3
    history = DeltaTable(log.address(settings, REJECTED.name)).history()
    assert {entry["operation"] for entry in history if entry["version"] > version} <= {"VACUUM START", "VACUUM END"}


def test_rows_past_their_retention_go_and_those_of_the_last_day_stay(spark: SparkSession, settings: Settings) -> None:
    nights(spark, settings, 2)
    assert REJECTED.keep_days is not None
    kept = timedelta(days=REJECTED.keep_days)
    assert not due(settings, REJECTED, DAY + kept)
    assert not keep_up(spark, settings, REJECTED, DAY + kept).expired
    assert due(settings, REJECTED, DAY + kept + timedelta(days=1))
    assert keep_up(spark, settings, REJECTED, DAY + kept + timedelta(days=1)).expired
    days = delta.read(spark, settings, REJECTED.name).select("window_date").distinct().collect()
    assert [row.window_date for row in days] == [DAY + timedelta(days=1)]


def test_a_table_kept_by_user_is_sorted_by_its_bucket(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LARGE", 20_000)
    frame = spark.range(4000).select(F.concat(F.lit("user-"), F.col("id")).alias("user_id"))
    frame = frame.withColumn("user_bucket", delta.user_bucket()).withColumns(
        {
            item.name: F.lit(None).cast(item.type)
            for item in USER_STATE.columns
            if item.name not in [*frame.columns, "user_bucket"]
        }
    )
    for part in frame.randomSplit([1.0] * 10, seed=1):
        delta.append(part.coalesce(1), settings, USER_STATE, "run")
    keep_up(spark, settings, USER_STATE, DAY)
    found = log.files_of(DeltaTable(log.address(settings, USER_STATE.name))).to_pylist()
    ranges = sorted((row["min.user_bucket"], row["max.user_bucket"]) for row in found)
    assert len(ranges) > 1
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ranges))


def people(spark: SparkSession, *users: str) -> DataFrame:
    frame = spark.createDataFrame([(user,) for user in users], "user_id string")
    return delta.completed(frame.withColumn("user_bucket", delta.user_bucket()), USER_STATE).coalesce(1)


def held_in_files(settings: Settings, table: Table) -> set[str]:
    """Users of the files that the table refers to, whatever is marked in them."""
    paths = (Path(uri.removeprefix("file://")) for uri in DeltaTable(log.address(settings, table.name)).file_uris())
    return {user for path in paths for user in pq.read_table(path, columns=["user_id"])["user_id"].to_pylist()}


def test_a_change_of_the_state_leaves_its_files_and_the_upkeep_takes_out_what_is_marked_in_them(
    spark: SparkSession, settings: Settings
) -> None:
    def paths() -> set[str]:
        return set(DeltaTable(log.address(settings, USER_STATE.name)).file_uris())

    def users() -> dict[str, int | None]:
        return {row.user_id: row.days for row in delta.read(spark, settings, USER_STATE.name).collect()}

    delta.append(people(spark, "anna", "ben", "cleo"), settings, USER_STATE, "run")
    before = paths()
    assert not due(settings, USER_STATE, DAY)
    delta.merge(people(spark, "ben").withColumn("days", F.lit(1)), settings, USER_STATE, "run")
    assert before < paths(), "the other rows are not written again"
    assert users() == {"anna": None, "ben": 1, "cleo": None}
    delta.delete_users(spark, settings, USER_STATE, people(spark, "anna"), "run")
    assert users() == {"ben": 1, "cleo": None}
    assert "anna" in held_in_files(settings, USER_STATE)
    assert due(settings, USER_STATE, DAY)
    keep_up(spark, settings, USER_STATE, DAY)
    assert users() == {"ben": 1, "cleo": None}
    assert held_in_files(settings, USER_STATE) == {"ben", "cleo"}
    assert not due(settings, USER_STATE, DAY)


def test_a_version_that_is_pinned_stays_readable_and_others_go(spark: SparkSession, settings: Settings) -> None:
    def write(name: str) -> int:
        frame = spark.createDataFrame([(name, "global", "all", [])], FALLBACKS.schema)
        delta.ensure(spark, settings, FALLBACKS)
        path = str(delta.table_path(settings, FALLBACKS.name))
        frame.coalesce(1).write.format("delta").mode("overwrite").save(path)
        return delta.version(spark, settings, FALLBACKS.name) or 0

    first, pinned, last = write("first"), write("pinned"), write("last")
    long_ago = settings.model_copy(update={"vacuum_hours": 0})
    # Delta refuses to forget within a week unless it is told that nobody reads.
    uri = log.address(settings, FALLBACKS.name)
    DeltaTable(uri).alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 hours"})
    to_do = (long_ago, FALLBACKS.name, FALLBACKS, DAY, [pinned])
    assert upkeep.due(*to_do)
    upkeep.keep_up(spark, *to_do)
    assert not upkeep.due(*to_do), "what is pinned or lives on is not to be removed"

    def names(version: int) -> list[str]:
        # As readers do: Spark would not look back beyond the retention.
        found: list[str] = log.dataset_of(DeltaTable(uri, version=version)).to_table()["snapshot_id"].to_pylist()
        return found

    assert names(pinned) == ["pinned"] and names(last) == ["last"]
    gone = DeltaTable(uri, version=first).file_uris()
    assert gone and not any(Path(path.removeprefix("file://")).exists() for path in gone)


def test_tables_without_a_contract_are_kept_up_too(spark: SparkSession, settings: Settings) -> None:
    path = str(settings.lake / "bronze" / "shop")
    for number in range(10):
        spark.range(number, number + 1).coalesce(1).write.format("delta").mode("append").save(path)
    assert upkeep.names(settings) == ["bronze.shop"]
    done = upkeep.keep_up(spark, settings, "bronze.shop", None, DAY, [])
    assert (done.before, done.after) == (10, 1)
