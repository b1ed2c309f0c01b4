"""Online Retail II: the UCI workbook with its two yearly sheets, a CSV of the same lines, or a download."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from lake.errors import SourceError
from lake.settings import Settings
from lake.sources.download import extract_member, fetch_zip
from lake.sources.landing import digest, landing_folder, whole
from lake.sources.mapping import Mapping
from lake.sources.report import Days, LoadReport, no_events

NAME = "online-retail-ii"
ADDRESS = "https://archive.ics.uci.edu"
ZIPPED = "/static/public/502/online+retail+ii.zip"
TIME = "InvoiceDate"


def load(settings: Settings, path: Path | None, days: Days, base_url: str | None = None) -> LoadReport:
    """Land the invoice lines of the days as one CSV file. Without a path the workbook is downloaded, once a home.

    path: .csv, .csv.gz, .xlsx, or the .zip as UCI serves it. Lines whose time cannot be read go with the first day, so
    that they are seen and rejected once. Raises SourceError when the file is not what it should be, when it cannot be
    had, or when the days hold no line.
    """
    path = path or _downloaded(settings, base_url or ADDRESS)
    if path.suffix == ".zip":
        path = extract_member(path, ".xlsx", settings.home / "downloads" / f"{digest(path)[:12]}.xlsx")
    target = landing_folder(settings, NAME, "events") / f"online_retail_ii_{digest(path)[:12]}_{days}.csv"
    report = LoadReport(NAME)
    if target.exists():
        report.add(target, False)
        return report
    with whole(target) as partial:
        count = _write(path, partial, days)
    report.add(target, True, "events", count)
    return report


def _downloaded(settings: Settings, base_url: str) -> Path:
    return fetch_zip(base_url + ZIPPED, settings.home / "downloads" / "online_retail_ii.zip")


def _write(path: Path, target: Path, days: Days) -> int:
    """Write the chosen lines; returns how many."""
    mapping = Mapping.bundled(NAME)
    rows = lines(path)
    header = next(rows, None)
    if header is None:
        raise SourceError(f"{path} is empty; expected the columns {', '.join(mapping.events.source_columns)}")
    missing = [name for name in mapping.events.source_columns if name not in header]
    if missing:
        raise SourceError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(header)}")
    position = header.index(TIME)
    zone = ZoneInfo(mapping.events.time.zone)

    @lru_cache(maxsize=200_000)
    def day_of(text: str) -> date | None:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC).date()
        except ValueError:
            return None

    first = last = None
    count = unreadable = 0
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            day = day_of(row[position]) if len(row) > position else None
            if day is not None:
                first, last = min(first or day, day), max(last or day, day)
            else:
                unreadable += 1
            if days.all or (day is not None and days.hold(day)):
                writer.writerow(row)
                count += 1
        if unreadable and not days.all and (first is None or days.hold(first)):
            for row in lines(path):
                if (len(row) <= position or day_of(row[position]) is None) and row != header:
                    writer.writerow(row)
                    count += 1
    if not count:
        raise no_events(NAME, days, first, last)
    return count


def lines(path: Path) -> Iterator[list[str]]:
    """The header and the lines of a file, as text. Raises SourceError when it cannot be read."""
    try:
        if path.suffix == ".xlsx":
            yield from _workbook(path)
        elif path.suffix in (".csv", ".gz"):
            open_text = gzip.open if path.suffix == ".gz" else open
            with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:
                yield from csv.reader(file)
        else:
            raise SourceError(f"{path}: got {path.suffix or 'no suffix'}; allowed are .csv, .csv.gz, .xlsx and .zip")
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {str(error).splitlines()[0][:200]}") from None


def _workbook(path: Path) -> Iterator[list[str]]:
    from python_calamine import CalamineError, CalamineWorkbook

    header: list[str] | None = None
    try:
        book = CalamineWorkbook.from_path(path)
        for name in book.sheet_names:
            for position, row in enumerate(book.get_sheet_by_name(name).iter_rows()):
                cells = [_text(cell) for cell in row]
                if position:
                    yield cells
                elif header is None:
                    header = cells
                    yield header
                elif cells != header:
                    raise SourceError(f"{path}: sheet {name!r} has the columns {cells}, the first has {header}")
    except CalamineError as error:
        raise SourceError(f"{path} is no Excel workbook: {error}") from None


def _text(cell: object) -> str:
    """A cell as the CSV has it: whole numbers without a fraction, times with a blank between date and time."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    return "" if cell is None else str(cell)
