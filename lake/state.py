"""gold.user_state as a table that follows other tables: what it holds is written in its commits.

A commit's metadata is a marker: the versions of the tiles that its rows were made from, and the days. So the next night
reads what has changed since, whoever wrote it and however often a run was killed. Only one commit can follow a
marker: it carries Delta's transaction id "after <marker>", and Delta drops a second one with the same id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from delta.tables import DeltaTable as SparkTable
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import delta, log
from lake.settings import Settings
from lake.tables import ITEM_KEYS, USER_STATE, Table

# Changes are read while Delta keeps the files they are in: delta.deletedFileRetentionDuration, a week unless set.
CHANGES_KEPT = timedelta(days=6)
KEEPS_CHANGES = "delta.enableChangeDataFeed"
TAKEN_BACK = ("delete", "update_preimage")


@dataclass(frozen=True)
class Marker:
    """What the state holds: tiles of days before as_of, at these versions of their tables.

    commit: the version of gold.user_state that said so. run_id: who wrote it. at: when, wall clock.
    columns: what its rows hold; dimensions: what its leanings are of; none where an Attune wrote it that did not say.
    """

    commit: int
    run_id: str
    as_of: date
    half_life_days: float
    versions: dict[str, int]
    at: datetime
    columns: tuple[str, ...] = USER_STATE.names
    dimensions: tuple[str, ...] = ()


def read_marker(settings: Settings) -> Marker | None:
    """The latest marker, or None where there is none: never written, or no longer in the log."""
    uri = log.address(settings, USER_STATE.name)
    if not DeltaTable.is_deltatable(uri):
        return None
    for commit in DeltaTable(uri).history():
        said = commit.get("userMetadata")
        if said and said.startswith("{"):
            found = json.loads(said)
            at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
            day = date.fromisoformat(found["as_of"])
            return Marker(
                commit["version"], found["run_id"], day, found["half_life_days"], dict(found["versions"]), at,
                tuple(found.get("columns", ())), tuple(found.get("dimensions", ())),
            )  # fmt: skip
    return None


def turn(settings: Settings, base: Marker | None) -> str:
    """The name of what may happen once after a marker."""
    after = f"marker {base.commit}" if base else f"nothing, version {log.version(settings, USER_STATE.name)}"
    return f"attune user state after {after}"


def track(settings: Settings, table: Table) -> None:
    """See that a tracked table keeps its changes from now on: one of an earlier Attune does not."""
    if not _keeps_changes(DeltaTable(log.address(settings, table.name))):
        log.set_properties(settings, table.name, {KEEPS_CHANGES: "true"})


def tracked(settings: Settings, table: Table, since: int) -> bool:
    """Whether the table has kept all changes after a version. False too when it has no such version."""
    uri = log.address(settings, table.name)
    last = DeltaTable(uri).version()
    return since <= last and _keeps_changes(DeltaTable(uri, version=min(since + 1, last)))


def _keeps_changes(table: DeltaTable) -> bool:
    return table.metadata().configuration.get(KEEPS_CHANGES) == "true"


def corrected(settings: Settings, table: Table, base: Marker, last: int) -> bool:
    """Whether rows of days that the marker holds have come or gone since, up to a version of their table."""
    first = base.versions[table.name] + 1
    if first > last:
        return False
    held = f"event_date < '{base.as_of.isoformat()}'"
    found = DeltaTable(log.address(settings, table.name)).load_cdf(first, last, columns=["event_date"], predicate=held)
    return any(batch.num_rows for batch in found)


def changes(
    spark: SparkSession, settings: Settings, table: Table, base: Marker, until: dict[str, int], as_of: date, *,
    past: bool,
) -> DataFrame:  # fmt: skip
    """The table's rows with a sign: what to add to (1) and take from (-1) the tiles of the marker, to hold the days
    before as_of at the versions `until`. past: also what was corrected in the days that the marker holds.
    """
    path, last = str(delta.table_path(settings, table.name)), until[table.name]
    day, first = F.col("event_date"), base.versions[table.name] + 1
    anew = delta.read(spark, settings, table.name, last).filter((day >= F.lit(base.as_of)) & (day < F.lit(as_of)))
    frame = anew.select(*table.names, F.lit(1).alias("sign"))
    if not past or first > last:
        return frame
    feed = spark.read.format("delta").option("readChangeFeed", "true")
    since = feed.option("startingVersion", first).option("endingVersion", last).load(path)
    sign = F.when(F.col("_change_type").isin(*TAKEN_BACK), F.lit(-1)).otherwise(F.lit(1)).alias("sign")
    return frame.unionByName(since.filter(day < F.lit(base.as_of)).select(*table.names, sign))


def write(frame: DataFrame, settings: Settings, base: Marker | None, marker: Marker, *, whole: bool) -> bool:
    """Write the state's rows in one commit with the marker, after `base`. False when another run's came first.

    frame: all rows (whole), or those of changed users, where days = 0 removes the row. marker.commit, marker.at: any.
    """
    spark = frame.sparkSession
    delta.ensure(spark, settings, USER_STATE)
    path, rows = str(delta.table_path(settings, USER_STATE.name)), delta.conform(frame, USER_STATE)
    said = json.dumps(
        {
            "run_id": marker.run_id, "as_of": marker.as_of.isoformat(), "half_life_days": marker.half_life_days,
            "versions": marker.versions, "columns": marker.columns,
            "dimensions": marker.dimensions,
        }
    )  # fmt: skip
    once = {
        "spark.databricks.delta.write.txnAppId": turn(settings, base),
        "spark.databricks.delta.write.txnVersion": "1",
        "spark.databricks.delta.commitInfo.userMetadata": said,
    }

    def commit() -> None:
        if whole:
            # Columns of an earlier contract go.
            told = (
                F.col(item.name).alias(item.name, metadata={"comment": item.comment}) for item in USER_STATE.columns
            )
            rows.select(*told).write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(path)
            return
        merge = SparkTable.forPath(spark, path).alias("old").merge(rows.alias("new"), "old.user_id = new.user_id")
        merge = merge.whenMatchedDelete("new.days = 0").whenMatchedUpdateAll()
        merge.whenNotMatchedInsertAll("new.days > 0").execute()

    with delta.configured(spark, once):
        delta.retrying(commit)
    written = read_marker(settings)
    return written is not None and written.run_id == marker.run_id and written.versions == marker.versions


def record_keys(frame: DataFrame, settings: Settings, base: Marker | None, run_id: str) -> None:
    """Append changed item keys; once after a marker, so that what a state was made with stays."""
    found = frame.persist()
    if not found.isEmpty():
        delta.append(found, settings, ITEM_KEYS, run_id, once=(turn(settings, base), 1))
    found.unpersist()
