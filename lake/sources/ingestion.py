"""One batch of new landing files: inspect, refuse or append to bronze, note every file in ops.files.

Each write is done once for a batch, under the number of the batch, so the batch can be repeated from the start
after a kill between any two steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lake import delta, log
from lake.settings import Settings
from lake.sources.bronze import Arrival, append_once, bronze_rows, bronze_table, rows_by_file
from lake.sources.discovery import Batch, for_new_files, visible_files
from lake.sources.inspection import Inspected, damaged, inspect
from lake.sources.mapping import KINDS, Kind, Mapping
from lake.sources.reading import nanoseconds_readable, with_json_keys
from lake.tables import FILES


@dataclass(frozen=True)
class Outcome:
    """What became of a file. rows and unparsable are counts; refusal is None for an ingested file."""

    source: str
    kind: str
    path: str
    bytes: int
    rows: int = 0
    unparsable: int = 0
    new: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    refusal: str | None = None


def ingest_batch(
    spark: SparkSession, settings: Settings, mapping: Mapping, batch: Batch, arrival: Arrival
) -> list[Outcome]:
    """Take in a batch of files that ops.files does not know. Returns what became of each."""
    outcomes: list[Outcome] = []
    for kind in KINDS:
        mine = [path for path in batch.paths if _kind(path) == kind]
        if mine and mapping.section(kind) is not None:
            outcomes += _ingest_kind(spark, settings, mapping, kind, mine, batch, arrival)
    done = {outcome.path for outcome in outcomes}
    outcomes += [_misplaced(settings, mapping, path) for path in batch.paths if path not in done]
    _note(spark, settings, outcomes, batch, arrival)
    return outcomes


def ingest_new_files(spark: SparkSession, settings: Settings, mapping: Mapping, arrival: Arrival) -> list[Outcome]:
    """Take in every file of a source that has not been. Returns what became of each."""
    there = visible_files(settings.landing, mapping.name)
    seen = noted_files(settings, mapping.name)
    outcomes: list[Outcome] = []

    def handle(batch: Batch) -> None:
        fresh = replace(batch, paths=tuple(path for path in batch.paths if path not in seen))
        outcomes.extend(ingest_batch(spark, settings, mapping, fresh, arrival))

    for_new_files(spark, settings, mapping.name, handle)
    # The query passes over files that are empty when it lists them. None may be lost without a word.
    left = sorted(new_files(settings, mapping) & set(there))
    if left:
        handle(Batch(tuple(path for path in left if (settings.landing / path).exists())))
    return outcomes


def new_files(settings: Settings, mapping: Mapping) -> set[str]:
    """Files of a source that ops.files does not know. Asked without Spark, so that a night without files costs none."""
    return set(visible_files(settings.landing, mapping.name)) - noted_files(settings, mapping.name)


def _kind(path: str) -> str:
    """The kind of a file by its folder: <source>/<kind>/..."""
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 else ""


def _misplaced(settings: Settings, mapping: Mapping, path: str) -> Outcome:
    kind = _kind(path)
    if kind in KINDS:
        reason = f"the mapping has no [{kind}]; it has {', '.join(mapping.kinds)}"
    else:
        reason = f"it lies in no folder of {mapping.name} that is read: {', '.join(mapping.kinds)}"
    file = settings.landing / path
    return Outcome(mapping.name, kind, path, file.stat().st_size if file.exists() else 0, refusal=reason)


def _ingest_kind(
    spark: SparkSession,
    settings: Settings,
    mapping: Mapping,
    kind: Kind,
    paths: list[str],
    batch: Batch,
    arrival: Arrival,
) -> list[Outcome]:
    section = mapping.section(kind)
    assert section is not None, kind
    table = bronze_table(mapping, kind)
    found = [inspect(settings.landing / path, section) for path in paths]
    good = [file for file in found if not file.refusal]
    if section.format == "jsonl" and good:
        good = with_json_keys(spark, settings.landing, section, good)
    refused = [file for file in (*found, *good) if file.refusal]
    good = [file for file in good if not file.refusal]
    # A query that starts anew (its checkpoint was lost) sees all files again: its first batch asks the table itself,
    # as does a batch without a number.
    known = {} if batch.number else rows_by_file(spark, settings, table, paths)
    fresh = [file for file in good if _relative(settings, file) not in known]
    lost = _append(spark, settings, mapping, kind, fresh, batch, arrival) if fresh else []
    good = [file for file in good if file.path not in {bad.path for bad in lost}]
    uncounted = [_relative(settings, file) for file in good if file.rows is None]
    counts = known | rows_by_file(spark, settings, table, uncounted)

    def outcome(file: Inspected) -> Outcome:
        path = _relative(settings, file)
        rows, unparsable = counts.get(path, (file.rows or 0, 0))
        return Outcome(
            mapping.name, kind, path, file.bytes, rows, unparsable, file.new, file.absent, refusal=file.refusal
        )

    return [outcome(file) for file in (*good, *refused, *lost)]


def _append(
    spark: SparkSession,
    settings: Settings,
    mapping: Mapping,
    kind: Kind,
    files: list[Inspected],
    batch: Batch,
    arrival: Arrival,
) -> list[Inspected]:
    """Append the files in one commit; returns those whose damage only shows when they are read, left out."""
    section = mapping.section(kind)
    assert section is not None, kind

    def write(files: list[Inspected]) -> None:
        # A file unpacked and as text is several times as large.
        volume = sum(
            file.bytes * (4 if section.format == "parquet" or file.path.suffix == ".gz" else 1) for file in files
        )
        rows = bronze_rows(spark, settings, mapping, kind, files, arrival)
        append_once(rows, settings, bronze_table(mapping, kind), arrival, _once(batch), volume)

    with nanoseconds_readable(spark):
        try:
            write(files)
            return []
        except Exception:
            reasons = {file.path: damaged(file.path) for file in files} if section.format == "parquet" else {}
            lost = [replace(file, refusal=reason) for file in files if (reason := reasons.get(file.path))]
            if not lost:
                raise
        left = [file for file in files if not reasons[file.path]]
        if left:
            write(left)
    return lost


def _relative(settings: Settings, file: Inspected) -> str:
    return file.path.relative_to(settings.landing).as_posix()


def _once(batch: Batch) -> tuple[str, int] | None:
    return None if batch.number is None else (batch.query, batch.number)


def noted_files(settings: Settings, source: str) -> set[str]:
    """The files of a source that ops.files knows, ingested or refused. Read without Spark, which takes seconds."""
    path = log.address(settings, FILES.name)
    if not Path(path, "_delta_log").is_dir():
        return set()
    noted = log.dataset_of(DeltaTable(path)).to_table(columns=["path"], filter=ds.field("source") == source)
    return set(noted["path"].to_pylist())


def _note(spark: SparkSession, settings: Settings, outcomes: list[Outcome], batch: Batch, arrival: Arrival) -> None:
    if not outcomes:
        return
    rows = [
        (
            item.source, item.kind, item.path, item.bytes, "refused" if item.refusal else "ingested", item.refusal,
            None if item.refusal else item.rows, list(item.new), arrival.received_at, arrival.run_id,
        )
        for item in outcomes
    ]  # fmt: skip
    frame = spark.createDataFrame(rows, FILES.schema).coalesce(1)
    numbered = _once(batch)
    once = (f"{numbered[0]}:{FILES.name}", numbered[1]) if numbered else None
    delta.append(frame, settings, FILES, arrival.run_id, once=once)
