"""Ingest, clean and features killed with SIGKILL in the middle of their writes, and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs.processes import PROJECT
from lake.settings import Settings
from lake.sources import load
from tests.e2e.shop import COMPARED, HISTORY, MAPPING, Shop, environment, results, run_jobs, write_events, write_items
from tests.e2e.test_cluster import comparable

pytestmark = pytest.mark.e2e

JOBS = ("ingest_events", "clean_events", "build_features")

# The first commit of rows of each job: another write, or the end of its stream's batch, is still to come. Bronze is
# made by its first rows; the others are made empty, as version 0.
FIRST_WRITES = {"bronze/corner-shop": 0, "silver/rejected": 1, "gold/user_item_day": 1}


def _installation(folder: Path) -> Settings:
    folder.mkdir()
    settings = Settings(home=folder / "home", missing_consent="granted", spark_memory="1g", shuffle_partitions=2)
    mapping = folder / "shop.toml"
    mapping.write_text(MAPPING)
    load("files", settings, [write_items(folder / "items.csv")], mapping, kind="items")
    load("files", settings, [write_events(folder / "events.csv", HISTORY)], mapping)
    return settings


def _run_until(settings: Settings, table: str, version: int, log: Path) -> None:
    """Start the jobs in a process group of their own and kill all of it once the table has the version."""
    code = (
        "import sys; from tests.e2e.test_killed_jobs import HISTORY, JOBS; from jobs.job import execute; "
        "from lake.settings import load; [execute(job, HISTORY, load()) for job in JOBS]"
    )
    commits = settings.lake / table / "_delta_log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env=environment(settings),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 400
            while not (commits / f"{version:020}.json").exists():
                assert process.poll() is None, f"ended before it could be killed:\n{log.read_text()[-3000:]}"
                assert time.monotonic() < deadline, f"never wrote {table}:\n{log.read_text()[-3000:]}"
                time.sleep(0.005)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _bronze(home: Path) -> list[str]:
    table = DeltaTable(home / "lake" / "bronze" / "corner-shop").to_pyarrow_table()
    return comparable(table.drop_columns(["_received_at"]))


def test_jobs_killed_in_the_middle_and_run_again_give_the_tables_of_undisturbed_ones(
    shop: Shop, tmp_path: Path
) -> None:
    killed = _installation(tmp_path / "killed")
    for table, version in FIRST_WRITES.items():
        _run_until(killed, table, version, tmp_path / "killed.log")
    run_jobs(killed, HISTORY, *JOBS)

    assert _bronze(killed.home) == _bronze(shop.ingested)
    actual = results(killed)
    for name in COMPARED:
        assert shop.results[name].num_rows > 0
        assert comparable(actual[name]) == comparable(shop.results[name]), name
