"""`attune generate`: a synthetic log with known preferences and known defects, in the session's own Spark."""

from __future__ import annotations

from pathlib import Path

from lake.console import emit_table, say
from lake.generator import Generated, Params, check_folder, write_log
from lake.settings import Settings


def generate(params: Params, out: Path, settings: Settings) -> Generated:
    """Write the log. Raises what `write_log` raises, and that before Spark starts."""
    from lake.session import session

    params.check()
    folder = check_folder(out.expanduser().absolute())
    return write_log(session(settings, "attune generate"), params, folder)


def show(found: Generated) -> None:
    """What was written, for people, and what to do with it."""
    emit_table("rows", ["kind", "rows", "files"], [[kind, found.rows[kind], found.files[kind]] for kind in found.rows])
    emit_table("defects, and events of bots", ["kind", "lines"], [list(item) for item in found.defects.items()])
    say(f"written to {found.folder}. Next, for events, items, users and consents each:")
    say(f"attune load files --mapping {found.folder}/generated.toml --path {found.folder}/events --kind events")
    say(f"then: attune run ingest_events --start {found.params.start} --end {found.params.end}")
