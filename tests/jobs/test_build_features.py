"""The features job: consent, late days, repeats, and gates that stop it before anything is touched."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.job import Report
from lake import delta, log
from lake.errors import ContractError, SettingError
from lake.settings import Settings
from lake.tables import (
    AFFINITY,
    ENGAGEMENT,
    RFM,
    RFM_WINDOWS,
    USER_DAY,
    USER_ITEM_DAY,
)
from lake.window import Window
from tests.features.silver import at
from tests.frames import assert_same_rows
from tests.jobs.story import FIRST_DAYS, NEVER_WAS, WINDOW, read, run, seed, users_of

# gone withdrew before anything happened.
EVERYBODY = {row["user_id"] for row in [*FIRST_DAYS, *NEVER_WAS]} - {"gone"}


@pytest.fixture
def home(story: dict[int, tuple[Settings, Report]], settings: Settings) -> Settings:
    """A home after its first night."""
    shutil.copytree(story[1][0].home, settings.home)
    return settings


def test_a_window_gives_tiles_and_features_of_those_who_consent_and_a_repeat_gives_the_same(
    spark: SparkSession, story: dict[int, tuple[Settings, Report]], home: Settings
) -> None:
    report = story[1][1]
    assert report.details["users_scored"] == str(len(EVERYBODY))
    assert sum(json.loads(report.details["segments"]).values()) == len(EVERYBODY)
    tables = (USER_ITEM_DAY, USER_DAY, RFM, RFM_WINDOWS, ENGAGEMENT, AFFINITY)
    for table in tables:
        assert users_of(spark, home, table.name) == EVERYBODY, table.name
    anna = delta.read(spark, home, RFM.name).filter("user_id = 'anna'").first()
    assert (anna.as_of, anna.recency, anna.frequency, anna.monetary) == (WINDOW.end, 2, 2, 20.0)
    before = {table.name: read(spark, home, table.name).localCheckpoint() for table in tables}
    run(home)
    for table in tables:
        assert_same_rows(read(spark, home, table.name), before[table.name])


def test_tiles_of_a_window_lie_in_the_order_of_their_days(story: dict[int, tuple[Settings, Report]]) -> None:
    for table in (USER_ITEM_DAY, USER_DAY):
        files = DeltaTable(log.address(story[1][0], table.name)).file_uris()
        days = [pq.read_table(Path(uri.removeprefix("file://")))["event_date"].to_pylist() for uri in files]
        assert days and all(found == sorted(found) for found in days), table.name
        assert any(len(set(found)) > 1 for found in days), "else the order of days says nothing"


def test_a_failed_gate_leaves_every_feature_untouched(spark: SparkSession, home: Settings) -> None:
    versions = {table.name: delta.version(spark, home, table.name) for table in (RFM, ENGAGEMENT, AFFINITY)}
    absurd = {"event_time": at("2026-03-03"), "user_id": "ben", "order_id": "99", "amount": 2e12}
    seed(spark, home, [*FIRST_DAYS, *NEVER_WAS, absurd])
    with pytest.raises(
        ContractError, match=rf"gold\.rfm breaks its contract: monetary_between.*got 1 of {len(EVERYBODY)}"
    ):
        run(home)
    assert {name: delta.version(spark, home, name) for name in versions} == versions


def test_days_without_events_go_through_and_only_make_everything_older(spark: SparkSession, home: Settings) -> None:
    run(home, Window.day(date(2026, 4, 1)))
    anna = delta.read(spark, home, RFM.name).filter("user_id = 'anna' AND as_of = '2026-04-02'").first()
    assert (anna.recency, anna.frequency) == (31, 2)
    engaged = delta.read(spark, home, ENGAGEMENT.name).filter("as_of = '2026-04-02'").collect()
    told = {row.user_id: (row.idle, row.stage) for row in engaged}
    assert (told["anna"], told["ben"]) == ((31, "at_risk"), (30, "new"))


def test_without_events_or_the_setting_the_error_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(ContractError, match=r"silver\.events was never written.*attune run clean_events"):
        run(settings)
    unset = settings.model_copy(update={"missing_consent": None})
    with pytest.raises(SettingError, match="ATTUNE_MISSING_CONSENT"):
        run(unset)
