"""### A day's files arrive

Takes what lies in `landing/<source>/` into the lake and cleans it.

| | |
|---|---|
| Reads | landing files of every registered source; bronze |
| Writes | `bronze.<source>`, `ops.files`; then `silver.events`, `silver.rejected`, `silver.items`, `silver.users`, `silver.consents` |
| Runs | at 00:00 UTC for the day that has just ended; partition `YYYY-MM-DD` |
| Then | the asset `silver.events` starts `build_features` for the same window |

**Backfill.** Day by day: `airflow backfill create --dag-id ingest_events --from-date 2017-12-01 --to-date 2017-12-07
--max-active-runs 1`. A long window in one job: trigger this Dag with the params `start` and `end` (`end` is not
included); all four Dags then work on that window. Running a window again changes nothing.

**On failure.** A failed task without retries left its input refused: the line `FAILED` at the end of its log says what
was got, what is allowed and what to do. Nothing after it has run, and readers still see the last snapshot. Mend the
cause, then clear the task. A task that is *up for retry* met an infrastructure fault and is tried twice more.
"""  # noqa: E501

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronPartitionTimetable

from dags.assets import EVENTS, KEY_FORMAT
from dags.nights import first_night
from dags.params import PARAMS
from dags.spark_job import SparkJob

with DAG(
    dag_id="ingest_events",
    description="landing files to clean events",
    doc_md=__doc__,
    # The run at midnight is of the day before.
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format=KEY_FORMAT),
    start_date=first_night(),
    catchup=False,
    params=PARAMS,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    tags=["attune", "data"],
):
    ingest = SparkJob(job="ingest_events", execution_timeout=timedelta(hours=2))
    clean = SparkJob(job="clean_events", execution_timeout=timedelta(hours=4), outlets=[EVENTS])
    ingest >> clean
