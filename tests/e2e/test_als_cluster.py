"""ALS over two executors in processes of their own, and what a killed one costs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from jobs.cluster import SparkCluster
from jobs.processes import PROJECT

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    with SparkCluster(tmp_path_factory.mktemp("cluster"), workers=2, cores=1, memory="1g") as running:
        yield running


def train(folder: Path, master: str, *words: str, conf: str = "") -> dict[str, Any]:
    env = os.environ | {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "OPENBLAS_NUM_THREADS": "1",
        "PYSPARK_SUBMIT_ARGS": f"{conf} pyspark-shell",
    }
    command = [sys.executable, "-m", "tests.e2e.als_once", str(folder), master, *words]
    done = run(command, capture_output=True, text=True, env=env, cwd=PROJECT, timeout=480)
    if "die" in words:
        assert done.returncode == 9, done.stderr[-3000:]
        return {}
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def test_a_killed_executor_or_driver_costs_the_epochs_since_the_checkpoint_and_nothing_else(
    cluster: SparkCluster, tmp_path: Path
) -> None:
    whole = train(tmp_path / "whole", cluster.url)
    killed = train(tmp_path / "killed", cluster.url, "kill")
    for number in (1, 2):
        assert list((cluster.folder / f"work-{number}").glob("app-*/*/stderr"))
    assert whole["resumed"] == 0 and whole["told"] == list(range(1, 31))
    assert whole["parts"] == killed["parts"] == ["part-00000.parquet", "part-00001.parquet"]
    assert killed["resumed"] >= 5 and killed["resumed"] % 5 == 0
    assert killed["told"] == whole["told"]
    assert killed["items"] == whole["items"]
    train(tmp_path / "died", cluster.url, "die")
    again = train(tmp_path / "died", cluster.url)
    assert again["resumed"] >= 5 and again["told"] == list(range(again["resumed"] + 1, 31))
    assert again["items"] == whole["items"]


def test_a_cluster_without_barrier_mode_goes_to_mllib_with_a_message(cluster: SparkCluster, tmp_path: Path) -> None:
    answer = train(tmp_path, cluster.url, "short", conf="--conf spark.dynamicAllocation.enabled=true")
    assert answer["said"] == ("ALS: Spark MLlib trains instead: Spark has no barrier mode with dynamic allocation")
    assert answer["told"] == []
