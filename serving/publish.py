"""Publishing a snapshot: write, validate as a reader would, gate, move the pointer, announce.

Until the pointer moves nothing is visible to readers, so a publish may be killed at any instant. Run again, it
finds what was written (the snapshot's id comes from its content) and goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from deltalake import DeltaTable
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import delta
from lake.console import say
from lake.errors import PublishError, ServingError
from lake.log import files_of
from lake.settings import Settings
from lake.tables import FALLBACKS, RECOMMENDATIONS, Table
from serving.check import check_lists
from serving.checksum import FALLBACKS as FALLBACK_GROUP
from serving.checksum import RECOMMENDATIONS as LIST_GROUPS
from serving.checksum import Group, checksum_of
from serving.digests import content_groups
from serving.opened import Opened
from serving.pointer import PUBLISHED, Snapshot, read_log
from serving.switch import put, standing

Gate = Callable[[DataFrame, DataFrame], None]

# Users in one file: a look-up opens one file, so this bounds what the first one reads.
USERS_A_FILE = 4000
# Buckets whose rows the reader's side hashes again; Spark hashes all of them.
SAMPLED_BUCKETS = 4


def publish(
    spark: SparkSession,
    settings: Settings,
    recommendations: DataFrame,
    fallbacks: DataFrame,
    *,
    as_of: date,
    model_version: str,
    run_id: str,
    gate: Gate | None = None,
) -> str:
    """Make the lists the published snapshot; its id, '<as_of>-<12 hexadecimal digits>'.

    recommendations: one row a user: user_id, segment, country, items, and stage where it is known. fallbacks: one row a
    cohort: rung (segment, stage, country, season, global), cohort, items; one row is the global one, cohort 'all'.
    items: as in lake.tables, ranks 1..n in order. gate gets both tables as they were written and raises to stop the
    publish. run_id: unique to this run.

    The same content published again changes nothing. After a rollback the snapshot is held, not published.
    Raises PublishError for lists that cannot be served, Superseded when the pointer is ahead, ContractError for
    missing columns, and whatever the gate raises; the pointer has not moved then.
    """
    root = str(settings.lake)
    start = read_log(root)
    if "stage" not in recommendations.columns:
        recommendations = recommendations.withColumn("stage", F.lit(None))
    lists = _prepared(recommendations.withColumn("user_bucket", delta.user_bucket()), RECOMMENDATIONS)
    cohorts = _prepared(fallbacks, FALLBACKS)
    # Ranked once: the id needs a pass over the content, and the write must not rank again.
    lists, cohorts = lists.persist(StorageLevel.MEMORY_AND_DISK), cohorts.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        check_lists(lists, cohorts)
        groups = content_groups(lists, cohorts)
        snapshot = _snapshot(settings, groups, as_of, model_version)
        known = standing(start, snapshot)
        if known is not None:
            say(f"snapshot {known.snapshot_id} is {known.state} already, at sequence {known.sequence}: nothing to do")
            return known.snapshot_id
        versions = write(settings, snapshot, lists, cohorts, run_id)
    finally:
        lists.unpersist()
        cohorts.unpersist()
    candidate = replace(snapshot, recommendations_version=versions[0], fallbacks_version=versions[1])
    validate(spark, settings, candidate, groups, gate)
    return _announce(put(root, start, candidate, run_id))


def write(settings: Settings, snapshot: Snapshot, lists: DataFrame, cohorts: DataFrame, run_id: str) -> tuple[int, int]:
    """Write both tables, one commit each; their Delta versions.

    A table whose last version is this snapshot's already (an earlier attempt was killed) is left as it is.
    """
    files = max(1, min(delta.USER_BUCKETS, -(-snapshot.users // USERS_A_FILE)))
    # Whole ranges of buckets a file, and sorted within it: both the log's and the file's statistics prune by bucket.
    placed = lists.repartitionById(files, F.floor(F.col("user_bucket") * files / delta.USER_BUCKETS).cast("int"))
    sorted_lists = placed.sortWithinPartitions("user_bucket", "user_id")
    return (
        _write_table(settings, RECOMMENDATIONS, sorted_lists, snapshot.snapshot_id, run_id),
        _write_table(settings, FALLBACKS, cohorts.coalesce(1), snapshot.snapshot_id, run_id),
    )


def validate(
    spark: SparkSession, settings: Settings, candidate: Snapshot, groups: list[Group], gate: Gate | None
) -> None:
    """Open what was written as a reader would, without Spark; compare; then the gate on the frames read again.

    groups: the digests of the content that was meant. Raises PublishError when the files hold anything else.
    """
    try:
        _validate_as_reader(Opened(str(settings.lake), candidate), groups)
    except ServingError as error:
        raise PublishError(f"what was written cannot be served, the pointer stays: {error}") from error
    lists = delta.read(spark, settings, RECOMMENDATIONS.name, candidate.recommendations_version)
    cohorts = delta.read(spark, settings, FALLBACKS.name, candidate.fallbacks_version)
    found = checksum_of(content_groups(lists, cohorts))
    if found != candidate.checksum:
        raise PublishError(
            f"snapshot {candidate.snapshot_id} reads back with checksum {found[:12]}..., but {candidate.checksum[:12]}"
            "... was written. The lists may not be deterministic, or a file is damaged; the pointer stays"
        )
    if gate is not None:
        gate(lists, cohorts)


def _prepared(frame: DataFrame, table: Table) -> DataFrame:
    """The contract's columns and types; the snapshot's id is filled in once it is known."""
    return delta.conform(frame.withColumn("snapshot_id", F.lit("")), table)


def _snapshot(settings: Settings, groups: list[Group], as_of: date, model_version: str) -> Snapshot:
    """The snapshot of this content. Its id is made from the date, the model and the content, and so works once."""
    checksum = checksum_of(groups)
    made_from = f"{as_of.isoformat()}\n{model_version}\n{checksum}"
    midnight = datetime.combine(as_of, time(), UTC)
    return Snapshot(
        snapshot_id=f"{as_of.isoformat()}-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}",
        sequence=0,
        state=PUBLISHED,
        at=midnight,
        as_of=as_of,
        recommendations_version=-1,
        fallbacks_version=-1,
        users=sum(item.rows for item in groups if item.table == LIST_GROUPS),
        cohorts=sum(item.rows for item in groups if item.table == FALLBACK_GROUP),
        checksum=checksum,
        model_version=model_version,
        valid_until=midnight + timedelta(days=settings.valid_days),
    )


def _write_table(settings: Settings, table: Table, frame: DataFrame, snapshot_id: str, run_id: str) -> int:
    path = str(delta.table_path(settings, table.name))
    written = _last_version_of(path, snapshot_id)
    if written is not None:
        return written
    stamped = frame.withColumn("snapshot_id", F.lit(snapshot_id))
    # Every row matches: the whole table is replaced, and the versions before stay readable.
    delta.replace_window(stamped, settings, table, "true", run_id)
    # Another publisher may have written since: the version that is ours carries our run id.
    for commit in DeltaTable(path).history(100):
        if commit.get("userMetadata") == run_id:
            return int(commit["version"])
    table_now = DeltaTable(path)
    if not table_now.file_uris():
        # Delta makes no commit when nothing replaces nothing.
        return table_now.version()
    raise PublishError(f"{table.name} was written, but none of its last 100 versions carries run id {run_id}")


def _last_version_of(path: str, snapshot_id: str) -> int | None:
    """The table's last version when all its rows are the snapshot's, by the log's statistics alone."""
    if not DeltaTable.is_deltatable(path):
        return None
    table = DeltaTable(path)
    actions = files_of(table)
    if not actions.num_rows or "min.snapshot_id" not in actions.column_names:
        return None
    owners = {*actions["min.snapshot_id"].to_pylist(), *actions["max.snapshot_id"].to_pylist()}
    return table.version() if owners == {snapshot_id} else None


def _validate_as_reader(opened: Opened, groups: list[Group]) -> None:
    """Row counts, the fallbacks' digest, the digests of some buckets and look-ups in them, without Spark."""
    snapshot = opened.snapshot
    lists = sorted((item for item in groups if item.table == LIST_GROUPS), key=lambda item: item.group)
    users = opened.count_users()
    if users != snapshot.users:
        raise ServingError(f"the files hold {users} personal lists, {snapshot.users} were written")
    step = max(1, len(lists) // SAMPLED_BUCKETS)
    expected = [*lists[::step], *(item for item in groups if item.table == FALLBACK_GROUP)]
    found = [group for item in lists[::step] for group in opened.groups(item.group, item.group + 1)]
    found.append(opened.fallback_group())
    if found != expected:
        raise ServingError("the rows read without Spark are not those that were written")
    for item in lists[::step]:
        bucket = opened.bucket(item.group)
        user_id = next(iter(bucket.index))
        answer = opened.answer(user_id, 1, None, None, datetime.now(UTC))
        own = bucket.rows.slice(0, 1).to_pylist()[0]
        if own["items"] and answer.rung != "personal":
            raise ServingError(f"a user with a list of their own was answered from the rung {answer.rung}")
    nobody = opened.answer("\x00nobody", 1, None, None, datetime.now(UTC))
    if nobody.rung != "global":
        raise ServingError(f"an unknown user was answered from the rung {nobody.rung}")


def _announce(row: Snapshot) -> str:
    if row.state == PUBLISHED:
        say(f"snapshot {row.snapshot_id} is published: {row.users:,} personal lists, {row.cohorts} fallback lists")
    else:
        say(f"snapshot {row.snapshot_id} is {row.state}: {row.reason}. Publish it: attune release --reason ...")
    return row.snapshot_id
