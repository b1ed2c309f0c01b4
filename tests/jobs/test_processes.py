"""Nothing that was started stays behind, however its starter ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs import spark_defaults
from jobs.processes import PROJECT, Service
from jobs.supervise import members
from lake.errors import SetupError
from lake.settings import Settings

# A program whose child has a process group of its own and does not listen to SIGTERM, as a task of Airflow may.
STUBBORN = """
import signal, subprocess, sys, time
child = "import os, signal, time; os.setpgid(0, 0); signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child])
print("started", flush=True)
time.sleep(600)
"""


def started(service: Service) -> bool:
    return "started" in service.tail() and len(members(service.pid or 0)) >= 3


def wait_for_nobody(session: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while members(session) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert members(session) == []


def test_stop_ends_descendants_in_groups_of_their_own(tmp_path: Path) -> None:
    service = Service("stubborn", [sys.executable, "-c", STUBBORN], tmp_path / "log").start()
    service.wait_until(lambda: started(service), 30, "its child")
    session = service.pid or 0
    service.stop()
    assert members(session) == []
    assert not service.running
    service.stop()


def test_a_killed_starter_takes_everything_with_it(tmp_path: Path) -> None:
    starter = f"""
import sys, time
from pathlib import Path
from jobs.processes import Service
service = Service("stubborn", [sys.executable, "-c", {STUBBORN!r}], Path({str(tmp_path / "log")!r})).start()
service.wait_until(lambda: "started" in service.tail(), 30, "its child")
print(service.pid, flush=True)
time.sleep(600)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", starter],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    assert process.stdout
    session = int(process.stdout.readline())
    assert members(session)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for_nobody(session)


def test_a_program_that_ends_before_it_is_ready_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    service = Service("short", [sys.executable, "-c", "print('no such port')"], tmp_path / "log").start()
    with pytest.raises(SetupError, match=r"short: waited for its port: it ended.*\n.*no such port"):
        service.wait_until(lambda: False, 30, "its port")


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    service = Service("slow", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log").start()
    session = service.pid or 0
    with pytest.raises(SetupError, match="slow: waited for its port: not within 1 s"):
        service.wait_until(lambda: False, 1, "its port")
    assert members(session) == []


def test_spark_submit_is_told_of_memory_and_jars_before_the_jvm_starts(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", spark_memory="3g", spark_master="local[1]")
    folder = spark_defaults.write(settings, tmp_path / "conf")
    lines = (folder / "spark-defaults.conf").read_text().splitlines()
    values = dict(line.split(" ", 1) for line in lines)
    assert values["spark.driver.memory"] == "3g"
    assert all(Path(jar).exists() for jar in values["spark.jars"].split(","))
    assert values["spark.pyspark.python"] == sys.executable
    assert "rootLogger.level = warn" in (folder / "log4j2.properties").read_text()
