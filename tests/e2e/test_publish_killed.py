"""A publish killed with SIGKILL, at two points, and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lake.settings import Settings
from serving.pointer import read_log
from serving.reader import SnapshotReader
from tests.serving.lists import DAY, publish_marked

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.e2e


def _kill_publish(settings: Settings, marker: str, when: Callable[[], bool], *more: str) -> None:
    """Start a publish of the day after DAY in its own process group and kill all of it once `when` holds."""
    command = [
        sys.executable, "-m", "tests.e2e.publish_once", str(settings.home), marker, str(DAY + timedelta(days=1)), *more,
    ]  # fmt: skip
    with (settings.home / "killed.log").open("w") as log:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 400
            while not when():
                assert process.poll() is None, (settings.home / "killed.log").read_text()[-2000:]
                assert time.monotonic() < deadline, "the publish never came to the point at which it is to be killed"
                time.sleep(0.005)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _version(settings: Settings, table: str) -> int:
    return DeltaTable(str(settings.lake / "gold" / table)).version()


def test_a_killed_publish_leaves_the_earlier_snapshot_and_its_rerun_completes(
    spark: SparkSession, settings: Settings
) -> None:
    first = publish_marked(spark, settings, "first")
    reader = SnapshotReader(settings.lake)
    log = settings.lake / "gold" / "recommendations" / "_delta_log"
    at_the_gate = settings.home / "at_the_gate"

    # As soon as the lists are committed, before the fallbacks are or while they are.
    _kill_publish(settings, "second", (log / f"{2:020}.json").exists, str(at_the_gate))
    assert _version(settings, "recommendations") == 2
    reader.refresh()
    assert reader.recommend("ada", 1).items[0].title == "first ada 1"
    reader.verify()

    # After both tables were written and validated, before the pointer moves.
    at_the_gate.unlink(missing_ok=True)
    _kill_publish(settings, "second", at_the_gate.exists, str(at_the_gate))
    assert (_version(settings, "recommendations"), _version(settings, "fallbacks")) == (2, 2)
    reader.refresh()
    assert reader.recommend("ada", 1).snapshot_id == first

    second = publish_marked(spark, settings, "second", DAY + timedelta(days=1))
    assert (_version(settings, "recommendations"), _version(settings, "fallbacks")) == (2, 2)
    assert [(row.sequence, row.snapshot_id) for row in read_log(str(settings.lake)).rows] == [(1, first), (2, second)]
    assert reader.refresh()
    assert reader.recommend("ada", 1).items[0].title == "second ada 1"
    reader.verify()
