"""Runs one command, and ends it with all its descendants when whoever started this is gone.

`supervise.py COMMAND ...`, started as the leader of a session with a pipe as standard input. The pipe
closes when the starter ends for any reason, SIGKILL included, so nothing stays behind. Descendants are found by their
session: Airflow gives each task a process group of its own, but all stay in the session.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import psutil


def members(session: int) -> list[int]:
    """The processes of a session, without this one. A zombie is nobody."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            owner = os.getsid(process.pid)
        except OSError:
            continue
        if owner == session and process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def end(session: int, patience: float = 6.0) -> None:
    """Ask every process of the session to end; after `patience` seconds, make them."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        asked: set[int] = set()
        while (left := members(session)) and time.monotonic() < deadline:
            # Some are born while the others end; a process is asked once, forced as often as it takes.
            for process in left:
                if number == signal.SIGKILL or process not in asked:
                    _signal(process, number)
                    asked.add(process)
            time.sleep(0.1)
        if not left:
            return


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def main() -> int:
    """Run the command until it ends, the pipe closes or a signal comes."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, lambda *_: over.set())

    def watch() -> None:
        # The descriptor itself: a thread must not hold the lock of sys.stdin when the interpreter ends.
        while os.read(0, 1):
            pass
        over.set()

    threading.Thread(target=watch, daemon=True).start()
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    while command.poll() is None and not over.wait(0.2):
        pass
    end(os.getpid())
    return command.wait()


if __name__ == "__main__":
    sys.exit(main())
