"""Upkeep of one Delta table: few files, no rows older than the contract keeps, no files that nothing refers to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from delta.tables import DeltaTable as SparkTable
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake import delta, log
from lake.settings import Settings
from lake.tables import Table

# A file at least this large is left alone; smaller ones are put together up to the larger size. A correction of a past
# day rewrites the files that hold the day, so they must not grow without end.
SMALL, LARGE = 32 << 20, 128 << 20
# So many small files are no burden yet.
FEW = 8
LISTING_TASKS = 8
# Operations of Delta's that mark rows in a table with deletion vectors.
MARKING = ("MERGE", "DELETE", "UPDATE")


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table. before, after: its files. expired: whether rows were too old. removed: files
    deleted from storage, None where Delta does not say.
    """

    before: int
    after: int
    expired: bool
    removed: int | None

    def __str__(self) -> str:
        """For a person."""
        parts = [f"{self.before:,} files" + (f" to {self.after:,}" if self.after != self.before else "")]
        parts += ["rows past their retention deleted"] if self.expired else []
        parts += [f"{self.removed:,} unreferenced files removed"] if self.removed else []
        return ", ".join(parts)


def names(settings: Settings) -> list[str]:
    """All tables of the lake, <layer>.<table>, sorted."""
    found = sorted(path for path in settings.lake.glob("*/*/_delta_log") if path.is_dir())
    return [f"{path.parent.parent.name}.{path.parent.name}" for path in found]


def due(settings: Settings, name: str, table: Table | None, as_of: date, pinned: list[int]) -> bool:
    """Whether keep_up has anything to do, told without Spark by the log and a listing of the table's folder."""
    if table is not None and (log.lacking(settings, table) or _expired(settings, table, as_of) is not None):
        return True
    if _wants_compaction(settings, name, table):
        return True
    # Without deleting: delta-rs counts change files among what nothing refers to, which Spark's vacuum then judges.
    # It names removed files for as long as the log does.
    folder = delta.table_path(settings, name)
    old = DeltaTable(str(folder)).vacuum(settings.vacuum_hours, dry_run=True, keep_versions=pinned or None, full=True)
    return any((folder / file).exists() for file in old)


def keep_up(
    spark: SparkSession, settings: Settings, name: str, table: Table | None, as_of: date, pinned: list[int]
) -> Upkeep:
    """Give a table the columns its contract has, drop rows past keep_days before as_of, compact it, and vacuum.

    table: its contract; None where it has none. pinned: versions whose files stay though the table has moved on.
    Each step is a commit of its own or none; any may be killed and run again.
    """
    before = _files(settings, name)
    expired = False
    if table is not None:
        delta.ensure(spark, settings, table)
        expired = _expire(spark, settings, table, as_of)
    _compact(spark, settings, name, table)
    removed = _vacuum(spark, settings, name, pinned)
    return Upkeep(len(before), len(_files(settings, name)), expired, removed)


def count(settings: Settings, name: str) -> int:
    """The number of the table's files."""
    return len(_files(settings, name))


def _files(settings: Settings, name: str) -> list[int]:
    """Sizes of the table's files in bytes."""
    sizes: list[int] = log.files_of(DeltaTable(log.address(settings, name)))["size_bytes"].to_pylist()
    return sizes


def _expired(settings: Settings, table: Table, as_of: date) -> date | None:
    """The first date that is kept, where the table has rows before it."""
    if table.keep_days is None or table.window is None:
        return None
    last = as_of - timedelta(days=table.keep_days)
    oldest = log.first_date(settings, table.name, table.window)
    return None if oldest is None or oldest >= last else last


def _wants_compaction(settings: Settings, name: str, table: Table | None) -> bool:
    marked = table is not None and table.deletion_vectors and _is_marked(settings, name)
    return marked or _is_scattered(settings, name)


def _is_scattered(settings: Settings, name: str) -> bool:
    return sum(size < SMALL for size in _files(settings, name)) > FEW


def _is_marked(settings: Settings, name: str) -> bool:
    """Whether rows that were replaced or deleted may still be in the files of a table with deletion vectors."""
    for commit in DeltaTable(log.address(settings, name)).history():
        # Sorting takes every file, and an overwrite leaves none.
        if commit["operation"] == "OPTIMIZE" or commit.get("operationParameters", {}).get("mode") == "Overwrite":
            return False
        if commit["operation"] in MARKING:
            return True
    return False


def _expire(spark: SparkSession, settings: Settings, table: Table, as_of: date) -> bool:
    last = _expired(settings, table, as_of)
    if last is None:
        return False
    target = SparkTable.forPath(spark, log.address(settings, table.name))
    delta.retrying(lambda: target.delete(F.col(str(table.window)) < F.lit(last)))
    return True


def _compact(spark: SparkSession, settings: Settings, name: str, table: Table | None) -> None:
    """Put small files together. Done week by week the files stay in the order of time, as each holds its weeks."""
    if not _wants_compaction(settings, name, table):
        return
    optimize = SparkTable.forPath(spark, log.address(settings, name)).optimize()
    with delta.configured(
        spark,
        {
            "spark.databricks.delta.optimize.minFileSize": str(SMALL),
            "spark.databricks.delta.optimize.maxFileSize": str(LARGE),
        },
    ):
        by = table.clustered if table is not None else None
        delta.retrying(optimize.executeCompaction if by is None else partial(optimize.executeZOrderBy, by))


def _vacuum(spark: SparkSession, settings: Settings, name: str, pinned: list[int]) -> int | None:
    """Remove files that no version within the retention refers to. Spark's vacuum knows change files, delta-rs's
    knows versions to keep.
    """
    uri, hours = log.address(settings, name), settings.vacuum_hours
    if pinned:
        return len(DeltaTable(uri).vacuum(retention_hours=hours, dry_run=False, keep_versions=pinned, full=True))
    # Delta lists a table's folders in as many tasks as Spark finds partitions with: 10,000 unless told.
    with delta.configured(spark, {"spark.sql.sources.parallelPartitionDiscovery.parallelism": str(LISTING_TASKS)}):
        SparkTable.forPath(spark, uri).vacuum(hours)
    return None
