"""Folders of jobs that are at work: what they hold is gone when the job ends, and some days after it was killed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import DataFrame

from jobs.job import Context
from lake.console import step

STALE_DAYS = 7


def scratch(context: Context, job: str, part: str) -> str:
    """A training's own folder, the same when the job runs again for the same window. It goes with the fit.

    Folders that a killed job left and nobody came back to go after STALE_DAYS: they hold vectors of people.
    """
    home = context.settings.checkpoints / "als"
    _forget_stale(home, f"{job}-*")
    return str(home / f"{job}-{context.window.end}-{part}")


@contextmanager
def settled(frame: DataFrame, context: Context, message: str) -> Iterator[DataFrame]:
    """The frame computed once, a step with the message, and read back for as long as it is needed: from Parquet in a
    folder of this run.

    A frame that is kept by Spark (persist) competes for the memory of the sorts that read it: twenty million events
    did not fit beside them in 4 GB. Folders that a killed run left go after STALE_DAYS: they hold events of people.
    """
    home = context.settings.checkpoints / "settled"
    _forget_stale(home, "*")
    folder = home / context.run_id
    try:
        with step(message):
            frame.write.parquet(str(folder))
        yield frame.sparkSession.read.parquet(str(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _forget_stale(home: Path, pattern: str) -> None:
    for folder in home.glob(pattern):
        if time.time() - folder.stat().st_mtime > STALE_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)
