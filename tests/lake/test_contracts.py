"""Contracts: what lake/tables/ says is what the tables and the documentation say."""

from __future__ import annotations

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lake import delta
from lake.contracts_page import PAGE, page
from lake.errors import ContractError
from lake.settings import Settings
from lake.tables import EVENTS, RECOMMENDATIONS, RUNS, TABLES, USERS

PEOPLE = {"user_id", "session_id", "order_id", "event_id", "query", "row"}


def test_the_documentation_is_what_the_contracts_say() -> None:
    assert PAGE.read_text() == page(), "run: python -m lake.contracts_page"


def test_no_id_of_a_person_is_in_the_statistics() -> None:
    assert not {column for table in TABLES.values() for column in table.stats} & PEOPLE


def test_every_key_and_window_is_a_column() -> None:
    for table in TABLES.values():
        assert {*table.keys, *([table.window] if table.window else [])} <= set(table.names), table.name


def test_a_table_is_made_as_its_contract_says_and_old_readers_can_open_it(
    spark: SparkSession, settings: Settings
) -> None:
    for table in (EVENTS, RECOMMENDATIONS, RUNS):
        delta.ensure(spark, settings, table)
        opened = DeltaTable(str(delta.table_path(settings, table.name)))
        assert opened.protocol().min_reader_version == 1
        assert tuple(field.name for field in opened.schema().fields) == table.names


def test_a_frame_that_lacks_a_column_is_refused_by_name(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(ContractError, match=r"silver\.users lacks \['user_bucket', 'country'.*frame has \['user_id'"):
        delta.merge(spark.createDataFrame([("u",)], "user_id string"), settings, USERS, "run")
