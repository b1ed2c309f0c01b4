"""Exporting the published snapshot to one file, for teams that load a key-value store.

One row a key, personal lists and fallbacks alike: snapshot_id, rung, key (the user id or the cohort), segment, country
(of a user, rungs that follow), items, stage (of a user, between the two; null in a snapshot of before there were any).
The file appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import ServingError
from serving.opened import Opened
from serving.reader import SnapshotReader

FORMATS = {".jsonl": "JSON lines", ".parquet": "Parquet"}
COLUMNS = ("snapshot_id", "rung", "key", "segment", "country", "items", "stage")


def export(reader: SnapshotReader, destination: Path) -> int:
    """Write the reader's snapshot to a .jsonl or .parquet file, replacing it; how many rows.

    Memory is that of one batch. Raises ServingError for another suffix or a folder that is not there.
    """
    if destination.suffix not in FORMATS:
        allowed = ", ".join(f"{suffix} ({name})" for suffix, name in FORMATS.items())
        raise ServingError(f"got the destination {destination.name!r}; allowed suffixes are {allowed}")
    if not destination.parent.is_dir():
        raise ServingError(f"there is no folder {destination.parent} to write {destination.name} into; create it")
    partial = destination.with_name(f".{destination.name}.partial")
    batches = _rows(reader.opened)
    try:
        count = _parquet(batches, partial) if destination.suffix == ".parquet" else _json_lines(batches, partial)
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _rows(opened: Opened) -> Iterator[pa.Table]:
    """The snapshot in tables of COLUMNS: fallbacks first, so that their schema is known even without users."""
    for batch in opened.batches():
        lists = pa.Table.from_batches([batch])
        rung = pa.array(["personal"] * lists.num_rows, pa.string())
        stage = lists["stage"] if "stage" in lists.column_names else pa.nulls(lists.num_rows, pa.string())
        yield _table(opened, rung, lists["user_id"], lists["segment"], lists["country"], lists["items"], stage)
    cohorts = opened.fallbacks
    nothing = pa.nulls(cohorts.num_rows, pa.string())
    yield _table(opened, cohorts["rung"], cohorts["cohort"], nothing, nothing, cohorts["items"], nothing)


def _table(opened: Opened, *columns: pa.Array | pa.ChunkedArray) -> pa.Table:
    owner = pa.array([opened.snapshot.snapshot_id] * len(columns[0]), pa.string())
    return pa.Table.from_arrays([owner, *columns], names=list(COLUMNS))


def _json_lines(tables: Iterator[pa.Table], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for table in tables:
            for row in table.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += table.num_rows
    return count


def _parquet(tables: Iterator[pa.Table], path: Path) -> int:
    first = next(tables)
    count = first.num_rows
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table.cast(first.schema))
            count += table.num_rows
    return count
