"""The Spark session: one shape for jobs, tests and notebooks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lake.jars import jar_paths
from lake.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parent.parent


def spark_conf(settings: Settings) -> dict[str, str]:
    """Every Spark setting Attune relies on, for a session built here or by spark-submit."""
    return {
        "spark.master": settings.spark_master,
        "spark.driver.memory": settings.spark_memory,
        "spark.executor.memory": settings.spark_memory,
        "spark.jars": ",".join(str(path) for path in jar_paths()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        # Delta replays its log in 50 tasks unless told that the tables are small.
        "spark.databricks.delta.snapshotPartitions": "2",
        # A commit whose answer was lost must not be written twice.
        "spark.databricks.delta.commit.idempotencyCheck.enabled": "true",
        # Workers must run this interpreter, not the system's.
        "spark.pyspark.python": sys.executable,
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
        "spark.executorEnv.PYTHONPATH": str(PROJECT),
        "spark.ui.enabled": os.environ.get("ATTUNE_SPARK_UI", "false"),
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(settings.home / "warehouse"),
        "spark.local.dir": str(settings.home / "tmp"),
        "spark.log.level": "ERROR",
    }


def session(settings: Settings, name: str = "attune") -> SparkSession:
    """The running session, or a new one with Attune's settings."""
    from pyspark.sql import SparkSession

    (settings.home / "tmp").mkdir(parents=True, exist_ok=True)
    # PySpark takes its workers' interpreter from here in a session that Python starts, whatever the setting says.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    for key, value in spark_conf(settings).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
