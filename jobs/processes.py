"""Long-running programs that Attune starts: Airflow, MLflow's server, a Spark cluster. None outlives us."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from jobs.supervise import end
from lake.errors import SetupError

PROJECT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_taken(port: int) -> bool:
    """Whether something listens on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Service:
    """A program with all its descendants, in a session of its own, its output in a log file.

    Ends with stop(), at the exit of this process, and when this process is killed.
    """

    def __init__(self, name: str, command: list[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._env = dict(env or os.environ)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; returns at once."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        atexit.register(self.stop)
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROJECT / "jobs" / "supervise.py"), *self._command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        return self

    @property
    def running(self) -> bool:
        """Whether the program is still there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process that ends all others when it is ended; also the id of their session."""
        return self._process.pid if self._process else None

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until `ready()`.

        Raises SetupError, with the log's tail, when the program ends before or the time is over.
        """
        started = time.monotonic()
        while not ready():
            waited = time.monotonic() - started
            if not self.running or waited > seconds:
                why = f"not within {seconds:.0f} s" if self.running else "it ended"
                tail = self.tail()
                self.stop()
                raise SetupError(f"{self.name}: waited for {what}: {why}. The end of {self.log}:\n{tail}")
            time.sleep(0.3)

    def stop(self) -> None:
        """End it and everything it started; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.stop)
        if process.stdin:
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        # What the supervisor left, should it have been killed itself.
        end(process.pid, patience=1.0)
        process.wait()
