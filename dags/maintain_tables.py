"""### Upkeep of all tables

| | |
|---|---|
| Reads | every Delta table of the lake |
| Writes | the same rows in fewer files; drops rows of `silver.rejected` after 90 days, and files nothing refers to |
| Runs | on Sundays at 12:00 UTC, for the day before |
| Then | nothing: no row that anybody reads has changed |

**Backfill.** None is needed: one run does all that was missed.

**On failure.** Each table is kept up on its own and each step is one commit: what was done stays done. A conflict with
a night that wrote meanwhile is tried again. Clear the task, or wait for the next Sunday.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronPartitionTimetable

from dags.assets import KEY_FORMAT
from dags.nights import first_night
from dags.params import PARAMS
from dags.spark_job import SparkJob

with DAG(
    dag_id="maintain_tables",
    description="compaction, clustering, retention and vacuum of all tables",
    doc_md=__doc__,
    schedule=CronPartitionTimetable("0 12 * * 0", timezone="UTC", run_offset=-1, key_format=KEY_FORMAT),
    start_date=first_night(),
    catchup=False,
    params=PARAMS,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=8),
    tags=["attune", "upkeep"],
):
    SparkJob(job="maintain_tables", execution_timeout=timedelta(hours=6))
