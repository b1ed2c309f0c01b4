"""Airflow's REST API on loopback, as much of it as a night needs. A call costs milliseconds; the CLI, seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from lake.errors import AttuneError
from lake.window import Window


class AirflowError(AttuneError):
    """Airflow refused a request, or a run did not end well."""

    exit_code = 1


@dataclass(frozen=True)
class TaskState:
    """A task of a run, as it is now. `state` is None before it is scheduled."""

    dag_id: str
    run_id: str
    task_id: str
    state: str | None
    attempt: int


class AirflowApi:
    """A client that logs in when it first has to."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._credentials = {"username": user, "password": password}
        self._session = requests.Session()
        # Loopback must not go through a proxy that the environment names.
        self._session.trust_env = False

    def healthy(self) -> bool:
        """Whether the API, the scheduler and the Dag processor all work."""
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5)
            parts = answer.json()
            return all(parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return False

    def dag_ids(self) -> set[str]:
        """The Dags that Airflow knows."""
        return {dag["dag_id"] for dag in self._get("dags", limit=100)["dags"]}

    def import_errors(self) -> list[str]:
        """Why Dag files could not be loaded."""
        return [error["stack_trace"] for error in self._get("importErrors")["import_errors"]]

    def trigger(self, dag_id: str, partition_key: str | None = None, params: dict[str, str] | None = None) -> str:
        """Start a run for a partition, or with params. Returns the run's id. Raises AirflowError for bad params."""
        body = {"logical_date": None, "partition_key": partition_key, "conf": params or {}}
        return str(self._post(f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def backfill(self, dag_id: str, window: Window) -> int:
        """Start one run for each day of the window, one after another, also where there was one. Returns its id."""
        last = Window.day(window.end).start.toordinal() - 1
        body = {
            "dag_id": dag_id,
            "from_date": _midnight(window.start.toordinal()),
            "to_date": _midnight(last),
            "max_active_runs": 1,
            "reprocess_behavior": "completed",
        }
        return int(self._post("backfills", body)["id"])

    def runs(self, dag_id: str, partition_key: str) -> list[dict[str, Any]]:
        """The runs of one Dag for one partition, the latest first."""
        answer = self._get(
            f"dags/{dag_id}/dagRuns", partition_key_prefix_pattern=partition_key, order_by="-run_after", limit=50
        )
        return [run for run in answer["dag_runs"] if run["partition_key"] == partition_key]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run."""
        return self._get(f"dags/{dag_id}/dagRuns/{run_id}")

    def give_up(self, dag_id: str, run_id: str) -> None:
        """End a run as failed: what of it waits for another attempt is not tried again."""
        self._call("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        """The tasks of one run."""
        found = self._get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return [TaskState(dag_id, run_id, task["task_id"], task["state"], task["try_number"]) for task in found]

    def log(self, task: TaskState) -> list[str]:
        """The lines of a task's log, at its latest attempt; none when the log is not there yet."""
        path = f"dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/logs/{max(task.attempt, 1)}"
        try:
            content = self._get(path, full_content="true")["content"]
        except AirflowError:
            return []
        return [str(line.get("event", "")) if isinstance(line, dict) else str(line) for line in content]

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._call("GET", path, params=query)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        for attempt in (1, 2):
            if "Authorization" not in self._session.headers:
                self._log_in()
            headers = {"Accept": "application/json"}
            url = f"{self.url}/api/v2/{path}"
            try:
                answer = self._session.request(method, url, timeout=30, headers=headers, **arguments)
            except requests.RequestException as error:
                raise AirflowError(f"Airflow at {self.url} does not answer: {type(error).__name__}") from None
            if answer.status_code == 401 and attempt == 1:
                del self._session.headers["Authorization"]
                continue
            break
        if not answer.ok:
            raise AirflowError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json())

    def _log_in(self) -> None:
        try:
            answer = self._session.post(f"{self.url}/auth/token", json=self._credentials, timeout=30)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise AirflowError(f"could not log in to Airflow at {self.url}: {error}") from None
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _midnight(ordinal: int) -> str:
    return datetime.fromordinal(ordinal).replace(tzinfo=UTC).isoformat()
