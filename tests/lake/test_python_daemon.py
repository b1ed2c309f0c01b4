"""What Spark's Python workers begin with, and what they speak through."""

from __future__ import annotations

import gc
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.processes import PROJECT
from lake.python_daemon import AHEAD
from lake.session import spark_conf
from lake.settings import Settings


def test_a_worker_begins_with_what_it_needs_and_looks_into_no_archive(spark: SparkSession) -> None:
    def tell(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        archives = [place for place in (*sys.path, *sys.path_importer_cache) if place.endswith((".zip", ".jar"))]
        began = all(name in sys.modules for name in AHEAD) and gc.get_freeze_count() > 0
        for _ in batches:
            yield pa.record_batch([[began], [archives], [sys.modules["pyspark"].__file__]], ["began", "archives", "of"])

    row = spark.range(1).mapInArrow(tell, "began boolean, archives array<string>, of string").collect()[0]

    assert row["began"]
    assert [place for place in row["archives"] if "spark" in place or "py4j" in place] == []
    assert ".zip" not in row["of"]


@pytest.mark.parametrize("only", ["pyspark", "py4j"])
def test_what_is_nowhere_but_in_an_archive_is_still_found(tmp_path: Path, only: str) -> None:
    archive, other = tmp_path / f"{only}-src.zip", tmp_path / {"pyspark": "py4j", "py4j": "pyspark"}[only]
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"{only}/__init__.py", "")
    other.mkdir()
    (other / "__init__.py").touch()
    told = (
        "import importlib.util, sys; from lake.python_daemon import leave_archives_out\n"
        "standard = [place for place in sys.path if 'site-packages' not in place]\n"
        f"sys.path[:] = [{str(archive)!r}, {str(tmp_path)!r}, *standard]\n"
        f"leave_archives_out(); print(importlib.util.find_spec({only!r}).origin)"
    )
    done = subprocess.run([sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{archive}/{only}/__init__.py"


def test_a_worker_that_spark_has_let_go_of_ends_without_a_word() -> None:
    told = (
        "import socket; from lake.python_daemon import until_let_go\n"
        "own, sparks = socket.socketpair(); sparks.close()\n"
        "until_let_go(lambda out: own.send(out))(b'the end'); print('goes on')"
    )
    done = subprocess.run([sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_unix_sockets_are_used_on_one_machine_where_their_name_is_short_enough() -> None:
    def sockets(home: Path, master: str) -> str | None:
        return spark_conf(Settings(home=home, spark_master=master)).get("spark.python.unix.domain.socket.dir")

    near, far = Path("/srv/attune"), Path("/srv") / ("attune" * 10)
    assert sockets(near, "local[2]") == "/srv/attune/tmp"
    assert sockets(near, "spark://host:7077") is None
    assert sockets(far, "local[*]") is None
