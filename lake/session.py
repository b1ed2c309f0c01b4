"""The Spark session: one shape for jobs, tests and notebooks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lake.jars import jar_paths
from lake.local_folder import own_folder
from lake.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parent.parent

# Generated code for wide rows has methods beyond 8,000 bytes, which HotSpot interprets for ever unless told otherwise.
# Room for hundreds of queries' classes and code from the start: it would be come by through full collections.
JAVA_OPTIONS = "-XX:-DontCompileHugeMethods -XX:MetaspaceSize=300m -XX:ReservedCodeCacheSize=512m"

# What the web UI would show. Plans of a few hundred queries, kept for nobody, fill a small driver.
UNSEEN = {
    "spark.ui.retainedJobs": "50",
    "spark.ui.retainedStages": "50",
    "spark.ui.retainedTasks": "500",
    "spark.sql.ui.retainedExecutions": "5",
    "spark.sql.maxPlanStringLength": "10000",
}

# Of a folder of Unix sockets, in bytes: what Spark allows.
LONGEST_FOLDER = 60


def spark_conf(settings: Settings, folder: Path | None = None) -> dict[str, str]:
    """Every Spark setting Attune relies on, for a session built here or by spark-submit.

    folder: for what Spark keeps on disk while a session lives; <home>/tmp unless told.
    """
    folder = folder or settings.home / "tmp"
    ui = os.environ.get("ATTUNE_SPARK_UI", "false")
    java = f"{JAVA_OPTIONS} {settings.spark_java_options}".strip()
    return {
        "spark.master": settings.spark_master,
        "spark.driver.memory": settings.spark_memory,
        "spark.executor.memory": settings.spark_memory,
        "spark.driver.extraJavaOptions": java,
        "spark.executor.extraJavaOptions": java,
        "spark.jars": ",".join(str(path) for path in jar_paths()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        # Delta replays its log in 50 tasks unless told that the tables are small.
        "spark.databricks.delta.snapshotPartitions": "2",
        # Spark 4.1 drops the exchange above a union of parts partitioned alike, and may then coalesce each by itself:
        # rows of one key end up in two partitions (see SPARK-57996).
        "spark.sql.unionOutputPartitioning": "false",
        # A commit whose answer was lost must not be written twice.
        "spark.databricks.delta.commit.idempotencyCheck.enabled": "true",
        # An aggregate or a sort takes a page at once, 64 MB unless told: those of one wide stage would fill the memory
        # of a small driver and go to disk, of however few rows. Larger records get a page of their own.
        "spark.buffer.pageSize": "4m",
        # A night has some hundreds of generated classes, many of them Delta's, the same for each table. Of the 100 that
        # Spark keeps by itself none is left when it is asked for again, and HotSpot compiles it once more.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # A limit of bytes is kept by measuring all columns of a batch after each of its rows, which is half of what it
        # costs to hand narrow rows to Python. This number is none; batches have 10,000 rows, so rows must stay small:
        # what is handed on packed is packed in tens of kilobytes.
        "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
        # Workers must run this interpreter, not the system's.
        "spark.pyspark.python": sys.executable,
        "spark.python.daemon.module": "lake.python_daemon",
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
        "spark.executorEnv.PYTHONPATH": str(PROJECT),
        # The line of our code that made a column, for errors of the analysis: it is told to the JVM at each call that
        # makes one, which slows the making of plans with many columns.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.ui.enabled": ui,
        **(UNSEEN if ui == "false" else {}),
        **_sockets(settings, folder),
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(settings.home / "warehouse"),
        "spark.local.dir": str(folder),
        "spark.log.level": "ERROR",
    }


def _sockets(settings: Settings, folder: Path) -> dict[str, str]:
    """What the JVM and Python's workers of one machine speak through: Unix sockets in the folder. By way of loopback
    the small packages that begin and end a task wait for each other's receipt, up to 40 ms each.
    """
    if not settings.spark_master.startswith("local") or len(os.fsencode(folder)) > LONGEST_FOLDER:
        return {}
    return {"spark.python.unix.domain.socket.enabled": "true", "spark.python.unix.domain.socket.dir": str(folder)}


def session(settings: Settings, name: str = "attune") -> SparkSession:
    """The running session, with Attune's settings as far as they can still be made; or a new one, which has a folder of
    its own (lake/local_folder.py).
    """
    from pyspark.sql import SparkSession

    folder = own_folder(settings.home) if SparkSession.getActiveSession() is None else None
    # PySpark takes its workers' interpreter from here in a session that Python starts, whatever the setting says.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    for key, value in spark_conf(settings, folder).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
