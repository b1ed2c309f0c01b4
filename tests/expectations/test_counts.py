"""What the gate counts: keys that more than one row has are counted, and never named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from expectations import suites
from expectations.gate import gate
from expectations.promises import unique
from expectations.suites import Suite
from lake.errors import ContractError
from lake.settings import Settings

TABLE = "gold.pairs"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setitem(suites.SUITES, TABLE, Suite(TABLE, (unique("user_id"), unique("user_id", "item_id"))))
    return Settings(home=tmp_path)


def test_keys_of_more_than_one_row_are_counted_and_not_named(spark: SparkSession, settings: Settings) -> None:
    """A null is a key like any other; a row without any key is none."""
    rows = [
        ("anna", "tea"),
        ("anna", "tea"),
        ("anna", "pan"),
        ("ben", "tea"),
        (None, "tea"),
        (None, None),
        (None, None),
    ]
    frame = spark.createDataFrame(rows, "user_id string, item_id string")
    with pytest.raises(ContractError) as refused:
        gate(frame, TABLE, settings, "run")
    message = str(refused.value)
    assert "user_id_unique: no two rows with the same user_id, got 1;" in message
    assert "user_id_item_id_unique: no two rows with the same user_id, item_id, got 1." in message
    pages = "".join(page.read_text() for page in settings.data_docs.rglob("*.html"))
    assert "user_id_item_id_unique" in pages and "anna" not in message + pages


def test_a_table_whose_keys_are_all_different_passes(spark: SparkSession, settings: Settings) -> None:
    """Those whose hashes are the same, too: a hash passes nulls over."""
    rows = [("anna", "tea"), ("ben", "pan"), ("cleo", None), (None, "cleo")]
    gate(spark.createDataFrame(rows, "user_id string, item_id string"), TABLE, settings, "run")
