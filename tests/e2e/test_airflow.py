"""The real scheduler: `airflow standalone` with a home and ports of its own, over a small shop with a history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from jobs.airflow_api import AirflowError, TaskState
from jobs.airflow_home import DAGS, AirflowHome
from jobs.supervise import members
from lake.settings import Settings
from lake.window import Window
from serving.reader import SnapshotReader
from tests.e2e.shop import NIGHT, Shop

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def airflow(shop: Shop) -> Iterator[AirflowHome]:
    """One scheduler for the module; when it has ended, nothing it started is left."""
    with AirflowHome(shop.settings) as running:
        session = running.session or 0
        yield running
    assert members(session) == []


def test_a_days_files_become_a_readable_snapshot_by_asset_events_alone(
    airflow: AirflowHome, shop: Shop, tmp_path: Path
) -> None:
    shop.arrive(Window.day(NIGHT), tmp_path)
    # The first Dag alone is asked for, as `airflow backfill create` asks for a day.
    airflow.backfill(Window.day(NIGHT))
    airflow.wait_for(NIGHT, timeout=1600)

    started = {dag_id: airflow.api.runs(dag_id, NIGHT.isoformat())[0]["run_type"] for dag_id in DAGS}
    assert started == {"ingest_events": "backfill"} | dict.fromkeys(DAGS[1:], "asset_triggered")

    answer = SnapshotReader(str(shop.settings.lake)).recommend("p7", 5)
    assert answer.rung == "personal"
    assert len(answer.items) == 5
    assert all(item.reason for item in answer.items)
    assert {run["start"] for run in runs_of(shop.settings, "publish_snapshots")} == {NIGHT}


def test_what_a_retry_cannot_mend_fails_at_the_first_attempt(airflow: AirflowHome, shop: Shop) -> None:
    registered = shop.settings.sources
    hidden = registered.with_name("hidden")
    registered.rename(hidden)
    try:
        day = NIGHT + timedelta(days=1)
        airflow.trigger(day)
        with pytest.raises(AirflowError, match=r"failed at attempt 1: .*no source is registered"):
            airflow.wait_for(day, timeout=600)
    finally:
        hidden.rename(registered)


def test_a_fault_of_the_infrastructure_is_retried(airflow: AirflowHome) -> None:
    defaults = airflow.folder / "spark" / "spark-defaults.conf"
    sound = defaults.read_text()
    defaults.write_text(sound.replace("spark.driver.memory 1g", "spark.driver.memory much"))
    try:
        run_id = airflow.api.trigger("build_features", params={"start": "2024-03-01", "end": "2024-03-02"})
        task = decided(airflow, "build_features", run_id)
        assert (task.state, task.attempt) == ("up_for_retry", 1)
        # The next attempt is a minute away, and the next run of the Dag would wait for it.
        airflow.api.give_up("build_features", run_id)
    finally:
        defaults.write_text(sound)


def test_params_that_are_no_dates_are_refused_when_the_run_is_asked_for(airflow: AirflowHome) -> None:
    with pytest.raises(AirflowError, match="'yesterday' is not a 'date'"):
        airflow.api.trigger("ingest_events", params={"start": "yesterday", "end": "2024-01-01"})


def test_a_window_given_by_hand_is_handed_on_whole(airflow: AirflowHome) -> None:
    # Days of which nothing has come: the Dag that is asked for has nothing to do, and says so to the next one.
    window = Window(NIGHT + timedelta(days=2), NIGHT + timedelta(days=5))
    params = {"start": window.start.isoformat(), "end": window.end.isoformat()}
    airflow.api.trigger("ingest_events", params=params)

    # The next Dag works on the same window, under the partition of its last day.
    partition = str(window.end - timedelta(days=1))
    submitted = f"build_features --start {window.start} --end {window.end}"
    tasks: list[TaskState] = []
    for _ in range(600):
        next_runs = airflow.api.runs("build_features", partition)
        tasks = [task for run in next_runs for task in airflow.api.tasks("build_features", run["dag_run_id"])]
        if any(submitted in line for task in tasks for line in airflow.api.log(task)):
            return
        time.sleep(1)
    raise AssertionError(f"no run of build_features submitted {submitted}; found {tasks}")


def decided(airflow: AirflowHome, dag_id: str, run_id: str) -> TaskState:
    """The only task of a run, once Airflow has decided what to do after its first attempt."""
    for _ in range(600):
        tasks = airflow.api.tasks(dag_id, run_id)
        if tasks and tasks[0].state in ("up_for_retry", "failed", "success"):
            return tasks[0]
        time.sleep(1)
    raise AssertionError(f"{dag_id} {run_id}: no attempt has ended; {airflow.api.tasks(dag_id, run_id)}")


def runs_of(settings: Settings, job: str) -> list[dict[str, Any]]:
    """Rows of ops.runs."""
    table = DeltaTable(settings.lake / "ops" / "runs").to_pyarrow_table()
    return [run for run in table.to_pylist() if run["job"] == job]
