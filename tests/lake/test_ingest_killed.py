"""Ingest killed with SIGKILL while it writes, after the rows and after the note of the files, and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake.settings import Settings
from lake.sources.landing import register
from lake.sources.mapping import Mapping

pytestmark = pytest.mark.e2e

PROJECT = Path(__file__).resolve().parents[2]
ROWS = 100_000
MAPPING = """name = "shop"
[events]
format = "csv"
[events.columns]
event_id = "id"
user_id = "user"
event_time = "at"
[events.constants]
event_type = "search"
"""


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "jobs.submit", "ingest_events", "--start", "2024-01-01", "--end", "2024-02-01"]
    given = {"ATTUNE_HOME": str(settings.home), "ATTUNE_SPARK_MEMORY": "1g"}
    with (settings.home / "log").open("w") as log:
        return subprocess.Popen(
            command, cwd=PROJECT, env=os.environ | given, stdout=log, stderr=log, start_new_session=True
        )


def _kill_when(settings: Settings, reached: Callable[[], bool]) -> None:
    """Run ingest and kill all its processes once it has come so far."""
    process = _start(settings)
    try:
        deadline = time.monotonic() + 400
        while not reached():
            assert process.poll() is None, (settings.home / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, "ingest never came so far"
            time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_ingest_killed_at_three_points_takes_every_row_once(settings: Settings) -> None:
    register(settings, Mapping.parse(MAPPING, "test"), MAPPING)
    landing = settings.landing / "shop" / "events"
    landing.mkdir(parents=True)
    for part in range(2):
        lines = (f"{part}-{n},u{n % 997},2024-01-{n % 28 + 1:02}T10:00:00Z" for n in range(ROWS // 2))
        (landing / f"{part}.csv").write_text("id,user,at\n" + "\n".join(lines))
    bronze, files = settings.lake / "bronze" / "shop", settings.lake / "ops" / "files"
    first = "00000000000000000000.json"
    _kill_when(settings, lambda: any(bronze.glob("*.parquet")))
    assert not (bronze / "_delta_log" / first).exists()
    _kill_when(settings, (bronze / "_delta_log" / first).exists)
    _kill_when(settings, lambda: files.exists() and any(files.glob("*.parquet")))
    process = _start(settings)
    assert process.wait(timeout=800) == 0, (settings.home / "log").read_text()[-3000:]
    table = DeltaTable(bronze)
    ids = table.to_pyarrow_table(columns=["id"])["id"]
    assert (len(ids), len(ids.unique()), table.version()) == (ROWS, ROWS, 0)
    noted = DeltaTable(files).to_pyarrow_table().to_pylist()
    assert sorted((row["path"], row["status"], row["rows"]) for row in noted) == [
        ("shop/events/0.csv", "ingested", ROWS // 2), ("shop/events/1.csv", "ingested", ROWS // 2),
    ]  # fmt: skip
