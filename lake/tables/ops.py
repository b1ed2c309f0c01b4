"""Contracts of the books: runs, drift and files."""

from __future__ import annotations

from lake.contracts import Table, column

RUNS = Table(
    name="ops.runs",
    grain="one job run",
    owner="every job",
    written="append",
    keys=("run_id",),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("run_id", "string", "random, in each table's commit metadata too", stats=True),
        column("job", "string", "name of the job", stats=True),
        column("start", "date", "window start", stats=True),
        column("end", "date", "window end, exclusive", stats=True),
        column("state", "string", "done, failed or skipped", stats=True),
        column("started_at", "timestamp", "wall clock", stats=True),
        column("seconds", "double", "wall clock"),
        column("rows_read", "long", "rows in, or null"),
        column("rows_clean", "long", "rows out, or null"),
        column("rows_rejected", "long", "rows rejected, or null"),
        column("rows_duplicate", "long", "rows that were duplicates, or null"),
        column("details", "map<string,string>", "counts by reason, versions, whatever the job reports"),
        column("code_version", "string", "git commit, or package version"),
        column("model_version", "string", "registered model, or null"),
        column("error", "string", "message of a failed run, or null"),
    ),
)

DRIFT = Table(
    name="ops.drift",
    grain="one number of one event date",
    owner="build_features",
    written="replace_window",
    window="event_date",
    keys=("event_date", "measure", "key"),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("event_date", "date", "the day that was measured, UTC", stats=True),
        column("measure", "string", "events, nulls, rejected, category, currency, segment; the last three with _mix"),
        column("key", "string", "event type, column, category or segment; 'all'; 'psi' for a mix"),
        column("value", "double", "count, share, or population stability index"),
        column("expected", "double", "from the trailing weeks; null with too little of them, or not judged"),
        column("low", "double", "least that is allowed, or null"),
        column("high", "double", "most that is allowed, or null"),
        column("state", "string", "measured, within, beyond, or unknown: too little past"),
        column("run_id", "string", "the run"),
    ),
)

FILES = Table(
    name="ops.files",
    grain="one landing file that was looked at",
    owner="ingest_events",
    written="append",
    keys=("source", "kind", "path"),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("source", "string", "the source", stats=True),
        column("kind", "string", "events, items, users or consents", stats=True),
        column("path", "string", "path below the landing folder", stats=True),
        column("bytes", "long", "size"),
        column("status", "string", "ingested or refused", stats=True),
        column("reason", "string", "why it was refused, or null"),
        column("rows", "long", "rows taken, or null"),
        column("new_columns", "array<string>", "columns the mapping does not name; kept in bronze"),
        column("received_at", "timestamp", "when", stats=True),
        column("run_id", "string", "the run", stats=True),
    ),
)
