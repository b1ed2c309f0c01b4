"""Reading ops.runs without Spark."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
from deltalake import DeltaTable

from lake.errors import ServingError
from lake.settings import Settings


def latest_runs(settings: Settings, last: int, job: str | None = None) -> list[dict[str, Any]]:
    """The latest runs, newest first, as dictionaries of ops.runs' columns.

    Raises ServingError when nothing was ever run in this home.
    """
    path = settings.lake / "ops" / "runs"
    if not DeltaTable.is_deltatable(str(path)):
        raise ServingError(f"no job has run in {settings.home}; start with: attune demo, or attune load SOURCE")
    table = DeltaTable(str(path)).to_pyarrow_table()
    if job is not None:
        table = table.filter(pc.equal(table["job"], job))
    table = table.sort_by([("started_at", "descending")]).slice(0, last)
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        row["details"] = dict(row["details"] or {})
    return rows
