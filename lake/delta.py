"""Reading and writing Delta tables by contract. Nothing else in Attune opens a table for writing.

Every write is one Delta commit that carries the run id, so a killed job leaves either the version before
or the version after. Tables are addressed by path; predicates are built from dates, never from input text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TypeVar

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
    ProtocolChangedException,
)
from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import log
from lake.console import say
from lake.contracts import Column as TableColumn
from lake.errors import ContractError
from lake.settings import Settings
from lake.tables import TABLES, Table
from lake.window import Window

ATTEMPTS = 5
# Delta's conflicts share no base class of their own.
CONFLICTS = (
    ConcurrentAppendException, ConcurrentDeleteDeleteException, ConcurrentDeleteReadException,
    ConcurrentTransactionException, ConcurrentWriteException, MetadataChangedException, ProtocolChangedException,
)  # fmt: skip
USER_BUCKETS = 256
DELETION_VECTORS = "delta.enableDeletionVectors"

T = TypeVar("T")


def user_bucket(user_id: str | Column = "user_id") -> Column:
    """The look-up bucket of a user, 0 to 255. serving.bucket computes the same without Spark."""
    return F.pmod(F.xxhash64(user_id), F.lit(USER_BUCKETS)).cast("int")


def table_path(settings: Settings, name: str) -> Path:
    """Folder of a table: lake/<layer>/<table>."""
    return Path(log.address(settings, name))


def exists(spark: SparkSession, settings: Settings, name: str) -> bool:
    """Whether the table has been created."""
    return DeltaTable.isDeltaTable(spark, str(table_path(settings, name)))


def ensure(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Create the table from its contract unless it is there; one of an earlier contract gets the columns it lacks."""
    if exists(spark, settings, table.name):
        _migrate(spark, settings, table)
        return
    builder = DeltaTable.createIfNotExists(spark).location(str(table_path(settings, table.name)))
    for item in table.columns:
        builder = builder.addColumn(item.name, item.type, comment=item.comment)
    if table.stats:
        builder = builder.property("delta.dataSkippingStatsColumns", ",".join(table.stats))
    if table.tracked:
        builder = builder.property("delta.enableChangeDataFeed", "true")
    if table.deletion_vectors:
        builder = builder.property(DELETION_VECTORS, "true")
    else:
        # Readers without Spark (delta-rs, DuckDB, polars) must be able to open the table.
        builder = builder.property("delta.minReaderVersion", "1").property(DELETION_VECTORS, "false")
    retrying(builder.execute)


def _migrate(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Add the contract's columns that the table lacks, null in its rows, in one commit without data."""
    if table.deletion_vectors and log.properties(settings, table.name).get(DELETION_VECTORS) != "true":
        _mark_deletions(spark, settings, table)
    lacking = log.lacking(settings, table)
    if not lacking:
        return
    say(f"{table.name} gets {', '.join(item.name for item in lacking)}: it is of an earlier contract")
    columns = (F.col(item.name).alias(item.name, metadata={"comment": item.comment}) for item in table.columns)
    nothing = spark.createDataFrame([], table.schema).select(*columns)
    writer = nothing.write.format("delta").mode("append").option("mergeSchema", "true")
    retrying(lambda: writer.save(str(table_path(settings, table.name))))
    log.set_statistics(settings, table)


def _mark_deletions(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Let a table of an earlier contract have deletion vectors, in commits without data; the last says that it has."""
    path = str(table_path(settings, table.name))
    retrying(lambda: DeltaTable.forPath(spark, path).addFeatureSupport("deletionVectors"))
    log.set_statistics(settings, table)
    log.set_properties(settings, table.name, {DELETION_VECTORS: "true"})


def read(spark: SparkSession, settings: Settings, name: str, version: int | None = None) -> DataFrame:
    """A table, as of now or of a version; empty with the contract's schema when it was never written.

    Columns of the contract that the table does not have yet are null.
    """
    if not exists(spark, settings, name):
        if name not in TABLES:
            raise ContractError(f"there is no table {name} at {table_path(settings, name)}; known: {', '.join(TABLES)}")
        return spark.createDataFrame([], TABLES[name].schema)
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    frame = reader.load(str(table_path(settings, name)))
    return completed(frame, TABLES[name]) if name in TABLES else frame


def completed(frame: DataFrame, table: Table) -> DataFrame:
    """The frame with those columns of the contract that it lacks, null in its rows."""
    lacking = {item.name: F.lit(None).cast(item.type) for item in table.columns if item.name not in frame.columns}
    return frame.withColumns(lacking) if lacking else frame


def version(spark: SparkSession, settings: Settings, name: str) -> int | None:
    """The table's latest version, or None when it was never written."""
    if not exists(spark, settings, name):
        return None
    history = DeltaTable.forPath(spark, str(table_path(settings, name))).history(1)
    return int(history.select("version").collect()[0][0])


def conform(frame: DataFrame, table: Table) -> DataFrame:
    """The frame with exactly the contract's columns, in order and type.

    Raises ContractError that lists the missing and the present columns.
    """
    missing = [name for name in table.names if name not in frame.columns]
    if missing:
        raise ContractError(f"{table.name} lacks {missing}; the frame has {frame.columns}")
    return frame.select(*(F.col(item.name).cast(item.type).alias(item.name) for item in table.columns))


def in_window(column: str, window: Window, also: Sequence[date] = ()) -> str:
    """A predicate for the dates of a window, and single days before it.

    Of dates, not of texts: Delta holds each row that replaces others against the predicate as it is written, and would
    make dates of the texts row by row.
    """
    inside = f"({column} >= DATE '{window.start.isoformat()}' AND {column} < DATE '{window.end.isoformat()}')"
    if not also:
        return inside
    days = ", ".join(f"DATE '{day.isoformat()}'" for day in sorted(also))
    return f"({inside} OR {column} IN ({days}))"


def replace_window(
    frame: DataFrame, settings: Settings, table: Table, predicate: str, run_id: str, files: int | None = None
) -> None:
    """Replace the rows that match the predicate by the frame's, in one commit.

    Writing the same again gives the same table. Fails when a row of the frame is outside the predicate.
    """
    ensure(frame.sparkSession, settings, table)
    conformed = conform(frame, table)
    if files:
        conformed = conformed.repartition(files, F.col(table.window or table.keys[0]))

    def write() -> None:
        (
            conformed.write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", predicate)
            .option("userMetadata", run_id)
            .save(str(table_path(settings, table.name)))
        )

    retrying(write)


def append(
    frame: DataFrame, settings: Settings, table: Table, run_id: str, once: tuple[str, int] | None = None
) -> None:
    """Append the frame in one commit. `once` is (application, number): a repeat of the pair writes nothing."""
    ensure(frame.sparkSession, settings, table)
    writer = conform(frame, table).write.format("delta").mode("append").option("userMetadata", run_id)
    if once:
        writer = writer.option("txnAppId", once[0]).option("txnVersion", once[1])
    retrying(lambda: writer.save(str(table_path(settings, table.name))))


def merge(frame: DataFrame, settings: Settings, table: Table, run_id: str, *, update: bool = True) -> None:
    """Insert rows by key; update those that are there unless update is False. One row a key, please."""
    spark = frame.sparkSession
    ensure(spark, settings, table)
    condition = " AND ".join(f"old.`{key}` <=> new.`{key}`" for key in table.keys)
    path = str(table_path(settings, table.name))
    rows = conform(frame, table)
    # Rows that would not change are left alone, so that a repeat rewrites nothing. Maps cannot be compared; their
    # JSON can.
    changed = " OR ".join(
        f"NOT ({_comparable('old', item)} <=> {_comparable('new', item)})"
        for item in table.columns
        if item.name not in table.keys
    )

    def write() -> None:
        if log.is_empty(settings, table.name):
            # Nothing to match: a MERGE would still join, and cost several times the write.
            rows.write.format("delta").mode("overwrite").option("userMetadata", run_id).save(path)
            return
        builder = DeltaTable.forPath(spark, path).alias("old").merge(rows.alias("new"), condition)
        if update:
            builder = builder.whenMatchedUpdateAll(condition=changed)
        builder.whenNotMatchedInsertAll().execute()

    with configured(spark, {"spark.databricks.delta.commitInfo.userMetadata": run_id}):
        retrying(write)


def _comparable(side: str, column: TableColumn) -> str:
    return f"to_json({side}.`{column.name}`)" if column.type.startswith("map") else f"{side}.`{column.name}`"


def delete_users(spark: SparkSession, settings: Settings, table: Table, users: DataFrame, run_id: str) -> None:
    """Delete the rows of the users in the frame: a MERGE, so that no id enters a predicate in the log."""
    if log.is_empty(settings, table.name):
        return
    target = DeltaTable.forPath(spark, str(table_path(settings, table.name))).alias("old")
    builder = target.merge(users.select("user_id").distinct().alias("gone"), "old.user_id = gone.user_id")
    builder = builder.whenMatchedDelete()
    retrying(builder.execute)


@contextmanager
def configured(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Settings of the session, for as long as the block runs."""
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name in values:
            spark.conf.unset(name)


def retrying(write: Callable[[], T]) -> T:
    """Run a write again when another one won the race; the data is the same, so the result is."""
    for attempt in range(ATTEMPTS):
        try:
            return write()
        except CONFLICTS:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.2 * 2**attempt)
    raise AssertionError("unreachable")
