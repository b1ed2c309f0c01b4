"""What Spark forks its Python workers from: pyspark.daemon, begun so that a worker and its every task begin quickly.

`python -m lake.python_daemon WORKER_MODULE`, as the setting spark.python.daemon.module of lake.session asks for.
Nothing is to be written to standard output before pyspark.daemon does, which tells Spark its address there.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

# What every worker needs, of which each would import its own: two seconds a worker.
AHEAD = ("numpy", "pandas", "pyarrow", "scipy.sparse")


def leave_archives_out() -> None:
    """Look for modules in folders alone, where pyspark is installed in one.

    Spark puts the archives of pyspark and of its own classes first. Python keeps no compiled code of what is imported
    from them, and up to 3.11 it reads the directories of all archives anew at the begin of each task (CPython issue
    103200): thousands of names, tens of milliseconds.
    """
    folders = [place for place in sys.path if not place.endswith((".zip", ".jar", ".egg"))]
    everything, sys.path[:] = sys.path[:], folders
    if importlib.util.find_spec("pyspark") is None:
        sys.path[:] = everything
        return
    for place in everything:
        if place not in folders:
            sys.path_importer_cache.pop(place, None)


def import_ahead(names: tuple[str, ...] = AHEAD) -> None:
    """Import what workers share with the daemon, and take it out of the collections that end their tasks."""
    for name in names:
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
