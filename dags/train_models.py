"""### Models, when the champion has grown old

| | |
|---|---|
| Reads | `silver.events`, `silver.items`, `gold.rfm`, `gold.affinity`; the champion in MLflow |
| Writes | MLflow: a run for each training with a child for each model, the registered model, the alias `champion` |
| Runs | when `build_features` is done; trains only when the champion is older than `train_every_days`, else says so |
| Then | the asset `models` starts `publish_snapshots` for the same window |

**Backfill.** Trigger it with the params `start` and `end`: it trains on events before `end`. The champion moves only
when the challenger beats it on the same test window, so an old window does no harm.

**On failure.** Failed without a retry: there are too few events to make a model, or a setting is wrong; see the line
`FAILED`. The champion and the published snapshot stay as they were. Mend the cause, then clear the task.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, PartitionedAssetTimetable

from dags.assets import FEATURES, MODELS
from dags.params import PARAMS
from dags.spark_job import SparkJob

with DAG(
    dag_id="train_models",
    description="features to models in MLflow",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=FEATURES),
    params=PARAMS,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    tags=["attune", "models"],
):
    SparkJob(job="train_models", execution_timeout=timedelta(hours=8), outlets=[MODELS])
