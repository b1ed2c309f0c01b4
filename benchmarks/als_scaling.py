"""How time and memory of ALS grow with users, items, rank and workers: four sizes each, the others held.

Seconds are an epoch's, all but the first, least of the run's; memory is that of all Python workers at their most
(proportional set size). Workers are Spark executors of one core each in processes of their own, on this machine: more
of them than it has cores show what they exchange, not how fast they are. `make bench-als-scaling`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

from benchmarks.interactions import draw, write
from benchmarks.top_k import processes, proportional
from jobs.cluster import SparkCluster
from lake.console import emit_table, say
from lake.session import session
from lake.settings import Settings
from models.als import AlsParameters, fit_als

PER_USER = 60
EPOCHS = 5


@dataclass(frozen=True)
class Size:
    """One measurement."""

    users: int = 20_000
    items: int = 5_000
    rank: int = 32
    workers: int = 2


@dataclass(frozen=True)
class Found:
    """What it took: seconds an epoch, and bytes."""

    seconds: float
    memory: int


def measure(size: Size, folder: Path) -> Found:
    """On a cluster of the size's workers."""
    table = write(folder / "interactions", *draw(size.users * PER_USER, size.users, size.items))
    parameters = AlsParameters(rank=size.rank, epochs=EPOCHS, least_users=1, checkpoint_every=EPOCHS + 1)
    with SparkCluster(folder / "cluster", workers=size.workers, cores=1, memory="1g") as cluster:
        spark = session(Settings(home=folder / "home", spark_master=cluster.url, spark_memory="1g"), "als scaling")
        try:
            rows = spark.read.format("delta").load(table)
            rows.count()
            with Watch() as watch:
                fitted = fit_als(rows, parameters, str(folder / "als"), tasks=size.workers)
        finally:
            spark.stop()
    ends = [epoch.seconds for epoch in fitted.epochs]
    return Found(min(after - before for before, after in pairwise(ends)), watch.most)


class Watch:
    """The most memory of all of Spark's Python workers."""

    def __enter__(self) -> Watch:
        self.most = 0
        self._done = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.2):
            workers = [pid for pid, (_, command) in processes().items() if "lake.python_daemon" in command]
            self.most = max(self.most, sum(proportional(pid) for pid in workers))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    base = Size()
    series = {
        "users": [replace(base, users=number) for number in (10_000, 20_000, 40_000, 80_000)],
        "items": [replace(base, items=number) for number in (2_500, 5_000, 10_000, 20_000)],
        "rank": [replace(base, rank=number) for number in (16, 32, 64, 128)],
        "workers": [replace(base, workers=number) for number in (1, 2, 3, 4)],
    }
    rows = []
    for name, sizes in series.items():
        for size in sizes:
            with tempfile.TemporaryDirectory(prefix="attune-scaling-") as folder:
                found = measure(size, Path(folder))
            say(f"{size}: {found.seconds:.3f} s an epoch, {found.memory / 2**20:.0f} MiB")
            rows.append([name, size.users, size.items, size.rank, size.workers, found.seconds, found.memory / 2**20])
            time.sleep(1)
    emit_table(
        f"{PER_USER} interactions a user",
        ["varies", "users", "items", "rank", "workers", "seconds an epoch", "MiB of all workers"],
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
