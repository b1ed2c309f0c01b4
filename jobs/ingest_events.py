"""Landing files to bronze, exactly once a file. Its business is in lake.sources; here it is put in order and told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.job import Context, Report
from lake import delta
from lake.console import say
from lake.errors import SourceError
from lake.settings import Settings
from lake.sources.bronze import Arrival, bronze_table
from lake.sources.discovery import visible_files
from lake.sources.ingestion import Outcome, ingest_new_files, new_files
from lake.sources.mapping import Mapping

TOLD = 20  # files named one by one; the rest is counted, and all are in ops.files


def run(context: Context) -> Report:
    """Take in every file that landed since the last run, whatever its source, and say what became of each.

    Raises SourceError when no source is registered or nothing has ever landed.
    """
    mappings = [mapping for mapping in _landed(context.settings) if new_files(context.settings, mapping)]
    if not mappings:
        return Report(skipped="no new file")
    arrival = Arrival(datetime.now(UTC), context.window.end - timedelta(days=1), context.run_id)
    outcomes: list[Outcome] = []
    for mapping in mappings:
        outcomes += ingest_new_files(context.spark, context.settings, mapping, arrival)
    _tell(outcomes)
    report = _report(outcomes)
    if not report.details["files_ingested"] and not _ever(context, mappings):
        report.details["warning"] = "every file was refused and nothing was ever ingested"
        say(
            "ingest_events: every file was refused and nothing was ever ingested; mend the files or the mapping, and "
            "land them under new names"
        )
    return report


def _landed(settings: Settings) -> list[Mapping]:
    """The registered sources that have files."""
    registered = Mapping.for_home(settings)
    if not registered:
        raise SourceError(
            f"no source is registered in {settings.sources}; run for example: attune load complete-journey, "
            "or attune load files --mapping my-shop.toml --path my-events.csv"
        )
    found = [mapping for name, mapping in registered.items() if visible_files(settings.landing, name)]
    if not found:
        raise SourceError(
            f"nothing has landed in {settings.landing} for {', '.join(registered)}; run attune load, or put files "
            f"into {settings.landing / next(iter(registered)) / 'events'}"
        )
    return found


def _tell(outcomes: list[Outcome]) -> None:
    refused = [item for item in outcomes if item.refusal]
    for item in refused[:TOLD]:
        say(f"refused {item.path}: {item.refusal}; it stays refused until it lands under a new name")
    if len(refused) > TOLD:
        say(f"refused {len(refused) - TOLD} more files; ops.files says why")
    for item in [item for item in outcomes if item.unparsable][:TOLD]:
        say(f"{item.path}: {item.unparsable:,} of {item.rows:,} lines cannot be parsed; kept in bronze as received")
    for key, columns in _columns(outcomes, "new").items():
        say(f"{key}: columns the mapping does not name, kept in bronze: {', '.join(columns[:TOLD])}")
    for key, columns in _columns(outcomes, "absent").items():
        say(f"{key}: optional columns that a file lacks, null in its rows: {', '.join(columns[:TOLD])}")


def _columns(outcomes: list[Outcome], which: str) -> dict[str, list[str]]:
    """<source>/<kind> -> names, sorted."""
    found: dict[str, set[str]] = {}
    for item in outcomes:
        if names := getattr(item, which):
            found.setdefault(f"{item.source}/{item.kind}", set()).update(names)
    return {key: sorted(names) for key, names in found.items()}


def _report(outcomes: list[Outcome]) -> Report:
    """Bronze takes every row, so what was read is what is there; refused files were not read."""
    ingested = [item for item in outcomes if not item.refusal]
    refused = [item for item in outcomes if item.refusal]
    rows = sum(item.rows for item in ingested)
    details: dict[str, object] = {
        "files_ingested": len(ingested),
        "files_refused": len(refused),
        "lines_unparsable": sum(item.unparsable for item in ingested),
    }
    details |= {f"refused {item.path}": item.refusal for item in refused[:TOLD]}
    details |= {f"new columns {key}": ", ".join(names) for key, names in _columns(outcomes, "new").items()}
    details |= {f"absent columns {key}": ", ".join(names) for key, names in _columns(outcomes, "absent").items()}
    return Report(rows_read=rows, rows_clean=rows, rows_rejected=0, rows_duplicate=0, details=details)


def _ever(context: Context, mappings: list[Mapping]) -> bool:
    return any(delta.exists(context.spark, context.settings, bronze_table(mapping).name) for mapping in mappings)
