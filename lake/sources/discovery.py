"""Which landing files are new: a Structured Streaming query over file names, whose checkpoint remembers those seen.

The query reads names only. Its batches are numbered, and a batch that was not confirmed comes again with the same
number and the same files, so that what is written under (query, number) is written once, whatever is killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from lake.errors import SourceError
from lake.settings import Settings

# The stream would forget files that are this much older than the newest, and never see them.
FOREVER = "100000d"
FILES_A_BATCH = 1_000

_SCHEMA = "path string, modificationTime timestamp, length long, content binary"


@dataclass(frozen=True)
class Batch:
    """Files of a source, relative to landing/, in order.

    `query` and `number` are the same on a repeat; None where no query numbered the batch.
    """

    paths: tuple[str, ...]
    query: str = ""
    number: int | None = None


def visible_files(landing: Path, source: str) -> list[str]:
    """The files of a source, relative to landing/, whose names and folders' names begin with neither "." nor "_".

    Raises SourceError for a name with a colon, which Hadoop's file system cannot list.
    """
    found: list[str] = []
    for parent, folders, files in os.walk(landing / source):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        names = [name for name in files if not name.startswith((".", "_"))]
        colon = [name for name in (*folders, *names) if ":" in name]
        if colon:
            raise SourceError(f"{Path(parent) / colon[0]}: a name with a colon cannot be read; rename it")
        found += [(Path(parent) / name).relative_to(landing).as_posix() for name in names]
    return sorted(found)


def for_new_files(spark: SparkSession, settings: Settings, source: str, handle: Callable[[Batch], None]) -> None:
    """Call `handle` for each batch of files below landing/<source> that was not confirmed before.

    A batch is confirmed when `handle` returns. Raises whatever `handle` raises; the batch then comes again. A file
    without a byte is seen but not reported.
    """
    checkpoint = settings.checkpoints / "ingest" / source
    raised: list[Exception] = []

    def on_batch(frame: DataFrame, number: int) -> None:
        rows = frame.select("path").collect()
        paths = tuple(sorted(local_path(row.path).relative_to(settings.landing).as_posix() for row in rows))
        query = json.loads((checkpoint / "metadata").read_text())["id"]
        try:
            handle(Batch(paths, query, number))
        except Exception as error:
            raised.append(error)
            raise

    names = (
        spark.readStream.format("binaryFile")
        .schema(_SCHEMA)
        .option("recursiveFileLookup", "true")
        .option("maxFileAge", FOREVER)
        .option("maxFilesPerTrigger", FILES_A_BATCH)
        # A file that is taken away after it was seen must not block the others for ever.
        .option("ignoreMissingFiles", "true")
        .load(str(settings.landing / source))
        .select("path")
    )
    query = (
        names.writeStream.foreachBatch(on_batch)
        .option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .start()
    )
    try:
        query.awaitTermination()
    except Exception:
        if raised:
            raise raised[0] from None
        raise
    finally:
        query.stop()


def local_path(text: str) -> Path:
    """The path in Hadoop's spelling (file:/a/b) as one of this machine."""
    return Path("/" + text.removeprefix("file:").lstrip("/"))
