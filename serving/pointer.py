"""The pointer: which snapshot is served. A log of state changes that moves by compare-and-swap. No Spark, no JVM.

gold.snapshots is append only and its last row in state `published` is the pointer. A writer reads the log at
one Delta version, decides, and commits exactly the next version or nothing: with no retries allowed, delta-rs
refuses to commit when the version it read is no longer the last, and the log entry itself is created
exclusively. So of two writers that read the same log exactly one wins, and `sequence` has no gap and no twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from lake.errors import PublishError
from lake.log import arrow_schema, create, dataset_of, files_of, table_uri
from lake.tables import SNAPSHOTS

PUBLISHED = "published"
ROLLED_BACK = "rolled_back"
HELD = "held"

# How many rows from the end are looked at first: enough for the pointer unless many publishes are held.
RECENT = 64


class Superseded(PublishError):
    """A snapshot that is no newer than what was published meanwhile: leaving it is right, retrying is not."""


class LostRace(PublishError):
    """Another writer moved the pointer since the log was read."""

    exit_code = 1


@dataclass(frozen=True)
class Snapshot:
    """One row of gold.snapshots: a state change of a snapshot, and all that a reader needs to open it."""

    snapshot_id: str
    sequence: int
    state: str
    at: datetime
    as_of: date
    recommendations_version: int
    fallbacks_version: int
    users: int
    cohorts: int
    checksum: str
    model_version: str
    valid_until: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Log:
    """gold.snapshots at one Delta version, in order of sequence. `table` is None when it was never written."""

    rows: tuple[Snapshot, ...]
    table: DeltaTable | None = None

    @property
    def pointer(self) -> Snapshot | None:
        """The published snapshot, or None."""
        return next((row for row in reversed(self.rows) if row.state == PUBLISHED), None)

    @property
    def on_hold(self) -> Snapshot | None:
        """The snapshot whose rollback holds the next publish, or None once that was released.

        A rollback writes two rows in one commit: the bad snapshot as rolled_back, then the earlier one as
        published. So a hold is on exactly when the pointer's row comes right after a rolled_back one.
        """
        pointer = self.pointer
        if pointer is None:
            return None
        before = next((row for row in self.rows if row.sequence == pointer.sequence - 1), None)
        return before if before is not None and before.state == ROLLED_BACK else None

    def latest(self, snapshot_id: str) -> Snapshot | None:
        """The snapshot's last state, or None when the log does not know it."""
        return next((row for row in reversed(self.rows) if row.snapshot_id == snapshot_id), None)

    @property
    def next_sequence(self) -> int:
        """The sequence that the next row takes."""
        return self.rows[-1].sequence + 1 if self.rows else 1


def read_log(root: str, *, recent: bool = False) -> Log:
    """The log, or its end that certainly holds the pointer if there is one."""
    uri = table_uri(root, SNAPSHOTS.name)
    if not DeltaTable.is_deltatable(uri):
        return Log(())
    table = DeltaTable(uri)
    dataset = dataset_of(table)
    if recent:
        last = max(files_of(table)["max.sequence"].to_pylist(), default=0)
        log = Log(_rows(dataset.to_table(filter=ds.field("sequence") > last - RECENT)), table)
        if log.pointer is not None:
            return log
    return Log(_rows(dataset.to_table()), table)


def move(root: str, log: Log, rows: Sequence[Snapshot], run_id: str) -> Log:
    """Append the rows in one commit, right after the version at which the log was read, or not at all.

    The rows get the next sequences and the present instant. Returns the log with them.
    Raises LostRace when another writer was quicker; nothing is written then.
    """
    table = log.table if log.table is not None else _create(root)
    now = datetime.now(UTC)
    stamped = tuple(replace(row, sequence=log.next_sequence + index, at=now) for index, row in enumerate(rows))
    read_at = table.version()
    try:
        write_deltalake(
            table,
            pa.Table.from_pylist([asdict(row) for row in stamped], schema=arrow_schema(SNAPSHOTS)),
            mode="append",
            commit_properties=CommitProperties(max_commit_retries=0, custom_metadata={"userMetadata": run_id}),
        )
    except CommitFailedError as error:
        last = DeltaTable(table_uri(root, SNAPSHOTS.name)).version()
        if last == read_at:
            raise
        raise LostRace(
            f"gold.snapshots went from version {read_at} to {last} while this publish was deciding; "
            "nothing was changed, run it again"
        ) from error
    return Log((*log.rows, *stamped), table)


def _create(root: str) -> DeltaTable:
    """The table, made from its contract, without rows. Raises LostRace when another writer has added one already.

    Creating is not exclusive in delta-rs (of two racing creations the second can become version 1, with the same
    metadata and no rows); what decides is the append that follows.
    """
    uri = table_uri(root, SNAPSHOTS.name)
    once = CommitProperties(max_commit_retries=0)
    try:
        create(uri, SNAPSHOTS, mode="error", commit=once)
    except DeltaError:
        if not DeltaTable.is_deltatable(uri):
            raise
    table = DeltaTable(uri)
    if dataset_of(table).count_rows():
        raise LostRace("gold.snapshots got its first row from another writer; nothing was changed, run it again")
    return table


def _rows(table: pa.Table) -> tuple[Snapshot, ...]:
    def snapshot(row: dict[str, Any]) -> Snapshot:
        return Snapshot(**{name: row[name] for name in SNAPSHOTS.names})

    return tuple(sorted((snapshot(row) for row in table.to_pylist()), key=lambda row: row.sequence))
