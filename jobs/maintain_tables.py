"""Every table of the lake -> the same rows in few files; rows and files past their retention go.

Runs beside the nights: compaction changes no row, and a job that writes meanwhile is tried again.
"""

from __future__ import annotations

from jobs.job import Context, Report
from lake import upkeep
from lake.console import step
from lake.tables import FALLBACKS, RECOMMENDATIONS, TABLES
from serving.pointer import PUBLISHED, read_log

# The published snapshot and the ones before it, to which a rollback may go.
SNAPSHOTS_KEPT = 2


def run(context: Context) -> Report:
    """Keep up every table as of the window's end."""
    settings = context.settings
    pinned = _pinned(str(settings.lake))
    details = {}
    for name in upkeep.names(settings):
        given = (TABLES.get(name), context.window.end, pinned.get(name, []))
        if not upkeep.due(settings, name, *given):
            details[name] = f"{upkeep.count(settings, name):,} files, nothing to do"
            continue
        with step(f"upkeep of {name}"):
            details[name] = str(upkeep.keep_up(context.spark, settings, name, *given))
    if not details:
        return Report(skipped=f"there is no table in {settings.lake} yet")
    return Report(details=details)


def _pinned(root: str) -> dict[str, list[int]]:
    """Versions that the kept snapshots are read from."""
    kept: dict[str, tuple[int, int]] = {}
    for row in reversed(read_log(root).rows):
        if row.state == PUBLISHED and len(kept) < SNAPSHOTS_KEPT:
            kept.setdefault(row.snapshot_id, (row.recommendations_version, row.fallbacks_version))
    return {
        RECOMMENDATIONS.name: sorted({versions[0] for versions in kept.values()}),
        FALLBACKS.name: sorted({versions[1] for versions in kept.values()}),
    }
