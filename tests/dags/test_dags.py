"""The Dags as Airflow sees them, without a scheduler: Airflow's own loader, in a process and home of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]

# What is asked of the loader; one process for the whole module, for Airflow is slow to import.
PROBE = """
import copy, json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError

bag = DagBag(sys.argv[1])
heavy = [name for name in ("pyspark", "delta", "mlflow", "great_expectations", "pandas") if name in sys.modules]

def taken(dag, end):
    params = copy.deepcopy(dag.params)
    try:
        params["start"] = "2017-01-01"
        params["end"] = end
        params.validate()
    except ParamValidationError:
        return False
    return True

def describe(dag):
    timetable = type(dag.timetable).__name__
    condition = getattr(dag.timetable, "asset_condition", None)
    return {
        "timetable": timetable,
        "listens_to": condition.name if condition else None,
        "run_offset": getattr(dag.timetable, "run_offset", None),
        "key_format": getattr(dag.timetable, "key_format", None),
        "doc_md": dag.doc_md,
        "tags": sorted(dag.tags),
        "max_active_runs": dag.max_active_runs,
        "timeout": dag.dagrun_timeout.total_seconds() if dag.dagrun_timeout else None,
        "catchup": dag.catchup,
        "start_date": dag.start_date.isoformat() if dag.start_date else None,
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "takes": [taken(dag, end) for end in json.loads(sys.argv[2])],
        "tasks": {
            task.task_id: {
                "operators": [kind.__name__ for kind in type(task).__mro__],
                "upstream": sorted(task.upstream_task_ids),
                "outlets": [asset.name for asset in task.outlets],
                "retries": task.retries,
                "backoff": task.retry_exponential_backoff,
                "timeout": task.execution_timeout.total_seconds() if task.execution_timeout else None,
                "at_a_time": task.max_active_tis_per_dag,
                "application": task.application,
                "conn_id": task._conn_id,
                "name": task.name,
            }
            for task in dag.tasks
        },
    }

answer = {"errors": bag.import_errors, "heavy": heavy, "dags": {dag.dag_id: describe(dag) for dag in bag.dags.values()}}
print("ANSWER" + json.dumps(answer, default=str))
"""

DATES: list[Any] = ["2017-01-02", None]
NO_DATES: list[Any] = ["yesterday", "2017-13-01", "2017-02-30", "", "2017-01-01; DROP", 20170101, True]

EXPECTED_TASKS = {
    "ingest_events": ["ingest_events", "clean_events"],
    "build_features": ["build_features"],
    "train_models": ["train_models"],
    "publish_snapshots": ["publish_snapshots"],
    "maintain_tables": ["maintain_tables"],
}
# Each starts the next.
NIGHT = list(EXPECTED_TASKS)[:4]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow's loader finds in dags/."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env = kept | {
        "ATTUNE_FIRST_NIGHT": "2030-02-01",
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "PYTHONPATH": str(PROJECT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(PROJECT / "dags"), json.dumps(DATES + NO_DATES)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert answers, done.stderr[-3000:]
    return dict(json.loads(answers[-1].removeprefix("ANSWER")))


def test_every_dag_loads_and_has_its_tasks(loaded: dict[str, Any]) -> None:
    assert loaded["errors"] == {}
    assert {name: list(dag["tasks"]) for name, dag in loaded["dags"].items()} == EXPECTED_TASKS
    assert loaded["dags"]["ingest_events"]["tasks"]["clean_events"]["upstream"] == ["ingest_events"]


def test_no_dag_file_imports_what_is_for_jobs_only(loaded: dict[str, Any]) -> None:
    assert loaded["heavy"] == []


def test_the_first_dag_runs_at_midnight_for_the_day_before(loaded: dict[str, Any]) -> None:
    first = loaded["dags"]["ingest_events"]
    assert (first["timetable"], first["run_offset"]) == ("CronPartitionTimetable", -1)
    assert first["key_format"] == "%Y-%m-%d"
    assert first["catchup"] is False
    assert first["start_date"] == "2030-02-01T00:00:00+00:00"


def test_each_next_dag_listens_to_what_the_one_before_writes(loaded: dict[str, Any]) -> None:
    dags = loaded["dags"]
    for before, after in itertools.pairwise(NIGHT):
        last_task = EXPECTED_TASKS[before][-1]
        assert dags[before]["tasks"][last_task]["outlets"] == [dags[after]["listens_to"]]
        assert dags[after]["timetable"] == "PartitionedAssetTimetable"
    # An asset of a task in the middle would start the next Dag on half of the work.
    assert dags["ingest_events"]["tasks"]["ingest_events"]["outlets"] == []


@pytest.mark.parametrize("dag_id", list(EXPECTED_TASKS))
def test_every_task_is_one_spark_submit_with_retries_and_a_time_limit(loaded: dict[str, Any], dag_id: str) -> None:
    for task_id, task in loaded["dags"][dag_id]["tasks"].items():
        assert "SparkSubmitOperator" in task["operators"]
        assert task["application"] == str(PROJECT / "jobs" / "submit.py")
        assert task["conn_id"] == "attune_spark"
        assert task_id in task["name"]
        assert (task["retries"], task["at_a_time"]) == (2, 1)
        assert task["backoff"] > 1
        assert task["timeout"] is not None


@pytest.mark.parametrize("dag_id", list(EXPECTED_TASKS))
def test_every_dag_is_documented_limited_and_tagged(loaded: dict[str, Any], dag_id: str) -> None:
    dag = loaded["dags"][dag_id]
    for part in ("Reads", "Writes", "Runs", "Then", "**Backfill.**", "**On failure.**"):
        assert part in dag["doc_md"]
    assert "attune" in dag["tags"]
    assert dag["max_active_runs"] == 1
    longest = sum(task["timeout"] for task in dag["tasks"].values())
    assert dag["timeout"] > longest
    assert all(dag["params"][name]["format"] == "date" for name in ("start", "end"))


@pytest.mark.parametrize("dag_id", list(EXPECTED_TASKS))
def test_params_take_dates_and_nothing_else(loaded: dict[str, Any], dag_id: str) -> None:
    assert loaded["dags"][dag_id]["takes"] == [True] * len(DATES) + [False] * len(NO_DATES)


@pytest.mark.parametrize("folder", ["dags", "jobs"])
def test_no_file_beside_a_script_hides_a_module_of_the_standard_library(folder: str) -> None:
    # Airflow and spark-submit put the folder of what they run before the standard library.
    assert sys.stdlib_module_names.isdisjoint(path.stem for path in (PROJECT / folder).glob("*.py"))
