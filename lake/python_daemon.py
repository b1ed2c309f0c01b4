"""What Spark forks its Python workers from: pyspark.daemon, begun so that a worker and its every task begin quickly.

`python -m lake.python_daemon WORKER_MODULE`, as the setting spark.python.daemon.module of lake.session asks for.
Nothing is to be written to standard output before pyspark.daemon does, which tells Spark its address there.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

# What every worker needs, of which each would import its own: two seconds a worker.
AHEAD = ("numpy", "pandas", "pyarrow", "scipy.sparse")
# How the archives that Spark itself puts on the path are called; others are whoever's who put them there.
SPARKS = ("pyspark", "py4j", "spark-core")


def leave_archives_out() -> None:
    """Look for pyspark and py4j in folders alone, where both are installed in one.

    Spark puts their archives and the one of its own classes first. Python keeps no compiled code of what is imported
    from archives, and up to 3.11 it reads the directories of all of them anew at the begin of each task (CPython issue
    103200): thousands of names, tens of milliseconds.
    """
    archives = [place for place in sys.path if place.endswith((".zip", ".jar")) and Path(place).name.startswith(SPARKS)]
    folders = [place for place in sys.path if place not in archives]
    if all(PathFinder.find_spec(name, folders) for name in ("pyspark", "py4j")):
        sys.path[:] = folders
        for place in archives:
            sys.path_importer_cache.pop(place, None)


def import_ahead() -> None:
    """Import what workers share with the daemon, and take it out of the collections that end their tasks."""
    for name in AHEAD:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def until_let_go(worker: Callable[..., int]) -> Callable[..., int]:
    """The worker's function, which ends its process without a word where Spark is no longer there to hear one.

    Spark closes the sockets of workers that had nothing to do for a minute, and of tasks that it gave up. On a Unix
    socket what a worker then says of its end fails, and pyspark.daemon would print a stack trace of that.
    """

    def work(*given: Any) -> int:
        try:
            return worker(*given)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    return work


def main() -> None:
    """Fork workers until Spark says that it has ended."""
    leave_archives_out()
    # Reads the worker's module from the command line as it is imported, and that in turn most of pyspark.
    from pyspark import daemon

    import_ahead()
    daemon.worker = until_let_go(daemon.worker)
    daemon.manager()


if __name__ == "__main__":
    main()
