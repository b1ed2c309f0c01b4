"""Reading ops.runs without Spark."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
from deltalake import DeltaTable

from lake.errors import ServingError
from lake.log import address, dataset_of
from lake.settings import Settings
from lake.window import Window


def latest_runs(settings: Settings, last: int, job: str | None = None) -> list[dict[str, Any]]:
    """The latest runs, newest first, as dictionaries of ops.runs' columns.

    Raises ServingError when nothing was ever run in this home.
    """
    path = address(settings, "ops.runs")
    if not DeltaTable.is_deltatable(path):
        raise ServingError(f"no job has run in {settings.home}; start with: attune demo, or attune load SOURCE")
    table = dataset_of(DeltaTable(path)).to_table()
    if job is not None:
        table = table.filter(pc.equal(table["job"], job))
    table = table.sort_by([("started_at", "descending")]).slice(0, last)
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        row["details"] = dict(row["details"] or {})
    return rows


def newest_done(settings: Settings, job: str, window: Window) -> dict[str, Any] | None:
    """The newest run of a job over exactly this window that ended well, or None."""
    if not DeltaTable.is_deltatable(address(settings, "ops.runs")):
        return None
    same = {"state": "done", "start": window.start, "end": window.end}
    runs = latest_runs(settings, 1_000_000, job)
    return next((run for run in runs if all(run[name] == value for name, value in same.items())), None)
