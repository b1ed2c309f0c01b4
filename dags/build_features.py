"""### Features of every user, as of the end of the window

| | |
|---|---|
| Reads | `silver.events` and `silver.items`, of users who consent to personalisation |
| Writes | in `gold`: `user_item_day`, `user_day`, `item_keys`, `user_state` |
| | as of the window's end: `rfm`, `rfm_windows`, `engagement`, `intent`, `affinity`, `context`, `due_again`, |
| | `cycles`, `value`, `value_fits` |
| Runs | when `ingest_events` has cleaned a day or a longer window; the partition is its last day |
| Then | the asset `gold.features` starts `train_models` for the same window |

**Backfill.** It follows a backfill of `ingest_events` by itself. Alone, after a change of a definition: trigger it with
the params `start` and `end`; `train_models` and `publish_snapshots` follow.

**On failure.** Failed without a retry: a gate on the features did not hold, or a setting is missing (`missing_consent`
has no default); the line `FAILED` at the end of the log says which, Data Docs show the gate. Nothing after it has run.
Mend the cause, then clear the task; a second run replaces what the first one wrote.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, PartitionedAssetTimetable

from dags.assets import EVENTS, FEATURES
from dags.params import PARAMS
from dags.spark_job import SparkJob

with DAG(
    dag_id="build_features",
    description="clean events to day tiles, RFM, engagement, intent, value and affinities",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=EVENTS),
    params=PARAMS,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=8),
    tags=["attune", "features"],
):
    SparkJob(job="build_features", execution_timeout=timedelta(hours=3), outlets=[FEATURES])
