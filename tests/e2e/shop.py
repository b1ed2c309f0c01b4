"""A small shop for tests with real processes: files as a shop would hand them over, and one installation over them.

60 people buy 40 items over six weeks. Even people like even items and odd people odd ones, so there is something to
learn; a few rows are dirty, so there is something to clean.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from jobs.job import execute
from jobs.processes import PROJECT
from lake.settings import Settings, as_environment
from lake.settings import load as load_settings
from lake.sources import load
from lake.window import Window

PEOPLE, ITEMS, DAYS = 60, 40, 42
FIRST = date(2024, 3, 1)
HISTORY = Window(FIRST, FIRST + timedelta(days=DAYS))
NIGHT = HISTORY.end

MAPPING = """
name = "corner-shop"

[events]
format = "csv"

[events.columns]
event_id = "id"
user_id = "person"
item_id = "article"
event_type = "what"
event_time = "at"
order_id = "basket"
quantity = "pieces"
unit_price = "each"

[events.values.event_type]
bought = "purchase"
looked = "view"

[events.constants]
currency = "EUR"
country = "DE"
device = "web"

[events.time]
format = "iso"
zone = "Europe/Berlin"

[items]
format = "csv"
category_separator = ">"

[items.columns]
item_id = "article"
title = "name"
category = ["shelf"]
brand = "maker"
price = "each"
currency = "money"
"""

# What is compared between two ways of running the same jobs; the rest names a run.
COMPARED = {
    "silver.events": None,
    "silver.rejected": ["window_date", "source", "reasons", "row", "file"],
    "silver.items": None,
    "gold.user_item_day": None,
    "gold.user_day": None,
    "gold.rfm": None,
    "gold.rfm_windows": None,
    "gold.engagement": None,
    "gold.affinity": None,
}


def write_events(file: Path, window: Window) -> Path:
    """The shop's events of the window, as CSV: one file as it arrives. The same window gives the same file."""
    with file.open("w", newline="") as output:
        rows = csv.writer(output)
        rows.writerow(["id", "person", "article", "what", "at", "basket", "pieces", "each"])
        for ordinal in range(window.start.toordinal(), window.end.toordinal()):
            chance = random.Random(ordinal)
            for person in range(PEOPLE):
                if chance.random() < 0.5:
                    _visit(rows, chance, ordinal, person)
            # Dirty: an unknown kind of event, a time that is none, and a line that comes twice.
            dirty = [f"x{ordinal}", "p1", "a1", "sneezed", f"{date.fromordinal(ordinal)}T10:00:00", "", "1", "1.00"]
            rows.writerow(dirty)
            rows.writerow([f"y{ordinal}", "p1", "a1", "bought", "yesterday", "", "1", "1.00"])
            twice = [f"z{ordinal}", "p2", "a2", "bought", f"{date.fromordinal(ordinal)}T11:00:00", "bz", "1", "3.00"]
            rows.writerow(twice)
            rows.writerow(twice)
    return file


def _visit(rows: object, chance: random.Random, ordinal: int, person: int) -> None:
    hour = chance.randrange(8, 20)
    day = datetime.fromordinal(ordinal).replace(tzinfo=UTC)
    # Popular items come first; one visit in eight strays to the other half.
    for number in range(3):
        taste = person % 2 if chance.random() < 0.875 else 1 - person % 2
        item = min(int(chance.expovariate(0.2)), ITEMS // 2 - 1) * 2 + taste
        at = (day + timedelta(hours=hour, minutes=number)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
        what = "looked" if number == 2 else "bought"
        name = f"{ordinal}-{person}-{number}"
        price = f"{1 + item * 0.25:.2f}" if what == "bought" else ""
        pieces = "1" if what == "bought" else ""
        rows.writerow([name, f"p{person}", f"a{item}", what, at, f"b{ordinal}-{person}", pieces, price])  # type: ignore[attr-defined]


def write_items(file: Path) -> Path:
    """The shop's catalogue, as CSV."""
    with file.open("w", newline="") as output:
        rows = csv.writer(output)
        rows.writerow(["article", "name", "shelf", "maker", "each", "money"])
        for item in range(ITEMS):
            shelf = f"{'Garden' if item % 2 else 'Kitchen'}>{item % 5}"
            rows.writerow([f"a{item}", f"Article {item}", shelf, f"Maker {item % 3}", f"{1 + item * 0.25:.2f}", "EUR"])
    return file


@dataclass(frozen=True)
class Shop:
    """An installation after its history was ingested, cleaned and made into features, in local mode.

    ingested: a copy of its home from before cleaning. results: what local mode made of it, by table.
    """

    settings: Settings
    ingested: Path
    results: dict[str, pa.Table]

    def arrive(self, window: Window, folder: Path) -> None:
        """Let the events of a window land as one file."""
        file, mapping = write_events(folder / f"events-{window.start}.csv", window), folder / "shop.toml"
        mapping.write_text(MAPPING)
        load("files", self.settings, [file], mapping)


def open_shop(folder: Path) -> Shop:
    """Land the history and run the first three jobs over it, each in local mode."""
    settings = Settings(
        home=folder / "home",
        missing_consent="granted",
        spark_memory="1g",
        shuffle_partitions=2,
        list_length=10,
        parameters={"label_windows": 1},
    )
    mapping = folder / "shop.toml"
    mapping.write_text(MAPPING)
    load("files", settings, [write_items(folder / "items.csv")], mapping, kind="items")
    load("files", settings, [write_events(folder / "events.csv", HISTORY)], mapping)
    ingested = folder / "ingested"
    run_jobs(settings, HISTORY, "ingest_events", f"keep {ingested}", "clean_events", "build_features")
    return Shop(settings, ingested, results(settings))


def run_jobs(settings: Settings, window: Window, *jobs: str) -> None:
    """Run jobs one after another in one process of their own, so that a session of the tests stays out of it; "keep
    FOLDER" is no job, but keeps a copy of the home.
    """
    words = ["-m", "tests.e2e.shop", window.start.isoformat(), window.end.isoformat(), *jobs]
    checked([sys.executable, *words], environment(settings))


def _run(window: Window, *jobs: str) -> None:
    settings = load_settings()
    for job in jobs:
        if job.startswith("keep "):
            # What the session itself needs while it lives is no part of an installation.
            shutil.copytree(settings.home, job.removeprefix("keep "), ignore=shutil.ignore_patterns("tmp"))
        else:
            execute(job, window, settings)


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a process that works on this installation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATTUNE_")}
    return kept | as_environment(settings) | {"PYTHONPATH": str(PROJECT), "PYSPARK_PYTHON": sys.executable}


def checked(command: list[str], env: dict[str, str]) -> None:
    """Run a command that has to end well; what it said is in the failure."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr[-4000:]}"


def results(settings: Settings) -> dict[str, pa.Table]:
    """The compared columns of every compared table, read without Spark."""
    found = {}
    for name, columns in COMPARED.items():
        table = DeltaTable(settings.lake / name.replace(".", "/")).to_pyarrow_table()
        found[name] = table.select(columns) if columns else table
    return found


if __name__ == "__main__":
    _run(Window(date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2])), *sys.argv[3:])
