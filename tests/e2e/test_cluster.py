"""The jobs on a real Spark standalone cluster: one master, two workers, an executor process on each."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs import spark_defaults
from jobs.cluster import SparkCluster
from jobs.processes import PROJECT
from lake.settings import Settings
from lake.window import Window
from tests.e2e.shop import COMPARED, HISTORY, Shop, checked, environment, results

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def on_cluster(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """What the cluster makes of the same ingested files: clean_events and build_features by spark-submit."""
    folder = tmp_path_factory.mktemp("cluster")
    home = folder / "home"
    shutil.copytree(shop.ingested, home)
    with SparkCluster(folder, workers=2, cores=1, memory="1g") as cluster:
        settings = shop.settings.model_copy(update={"home": home, "spark_master": cluster.url})
        for job in ("clean_events", "build_features"):
            submit(settings, job, HISTORY, folder)
        # Both workers took part: each has a folder of an executor it started.
        for number in (1, 2):
            assert list((folder / f"work-{number}").glob("app-*/*/stderr"))
    return results(settings)


def submit(settings: Settings, job: str, window: Window, folder: Path) -> None:
    """spark-submit jobs/submit.py, as Airflow does."""
    conf = spark_defaults.write(settings, folder / "conf")
    # Compiled, as in production, where local mode interprets.
    env = environment(settings) | {"SPARK_CONF_DIR": str(conf), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_SUBMIT_OPTS": ""}
    command = [
        str(Path(sys.executable).parent / "spark-submit"),
        "--master",
        settings.spark_master,
        str(PROJECT / "jobs" / "submit.py"),
        job,
    ]
    checked([*command, "--start", window.start.isoformat(), "--end", window.end.isoformat()], env)


@pytest.mark.parametrize("table", list(COMPARED))
def test_a_cluster_makes_the_same_tables_as_local_mode(table: str, shop: Shop, on_cluster: dict[str, pa.Table]) -> None:
    expected, actual = shop.results[table], on_cluster[table]
    assert expected.num_rows > 0
    assert actual.schema.names == expected.schema.names
    assert comparable(actual) == comparable(expected)


def comparable(table: pa.Table) -> list[str]:
    """The rows in an order of their own, floats to nine digits: a sum depends on the order of its terms beyond."""
    return sorted(repr(_rounded(row)) for row in table.to_pylist())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return sorted(_rounded(list(pair)) for pair in value)  # a map
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
