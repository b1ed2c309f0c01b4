"""A table that an earlier Attune wrote, as it lies in tests/lake/older, under today's contract."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import delta, log
from lake.settings import Settings
from lake.tables import ITEMS, RUNS, USER_STATE

OLDER = Path(__file__).parent / "older"
# What silver.items lacked when the stored table was written.
LACKED = ("updated_at", "priced_at")


@pytest.fixture
def older(settings: Settings) -> Settings:
    """A home that holds silver.items as it was."""
    shutil.copytree(OLDER / "items", log.address(settings, ITEMS.name))
    return settings


def columns(settings: Settings, name: str) -> list[str]:
    return [field.name for field in DeltaTable(log.address(settings, name)).schema().fields]


def test_an_older_table_is_read_with_nothing_in_the_new_columns(spark: SparkSession, older: Settings) -> None:
    assert not {*LACKED} & {*columns(older, ITEMS.name)}
    rows = delta.read(spark, older, ITEMS.name).orderBy("item_id").collect()
    assert [(row.item_id, row.title, row.updated_at, row.priced_at) for row in rows] == [
        ("a", "Lamp", None, None), ("b", "Chair", None, None), ("c", None, None, None),
    ]  # fmt: skip


def test_a_write_migrates_it_and_keeps_every_row(spark: SparkSession, older: Settings) -> None:
    before = {row.item_id: row.asDict() for row in delta.read(spark, older, ITEMS.name).collect()}
    new = spark.createDataFrame([{**before["a"], "item_id": "d", "title": "Table"}], ITEMS.schema)
    delta.merge(new, older, ITEMS, "run")
    assert set(columns(older, ITEMS.name)) == set(ITEMS.names)
    after = {row.item_id: row.asDict() for row in delta.read(spark, older, ITEMS.name).collect()}
    assert {name: after[name] for name in before} == before
    assert after["d"]["title"] == "Table"


def test_migrating_again_changes_nothing(spark: SparkSession, older: Settings) -> None:
    delta.ensure(spark, older, ITEMS)
    version = delta.version(spark, older, ITEMS.name)
    delta.ensure(spark, older, ITEMS)
    assert delta.version(spark, older, ITEMS.name) == version


def test_new_columns_are_described_and_get_statistics(spark: SparkSession, older: Settings) -> None:
    delta.ensure(spark, older, ITEMS)
    table = DeltaTable(log.address(older, ITEMS.name))
    described = {field.name: field.metadata["comment"] for field in table.schema().fields}
    assert all(described[item.name] == item.comment for item in ITEMS.columns if item.name in LACKED)
    assert table.metadata().configuration["delta.dataSkippingStatsColumns"] == ",".join(ITEMS.stats)


def test_a_state_without_deletion_vectors_gets_them_and_keeps_its_rows(spark: SparkSession, settings: Settings) -> None:
    columns = tuple(replace(item, stats=False) for item in USER_STATE.columns)
    earlier = replace(USER_STATE, deletion_vectors=False, columns=columns)
    anna, ben = (
        delta.completed(spark.createDataFrame([(user, 1)], "user_id string, days long"), USER_STATE).coalesce(1)
        for user in ("anna", "ben")
    )
    delta.append(anna.unionByName(ben).coalesce(1), settings, earlier, "run")
    delta.merge(ben.withColumn("days", F.lit(2)), settings, earlier, "run")
    uri = log.address(settings, USER_STATE.name)
    whole = DeltaTable(uri)
    assert whole.protocol().min_reader_version == 1
    delta.merge(ben.withColumn("days", F.lit(3)), settings, USER_STATE, "run")
    assert set(whole.file_uris()) < set(DeltaTable(uri).file_uris())
    rows = delta.read(spark, settings, USER_STATE.name).select("user_id", "days").collect()
    assert sorted(map(tuple, rows)) == [("anna", 1), ("ben", 3)]
    assert log.properties(settings, USER_STATE.name)["delta.dataSkippingStatsColumns"] == ",".join(USER_STATE.stats)
    version = log.version(settings, USER_STATE.name)
    delta.ensure(spark, settings, USER_STATE)
    assert log.version(settings, USER_STATE.name) == version


def test_a_table_written_without_spark_gets_the_column_with_its_next_row(settings: Settings) -> None:
    earlier = replace(RUNS, columns=tuple(item for item in RUNS.columns if item.name != "model_version"))
    row = dict.fromkeys(RUNS.names) | {"run_id": "first", "job": "clean_events"}
    log.append(settings, earlier, [{name: row[name] for name in earlier.names}], "first")
    log.append(settings, RUNS, [row | {"run_id": "second", "model_version": "shop/1"}], "second")
    found = log.dataset_of(DeltaTable(log.address(settings, RUNS.name))).to_table().to_pylist()
    assert {line["run_id"]: line["model_version"] for line in found} == {"first": None, "second": "shop/1"}
