"""Clean and features killed with SIGKILL in the middle of their writes, and run again. (Ingest: tests/lake/.)"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.processes import PROJECT
from lake.settings import Settings
from tests.e2e.shop import COMPARED, HISTORY, Shop, environment, results, run_jobs
from tests.e2e.test_cluster import comparable

pytestmark = pytest.mark.e2e

JOBS = ("clean_events", "build_features")

# The first commit of rows of each job: another write is still to come. The tables are made empty, as version 0.
FIRST_WRITES = {"silver/rejected": 1, "gold/user_item_day": 1}


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


def test_jobs_killed_in_the_middle_and_run_again_give_the_tables_of_undisturbed_ones(
    shop: Shop, tmp_path: Path
) -> None:
    killed = shop.settings.model_copy(update={"home": tmp_path / "killed"})
    shutil.copytree(shop.ingested, killed.home)
    for table, version in FIRST_WRITES.items():
        _run_until(killed, table, version, tmp_path / "killed.log")
    run_jobs(killed, HISTORY, *JOBS)

    actual = results(killed)
    for name in COMPARED:
        assert shop.results[name].num_rows > 0
        assert comparable(actual[name]) == comparable(shop.results[name]), name
    # What Spark kept on disk for the killed ones went when the next began.
    assert len([entry for entry in (killed.home / "tmp").iterdir() if entry.is_dir()]) == 1
