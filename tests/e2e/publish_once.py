"""A publish in a process of its own, to be killed: HOME MARKER DATE [FILE]; its gate touches FILE and waits."""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame

from lake.session import session
from lake.settings import Settings
from tests.serving.lists import publish_marked


def main(home: str, marker: str, day: str, file: str | None = None) -> None:
    """Publish the marked snapshot of the day."""

    def wait(lists: DataFrame, cohorts: DataFrame) -> None:
        Path(file or "").touch()
        time.sleep(3600)

    settings = Settings(home=Path(home), missing_consent="granted", spark_memory="1g", shuffle_partitions=2)
    publish_marked(
        session(settings), settings, marker, date.fromisoformat(day), gate=wait if file else None
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
