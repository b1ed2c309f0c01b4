"""A disk that fills up in the middle of a write: the table stays readable as it was, and the write works later."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.job import message_of
from lake import delta
from lake.contracts import column
from lake.settings import Settings
from lake.tables import Table

NUMBERS = Table(
    name="gold.numbers",
    grain="a number",
    owner="tests",
    written="replace",
    keys=("number",),
    columns=(column("number", "long", "the number"), column("noise", "string", "what cannot be compressed")),
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily, as a thread of Spark's may still hold a file.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_leaves_the_table_as_it_was_and_the_same_write_works_once_there_is_room(
    spark: SparkSession, small_disk: Path
) -> None:
    settings = Settings(home=small_disk / "home", missing_consent="granted", shuffle_partitions=2)

    def rows(count: int) -> None:
        noise = spark.range(count).select(
            F.col("id").alias("number"), F.sha2(F.col("id").cast("string"), 512).alias("noise")
        )
        delta.replace_window(noise.coalesce(1), settings, NUMBERS, "true", "test")

    rows(100)
    filler = small_disk / "filler"
    filler.write_bytes(b"\0" * (2 << 20))
    with pytest.raises(Exception, match="No space left on device") as full:
        rows(20_000)
    assert message_of(full.value).startswith("the disk is full")
    filler.unlink()
    assert delta.read(spark, settings, NUMBERS.name).count() == 100
    rows(5_000)
    assert delta.read(spark, settings, NUMBERS.name).count() == 5_000
