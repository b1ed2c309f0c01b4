"""### Tonight's recommendations

| | |
|---|---|
| Reads | `silver.events`, `silver.items`, `gold.rfm`, `gold.affinity`; the champion in MLflow |
| Writes | `gold.recommendations`, `gold.fallbacks` under a version of their own, then one row of `gold.snapshots`: the pointer |
| Runs | when `train_models` is done |
| Then | readers see the new snapshot, whole; the asset `gold.snapshots` tells whoever listens |

**Backfill.** Trigger it with the params `start` and `end` for a snapshot as of `end`. An older snapshot never replaces
a newer one.

**On failure.** Failed without a retry: there is no champion yet, the gate on the snapshot did not hold, or publishing is
held after a rollback; see the line `FAILED`. Readers go on with the snapshot before. Mend the cause, then clear the task.
"""  # noqa: E501

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, PartitionedAssetTimetable

from dags.assets import MODELS, SNAPSHOT
from dags.params import PARAMS
from dags.spark_job import SparkJob

with DAG(
    dag_id="publish_snapshots",
    description="the champion's lists to one published snapshot",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=MODELS),
    params=PARAMS,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=8),
    tags=["attune", "serving"],
):
    SparkJob(job="publish_snapshots", execution_timeout=timedelta(hours=3), outlets=[SNAPSHOT])
