"""gold.user_state in its tables: whatever happens between two nights, it equals the state made from nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.lift import of_users, units_of
from features.state import COLUMNS
from jobs import build_features
from jobs.job import Context
from jobs.population import population
from jobs.user_state import as_of_tiles, bring_forward
from lake import delta, log, state
from lake.settings import Settings
from lake.tables import CONSENTS, EVENTS, ITEMS, POPULATION, USER_STATE
from lake.window import Window
from tests.features.silver import at, events, items
from tests.frames import assert_same_rows

FIRST = Window(date(2026, 3, 1), date(2026, 3, 4))
HISTORY: list[dict[str, Any]] = [
    {"event_id": "1", "event_time": at("2026-03-01"), "user_id": "anna", "order_id": "1", "country": "DE"},
    {"event_id": "2", "event_time": at("2026-03-03"), "user_id": "anna", "order_id": "2", "item_id": "pan"},
    {"event_id": "3", "event_time": at("2026-03-02"), "user_id": "ben", "order_id": "3", "device": "mobile"},
    {"event_id": "4", "event_time": at("2026-03-03"), "user_id": "gone", "order_id": "4"},
]
FOURTH = {"event_id": "5", "event_time": at("2026-03-04"), "user_id": "ben", "order_id": "5", "amount": 7.0}
CONSENT = "user_id string, purpose string, at timestamp, granted boolean, source string"


@pytest.fixture(scope="module")
def first_night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose state holds FIRST, to be copied."""
    settings = Settings(home=tmp_path_factory.mktemp("state") / "home", missing_consent="granted", shuffle_partitions=2)
    catalogue = items(spark, {"item_id": "tea", "brand": "Ahn", "price": 1.0}, {"item_id": "pan", "brand": "Bo"})
    delta.append(catalogue, settings, ITEMS, "seed")
    _silver(spark, settings, HISTORY)
    _tiles(settings, FIRST)
    bring_forward(_context(settings, FIRST))
    return settings.home


@pytest.fixture
def home(first_night: Path, settings: Settings) -> Settings:
    shutil.copytree(first_night, settings.home)
    return settings


def _silver(spark: SparkSession, settings: Settings, rows: list[dict[str, Any]]) -> None:
    delta.replace_window(events(spark, *rows).coalesce(1), settings, EVENTS, "event_date >= '1970-01-01'", "seed")


def _context(settings: Settings, window: Window) -> Context:
    return Context("build_features", window, settings)


def _tiles(settings: Settings, window: Window, withdrawn: bool = False) -> None:
    """What build_features does before the state."""
    context = _context(settings, window)
    consents = delta.read(context.spark, settings, CONSENTS.name)
    if withdrawn:
        assert build_features._forget(context, consents, "granted") == 1
    build_features._write_tiles(context, window, consents, "granted")


def _rows(spark: SparkSession, settings: Settings) -> DataFrame:
    return delta.read(spark, settings, USER_STATE.name).select(*COLUMNS)


def _touched(spark: SparkSession, settings: Settings, when: date) -> set[str]:
    touched = delta.read(spark, settings, USER_STATE.name).filter(F.col("touched") == F.lit(when))
    return {row.user_id for row in touched.collect()}


def _assert_as_from_nothing(spark: SparkSession, settings: Settings, window: Window) -> None:
    assert_same_rows(_rows(spark, settings), as_of_tiles(_context(settings, window), window.end))


def _assert_from_nothing_once(spark: SparkSession, settings: Settings) -> None:
    """The next night makes the state from nothing; the one after it applies changes again."""
    _silver(spark, settings, [*HISTORY, FOURTH])
    for number, expected in ((4, True), (5, False)):
        night = Window.day(date(2026, 3, number))
        _tiles(settings, night)
        assert bring_forward(_context(settings, night))[1] is expected
        _assert_as_from_nothing(spark, settings, night)


def test_a_night_after_a_gap_touches_only_who_was_active_and_a_repeat_writes_nothing(
    spark: SparkSession, home: Settings
) -> None:
    later = {**FOURTH, "event_time": at("2026-03-06")}
    _silver(spark, home, [*HISTORY, later])
    night = Window.day(date(2026, 3, 6))
    _tiles(home, night)
    marker, whole = bring_forward(_context(home, night))
    assert (marker.as_of, whole) == (night.end, False)
    assert _touched(spark, home, night.end) == {"ben"}
    _assert_as_from_nothing(spark, home, night)
    version = log.version(home, USER_STATE.name)
    _tiles(home, night)
    bring_forward(_context(home, night))
    assert log.version(home, USER_STATE.name) == version


def test_late_events_and_removed_duplicates_reach_the_state_though_a_run_was_killed_after_its_tiles(
    spark: SparkSession, home: Settings
) -> None:
    late = {"event_id": "6", "event_time": at("2026-03-02"), "user_id": "anna", "order_id": "6", "country": "FR"}
    _silver(spark, home, [*HISTORY[1:], late])
    _tiles(home, Window(date(2026, 3, 1), date(2026, 3, 5)))
    # Killed here. The day comes again, with its own events, before anything has read the tiles.
    night = Window.day(date(2026, 3, 4))
    _silver(spark, home, [*HISTORY[1:], late, FOURTH])
    _tiles(home, night)
    _, whole = bring_forward(_context(home, night))
    assert not whole
    assert _touched(spark, home, night.end) == {"anna", "ben"}
    anna = _rows(spark, home).filter("user_id = 'anna'").first()
    assert (anna.first_purchase, anna.country, anna.orders) == (date(2026, 3, 2), "FR", 2)
    _assert_as_from_nothing(spark, home, night)


def test_a_past_window_corrects_the_state_which_stays_at_its_own_date(spark: SparkSession, home: Settings) -> None:
    past = Window.day(date(2026, 3, 1))
    _silver(spark, home, HISTORY[1:])
    _tiles(home, past)
    marker, whole = bring_forward(_context(home, past))
    assert (marker.as_of, whole) == (FIRST.end, False)
    _assert_as_from_nothing(spark, home, FIRST)


def test_who_was_forgotten_is_gone_and_comes_back_with_new_consent_alone(spark: SparkSession, home: Settings) -> None:
    def decide(when: str, *, granted: bool) -> None:
        frame = spark.createDataFrame([("gone", "personalisation", at(when), granted, "shop")], CONSENT)
        delta.append(frame.withColumn("user_bucket", delta.user_bucket()), home, CONSENTS, "seed")

    decide("2026-03-03", granted=False)
    night = Window.day(date(2026, 3, 4))
    _tiles(home, night, withdrawn=True)
    bring_forward(_context(home, night))
    assert "gone" not in {row.user_id for row in _rows(spark, home).collect()}
    _assert_as_from_nothing(spark, home, night)
    decide("2026-03-04", granted=True)
    both = Window(date(2026, 3, 3), date(2026, 3, 6))
    _tiles(home, both)
    bring_forward(_context(home, both))
    assert "gone" in {row.user_id for row in _rows(spark, home).collect()}
    _assert_as_from_nothing(spark, home, both)


def _assert_population(spark: SparkSession, home: Settings, *, of_version: int) -> None:
    """gold.population is of a version of gold.user_state, and what its users add up to."""
    kept = delta.read(spark, home, POPULATION.name)
    assert {row.state_version for row in kept.select("state_version").distinct().collect()} == {of_version}
    state = delta.read(spark, home, USER_STATE.name, of_version)
    assert_same_rows(kept.select("dimension", "key", "units").filter("units <> 0"), units_of(state))


def test_what_a_night_adds_is_added_to_the_population(spark: SparkSession, home: Settings) -> None:
    population(_context(home, FIRST), write=True)
    _silver(spark, home, [*HISTORY, FOURTH])
    night = Window.day(date(2026, 3, 4))
    _tiles(home, night)
    before = log.version(home, USER_STATE.name)
    bring_forward(_context(home, night))
    _assert_population(spark, home, of_version=before + 1)
    # It was not added up from everybody: what nobody leans to stays if nothing takes it away.
    kept = log.read(home, POPULATION.name).to_pylist()
    odd = {**kept[0], "key": "odd", "units": 10**20}
    log.overwrite(home, POPULATION, pa.Table.from_pylist([*kept, odd], log.arrow_schema(POPULATION)), "odd")
    _silver(spark, home, [*HISTORY, FOURTH, {**FOURTH, "event_id": "6", "event_time": at("2026-03-05")}])
    _tiles(home, Window.day(date(2026, 3, 5)))
    bring_forward(_context(home, Window.day(date(2026, 3, 5))))
    assert 10**20 in log.read(home, POPULATION.name)["units"].to_pylist()


def test_the_population_is_added_up_anew_when_a_run_was_killed_or_somebody_was_forgotten(
    spark: SparkSession, home: Settings
) -> None:
    context = _context(home, FIRST)
    assert_same_rows(population(context, write=False), of_users(delta.read(spark, home, USER_STATE.name)))
    assert not log.exists(home, POPULATION.name)
    population(context, write=True)
    (before := home.home / "before").mkdir()
    shutil.copytree(home.lake / "gold" / "population", before / "population")
    _silver(spark, home, [*HISTORY, FOURTH])
    night = Window.day(date(2026, 3, 4))
    _tiles(home, night)
    bring_forward(_context(home, night))
    # Killed after the state was written.
    shutil.rmtree(home.lake / "gold" / "population")
    shutil.copytree(before / "population", home.lake / "gold" / "population")
    state = delta.read(spark, home, USER_STATE.name)
    assert_same_rows(population(context, write=False), of_users(state))
    gone = spark.createDataFrame([("gone", "personalisation", at("2026-03-04"), False, "shop")], CONSENT)
    population(context, write=True)
    delta.append(gone.withColumn("user_bucket", delta.user_bucket()), home, CONSENTS, "seed")
    _silver(spark, home, [*HISTORY, FOURTH, {**FOURTH, "event_id": "6", "event_time": at("2026-03-05")}])
    night = Window.day(date(2026, 3, 5))
    _tiles(home, night, withdrawn=True)
    bring_forward(_context(home, night))
    assert "gone" not in {row.user_id for row in _rows(spark, home).collect()}
    population(context, write=True)
    _assert_population(spark, home, of_version=log.version(home, USER_STATE.name))


def test_a_state_that_was_removed_and_made_again_is_another_whatever_its_version(
    spark: SparkSession, home: Settings
) -> None:
    context = _context(home, FIRST)
    population(context, write=True)
    version = log.version(home, USER_STATE.name)
    shutil.rmtree(home.lake / "gold" / "user_state")
    _silver(spark, home, HISTORY[1:])
    _tiles(home, FIRST)
    bring_forward(context)
    assert log.version(home, USER_STATE.name) == version
    assert_same_rows(population(context, write=False), of_users(delta.read(spark, home, USER_STATE.name)))


def test_of_two_nights_at_once_one_goes_first_and_the_other_starts_from_it(spark: SparkSession, home: Settings) -> None:
    _silver(spark, home, [*HISTORY, FOURTH])
    night = Window.day(date(2026, 3, 4))
    _tiles(home, night)
    base = state.read_marker(home)
    assert base is not None
    bring_forward(_context(home, night))
    version = log.version(home, USER_STATE.name)
    # The other run had read the same marker: what it would add is in already.
    ours = replace(base, run_id="the other", as_of=night.end)
    rows = delta.read(spark, home, USER_STATE.name).withColumn("orders", F.lit(99).cast("long"))
    assert not state.write(rows, home, base, ours, whole=False)
    assert log.version(home, USER_STATE.name) == version
    bring_forward(_context(home, night))
    _assert_as_from_nothing(spark, home, night)


def test_tiles_of_an_earlier_attune_are_followed_from_now_on(spark: SparkSession, home: Settings) -> None:
    """Their changes were not kept: the state is made from nothing once."""
    from deltalake import DeltaTable

    for name in ("gold.user_day", "gold.user_item_day"):
        DeltaTable(home.lake / name.replace(".", "/")).alter.set_table_properties(
            {"delta.enableChangeDataFeed": "false"}
        )
    _assert_from_nothing_once(spark, home)


def test_tiles_of_an_earlier_contract_count_no_quick_exits_until_they_are_made_anew(
    spark: SparkSession, home: Settings
) -> None:
    from deltalake import DeltaTable, write_deltalake

    path = str(home.lake / "gold" / "user_day")
    rows = DeltaTable(path).to_pyarrow_table().drop_columns(["quick_exits", "dwell_ms"])
    write_deltalake(path, rows, mode="overwrite", schema_mode="overwrite")
    _silver(spark, home, [*HISTORY, FOURTH])

    def night(window: Window) -> dict[str, int]:
        _tiles(home, window)
        bring_forward(_context(home, window))
        return {row.user_id: row.quick_exits for row in _rows(spark, home).collect()}

    assert night(Window.day(date(2026, 3, 4))) == {"anna": 0, "ben": 1, "gone": 0}
    assert night(FIRST) == {"anna": 2, "ben": 2, "gone": 1}


def test_a_state_of_an_earlier_contract_is_made_from_nothing_once(spark: SparkSession, home: Settings) -> None:
    """Its rows lack columns, its leanings are no packed ones, and its marker does not say what they hold."""
    from deltalake import CommitProperties, DeltaTable, write_deltalake

    path = str(home.lake / "gold" / "user_state")
    said = json.loads(next(iter(DeltaTable(path).history(1)))["userMetadata"])
    del said["columns"]
    lacking = ["purchase_days", "calendar", "first_active", "period", "packed", "bought"]
    rows = delta.read(spark, home, USER_STATE.name).drop(*lacking).toArrow()
    # It had no deletion vectors either.
    shutil.rmtree(path)
    leanings = [[{"dimension": "path", "key": "drinks", "units": 1, "evidence": 1}]] * rows.num_rows
    rows = rows.append_column("leanings", pa.array(leanings))
    earlier = CommitProperties(custom_metadata={"userMetadata": json.dumps(said)})
    write_deltalake(path, rows, commit_properties=earlier)
    _assert_from_nothing_once(spark, home)
