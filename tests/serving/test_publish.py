"""Publishing: what is written, what stops it, and what a second run does."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from lake import delta
from lake.errors import AttuneError, ContractError, PublishError, ServingError
from lake.settings import Settings
from serving.pointer import Superseded, read_log
from serving.publish import publish
from serving.reader import SnapshotReader
from tests.serving.conftest import Published
from tests.serving.lists import DAY, FALLBACK, RECOMMENDATION, USERS, fallbacks, items, publish_marked, recommendations

TABLES = ("recommendations", "fallbacks", "snapshots")


def _path(settings: Settings, table: str) -> str:
    return str(settings.lake / "gold" / table)


def _versions(settings: Settings) -> tuple[int, ...]:
    return tuple(DeltaTable(_path(settings, table)).version() for table in TABLES)


def test_the_pointer_names_versions_counts_and_checksum(published_once: Published) -> None:
    log = read_log(str(published_once.settings.lake))
    pointer = log.pointer
    assert pointer is not None
    assert (pointer.snapshot_id, pointer.sequence, pointer.users, pointer.cohorts) == (
        published_once.second, 2, len(USERS) + 1, 3
    )  # fmt: skip
    assert published_once.second.startswith("2018-01-01-")
    assert [row.sequence for row in log.rows] == [1, 2]
    SnapshotReader(published_once.settings.lake).verify()


def test_each_table_is_one_commit_a_snapshot_and_opens_with_reader_version_1(published_once: Published) -> None:
    for name in ("recommendations", "fallbacks"):
        table = DeltaTable(_path(published_once.settings, name))
        assert table.protocol().min_reader_version == 1
        assert [commit.get("userMetadata") for commit in table.history()][:2] == [
            "run-second-2018-01-01", "run-first-2017-12-31",
        ]  # fmt: skip
        assert table.version() == 2
    assert DeltaTable(_path(published_once.settings, "snapshots")).protocol().min_reader_version == 1


def test_polars_reads_both_versions(published_once: Published) -> None:
    log = read_log(str(published_once.settings.lake))
    for row in log.rows:
        lists = polars.read_delta(
            _path(published_once.settings, "recommendations"), version=row.recommendations_version
        )
        assert set(lists["snapshot_id"]) == {row.snapshot_id}
        assert lists.height == row.users
        cohorts = polars.read_delta(_path(published_once.settings, "fallbacks"), version=row.fallbacks_version)
        assert cohorts.height == row.cohorts
    snapshots = polars.read_delta(_path(published_once.settings, "snapshots"))
    assert sorted(snapshots["sequence"]) == [1, 2]


def test_spark_reads_the_log_with_the_types_of_its_contract(spark: SparkSession, published_once: Published) -> None:
    from lake.tables import SNAPSHOTS

    found = delta.read(spark, published_once.settings, "gold.snapshots")
    assert found.schema.simpleString() == spark.createDataFrame([], SNAPSHOTS.schema).schema.simpleString()
    assert found.count() == 2


def test_no_user_id_is_in_the_delta_log_or_a_file_name(published_once: Published) -> None:
    folder = published_once.settings.lake / "gold" / "recommendations"
    logs = "".join(file.read_text() for file in folder.glob("_delta_log/*.json"))
    names = "".join(file.name for file in folder.rglob("*"))
    # "ada" could be part of a random file name.
    for user in (*USERS[1:], "listless"):
        assert user not in logs + names


def test_files_hold_ranges_of_buckets_sorted_by_bucket(spark: SparkSession, settings: Settings) -> None:
    rows = spark.range(9000).selectExpr("cast(id as string) user_id", "'s' segment", "'GB' country").crossJoin(
        spark.createDataFrame([(items("x", 1),)], RECOMMENDATION.split("country string, ")[1])
    )  # fmt: skip
    publish(
        spark, settings, rows, fallbacks(spark, "x"), as_of=DAY, model_version="hybrid/1", run_id="many"
    )  # fmt: skip
    files = DeltaTable(_path(settings, "recommendations")).file_uris()
    assert len(files) == 3
    ranges = []
    for file in files:
        buckets = pq.read_table(file, columns=["user_bucket"])["user_bucket"].to_pylist()
        assert buckets == sorted(buckets)
        ranges.append((buckets[0], buckets[-1]))
    ordered = sorted(ranges)
    assert all(before[1] < after[0] for before, after in pairwise(ordered))
    assert SnapshotReader(settings.lake).recommend("4711").rung == "personal"


def test_the_same_content_again_changes_nothing(
    spark: SparkSession, published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _versions(published.settings)
    assert publish_marked(spark, published.settings, "second", DAY + timedelta(days=1)) == published.second
    assert _versions(published.settings) == before
    assert "nothing to do" in capsys.readouterr().err


def test_an_older_date_never_replaces_a_newer_one(spark: SparkSession, published: Published) -> None:
    before = _versions(published.settings)
    with pytest.raises(Superseded, match="is older than what is published"):
        publish_marked(spark, published.settings, "zombie", DAY)
    with pytest.raises(Superseded, match="was published before"):
        publish_marked(spark, published.settings, "first", DAY)
    assert _versions(published.settings) == before


def _once_more(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [*rows, rows[0]]


def _with_items(change: Callable[[list[Any]], Any]) -> Callable[[list[tuple[Any, ...]]], list[tuple[Any, ...]]]:
    return lambda rows: [(*rows[0][:3], change(rows[0][3])), *rows[1:]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_once_more, "2 rows for 1 keys"),
        (lambda rows: [(None, *rows[0][1:])], "1 rows for 0 keys"),
        (_with_items(lambda found: found[1:]), "ranks are 1, 2, 3"),
        (_with_items(lambda found: [(*found[0][:3], float("nan"), *found[0][4:])]), "finite"),
        (_with_items(lambda found: [(1, None, *found[0][2:])]), "every item has an id"),
        (_with_items(lambda found: [None]), "cannot be served"),
    ],
    ids=["a user twice", "no user", "ranks from 2", "score NaN", "no item id", "a null item"],
)
def test_lists_that_cannot_be_served_are_refused_before_anything_is_written(
    spark: SparkSession, settings: Settings, spoil: Callable[..., Any], message: str
) -> None:
    spoiled = spark.createDataFrame(spoil([("ada", "champions", "GB", items("x"))]), RECOMMENDATION)
    with pytest.raises(PublishError, match=message):
        publish(spark, settings, spoiled, fallbacks(spark, "x"), as_of=DAY, model_version="m", run_id="r")
    assert not (settings.lake / "gold").exists()


def test_fallbacks_without_a_list_for_everyone_are_refused(spark: SparkSession, settings: Settings) -> None:
    cohorts = spark.createDataFrame([("global", "all", []), ("country", "FR", items("x"))], FALLBACK)
    with pytest.raises(PublishError, match="list for everyone"):
        publish(spark, settings, recommendations(spark, "x"), cohorts, as_of=DAY, model_version="m", run_id="r")


def test_a_missing_column_is_named(spark: SparkSession, settings: Settings) -> None:
    lists = recommendations(spark, "x").drop("segment")
    with pytest.raises(ContractError, match="segment"):
        publish(spark, settings, lists, fallbacks(spark, "x"), as_of=DAY, model_version="m", run_id="r")


def test_a_snapshot_without_personal_lists_serves_its_fallbacks(spark: SparkSession, settings: Settings) -> None:
    nobody = recommendations(spark, "x").limit(0)
    publish(spark, settings, nobody, fallbacks(spark, "x"), as_of=DAY, model_version="m", run_id="r")
    reader = SnapshotReader(settings.lake)
    reader.verify()
    assert reader.recommend("ada").rung == "global"


def test_a_gate_that_fails_leaves_the_pointer_and_the_next_run_goes_on(
    spark: SparkSession, published: Published
) -> None:
    """As when a publish is killed after both tables were written: the pointer stays, the rerun writes nothing twice."""
    seen: list[int] = []
    day = DAY + timedelta(days=2)

    def gate(lists: DataFrame, cohorts: DataFrame) -> None:
        seen.extend((lists.count(), cohorts.count()))
        raise ContractError("too few lists")

    with pytest.raises(ContractError, match="too few lists"):
        publish_marked(spark, published.settings, "third", day, gate=gate)
    assert seen == [len(USERS) + 1, 3]
    reader = SnapshotReader(published.settings.lake)
    assert reader.snapshot.snapshot_id == published.second
    assert reader.recommend("ada", 1).items[0].title == "second ada 1"
    written = _versions(published.settings)
    third = publish_marked(spark, published.settings, "third", day)
    assert _versions(published.settings) == (written[0], written[1], written[2] + 1)
    assert reader.recommend("ada", 1).snapshot_id == published.second
    assert reader.refresh()
    assert (reader.recommend("ada", 1).snapshot_id, reader.refresh()) == (third, False)


def test_a_publish_killed_between_the_two_tables_is_completed_by_the_next(
    spark: SparkSession, published: Published
) -> None:
    settings, day = published.settings, DAY + timedelta(days=2)
    with pytest.raises(ContractError):
        publish_marked(spark, settings, "third", day, gate=_refuse)
    # The state of the kill: the lists are written, the fallbacks are not.
    log = Path(_path(settings, "fallbacks")) / "_delta_log"
    for file in log.glob("*00003.*"):
        file.unlink()
    assert _versions(settings)[:2] == (3, 2)
    assert SnapshotReader(settings.lake).recommend("ada").snapshot_id == published.second
    third = publish_marked(spark, settings, "third", day)
    assert _versions(settings)[:2] == (3, 3)
    reader = SnapshotReader(settings.lake)
    reader.verify()
    assert reader.snapshot.snapshot_id == third


def _refuse(lists: DataFrame, cohorts: DataFrame) -> None:
    raise ContractError("refused")


def test_a_changed_data_file_is_noticed(published: Published) -> None:
    """Valid Parquet, the same number of rows, one country changed."""
    reader = SnapshotReader(published.settings.lake)
    tampered = _tamper(published.settings, reader.snapshot.recommendations_version)
    assert tampered == 1
    with pytest.raises(ServingError, match="not what was published"):
        SnapshotReader(published.settings.lake).verify()


def _tamper(settings: Settings, version: int) -> int:
    files = DeltaTable(_path(settings, "recommendations"), version=version).file_uris()
    for file in files:
        table = pq.read_table(file)
        rows = table.to_pylist()
        rows[0]["country"] = "XX"
        pq.write_table(type(table).from_pylist(rows, schema=table.schema), file)
    return len(files)


def test_of_two_publishes_of_one_date_at_the_same_time_exactly_one_wins(
    spark: SparkSession, published: Published
) -> None:
    """Both have written and validated before either moves the pointer."""
    together = threading.Barrier(2, timeout=300)
    day = DAY + timedelta(days=2)

    def gate(lists: DataFrame, cohorts: DataFrame) -> None:
        together.wait()

    def run(marker: str) -> str:
        return publish_marked(spark, published.settings, marker, day, gate=gate)

    with ThreadPoolExecutor(2) as pool:
        futures: list[Future[str]] = [pool.submit(run, marker) for marker in ("left", "right")]
    failures = [future.exception() for future in futures]
    assert sorted(type(failure).__name__ for failure in failures) == ["NoneType", "Superseded"]
    assert all(failure is None or isinstance(failure, AttuneError) for failure in failures)
    winner = next(future.result() for future in futures if future.exception() is None)
    reader = SnapshotReader(published.settings.lake)
    reader.verify()
    assert reader.snapshot.snapshot_id == winner
    assert [row.sequence for row in read_log(str(published.settings.lake)).rows] == [1, 2, 3]


def test_a_lake_can_be_moved(published: Published, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(published.settings.lake, elsewhere)
    SnapshotReader(elsewhere).verify()


def test_valid_until_counts_from_the_date_of_the_features(published_once: Published) -> None:
    pointer = SnapshotReader(published_once.settings.lake).snapshot
    assert (pointer.as_of, pointer.valid_until.date()) == (date(2018, 1, 1), date(2018, 1, 3))
