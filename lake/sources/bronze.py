"""The bronze tables: a source's rows as received, appended once a batch, sorted by the date they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lake import delta
from lake.contracts import column
from lake.errors import SourceError
from lake.settings import Settings
from lake.sources.columns import event_time_expression
from lake.sources.fields import bronze_name
from lake.sources.inspection import Inspected
from lake.sources.mapping import Kind, Mapping
from lake.sources.reading import CORRUPT, read_text_rows
from lake.tables import Table
from lake.window import EARLIEST

# What a night brings becomes one file. A large backfill is sorted by date over many, so that a window later opens few
# of them; that reads the input twice, and below SORTED the order within each file is enough.
ONE_FILE = 4 << 20
SORTED = 512 << 20
PIECE = 64 << 20


@dataclass(frozen=True)
class Arrival:
    """What is the same for all rows of a batch."""

    received_at: datetime
    logical_date: date
    run_id: str


def bronze_table(mapping: Mapping, kind: Kind = "events") -> Table:
    """The contract of bronze.<source> (events) or bronze.<source>_<kind>, as far as the mapping knows it.

    Columns that only files know are added to the table as they come. Raises SourceError when the mapping does not
    speak of the kind.
    """
    section = mapping.section(kind)
    if section is None:
        raise SourceError(f"{mapping.name}: the mapping has no [{kind}]; it has {', '.join(mapping.kinds)}")
    return Table(
        name=f"bronze.{mapping.name}" + ("" if kind == "events" else f"_{kind}"),
        grain="a source row as received",
        owner="ingest_events",
        written="append",
        keys=(),
        columns=(
            *(column(bronze_name(name), "string", f"{name} of the source") for name in section.source_columns),
            column(CORRUPT, "string", "the line as received, when it could not be parsed"),
            column("_file", "string", "file it came from, below the landing folder"),
            column("_kind", "string", "events, items, users or consents"),
            column("_received_at", "timestamp", "when it was ingested"),
            column("_logical_date", "date", "last day of the window it was ingested in", stats=True),
            column("_window_date", "date", "UTC date of the event, else the logical date", stats=True),
        ),
    )


def bronze_rows(
    spark: SparkSession, settings: Settings, mapping: Mapping, kind: Kind, files: list[Inspected], arrival: Arrival
) -> DataFrame:
    """The rows of files that passed inspection, with all columns of bronze."""
    section = mapping.section(kind)
    assert section is not None, kind
    rows = read_text_rows(spark, settings.landing, section, files)
    absent = [name for name in map(bronze_name, section.source_columns) if name not in rows.columns]
    logical = F.lit(arrival.logical_date)
    rows = rows.withColumns(
        {
            **{name: F.lit(None).cast("string") for name in absent},
            "_kind": F.lit(kind),
            "_received_at": F.lit(arrival.received_at),
            "_logical_date": logical,
        }
    )
    return rows.withColumn("_window_date", _window_date(mapping, logical) if kind == "events" else logical)


def append_once(
    rows: DataFrame, settings: Settings, table: Table, arrival: Arrival, once: tuple[str, int] | None, bytes: int
) -> None:
    """Append in one commit, which also makes the table or widens it by new columns.

    A repeat of `once` (query, number) writes nothing.

    bytes: about how much is coming, which decides over how many files it is spread.
    """
    if bytes <= ONE_FILE:
        rows = rows.coalesce(1)
    elif bytes > SORTED:
        rows = rows.repartitionByRange(bytes // PIECE, "_window_date")
    comments = {item.name: {"comment": item.comment} for item in table.columns}
    described = rows.select(*(F.col(f"`{name}`").alias(name, metadata=comments.get(name, {})) for name in rows.columns))
    writer = (
        described.sortWithinPartitions("_window_date")
        .write.format("delta")
        .mode("append")
        .option("mergeSchema", "true")
        # The next three take effect when the table is made.
        .option("delta.dataSkippingStatsColumns", ",".join(table.stats))
        .option("delta.minReaderVersion", "1")
        .option("delta.enableDeletionVectors", "false")
        .option("userMetadata", arrival.run_id)
    )
    if once:
        writer = writer.option("txnAppId", f"{once[0]}:{table.name}").option("txnVersion", once[1])
    writer.save(str(delta.table_path(settings, table.name)))


def rows_by_file(spark: SparkSession, settings: Settings, table: Table, files: list[str]) -> dict[str, tuple[int, int]]:
    """File -> (rows, rows that could not be parsed), as the table has them; files without rows are left out."""
    if not files or not delta.exists(spark, settings, table.name):
        return {}
    rows = delta.read(spark, settings, table.name).where(F.col("_file").isin(files))
    counted = rows.groupBy("_file").agg(F.count("*").alias("rows"), F.count(CORRUPT).alias("unparsable"))
    return {row["_file"]: (row["rows"], row["unparsable"]) for row in counted.collect()}


def _window_date(mapping: Mapping, logical: Column) -> Column:
    day = F.to_date(event_time_expression(mapping))
    # A day that has begun is possible, also when it is after the window: its own run will take the row.
    return F.when(day.between(F.lit(EARLIEST), F.to_date("_received_at")), day).otherwise(logical)
