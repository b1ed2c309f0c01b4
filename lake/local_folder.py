"""Where Spark keeps blocks, spilt rows and sockets while a session lives: a folder of its own in <home>/tmp.

It holds events of people. Spark clears it when the session ends, but cannot when the process is killed: the next
session of the home does. A folder is in use as long as a process has its lock, which the system takes back however that
process ends.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from itertools import count
from pathlib import Path
from typing import TextIO

from lake.console import say

LOCK = "lock"
# What has no lock was left by a version that did not know of them, or is in use by one.
STALE_DAYS = 7
# Locks go when their files are closed.
_held: list[TextIO] = []


def own_folder(home: Path) -> Path:
    """A new folder in <home>/tmp that is this process's until it ends; what ended processes have left there is removed.

    Processes may ask at once. Raises OSError where the disk refuses or knows no locks.
    """
    shared = home / "tmp"
    shared.mkdir(parents=True, exist_ok=True)
    # One at a time: a folder that has just been made has no lock yet.
    with (shared / f".{LOCK}").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        left = [entry for entry in shared.iterdir() if entry.name != f".{LOCK}" and _is_left(entry)]
        # Of a session that ended by itself at most a socket is left.
        killed = sum(any(file.is_dir() for file in entry.iterdir()) for entry in left if entry.is_dir())
        if killed:
            say(f"removing what {killed} killed session{'s' if killed > 1 else ''} left in {shared}")
        for entry in left:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        # Short: the names of sockets are bounded.
        folder = next(free for number in count() if not (free := shared / str(number)).exists())
        folder.mkdir()
        lock = (folder / LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        _held.append(lock)
    return folder


def _is_left(entry: Path) -> bool:
    """Whether nobody uses the entry any more."""
    try:
        with (entry / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except (FileNotFoundError, NotADirectoryError):
        pass
    try:
        return time.time() - entry.lstat().st_mtime > STALE_DAYS * 86400
    except FileNotFoundError:
        return False
