"""A real Airflow with a home and ports of its own: for `attune demo`, `attune ui` and the tests.

`airflow standalone` runs scheduler, Dag processor, triggerer and API server; here with SQLite, on loopback only, with
a password that is made once for each home. In production Airflow is yours; docs/airflow.md says what it needs.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import psutil

from jobs import spark_defaults
from jobs.airflow_api import AirflowApi, AirflowError, TaskState
from jobs.processes import PROJECT, Service, free_port, port_taken
from lake.console import say, step
from lake.errors import SetupError
from lake.settings import Settings, as_environment
from lake.window import Window

# A day's arrival runs through them in this order.
DAGS = ("ingest_events", "build_features", "train_models", "publish_snapshots")
USER = "admin"
NEVER = "2999-01-01"
# Between two looks at a run: each costs the API server time, of cores that tasks could use.
WATCHED_SECONDS = 3


class AirflowHome:
    """`with AirflowHome(settings) as airflow:` a scheduler that works on this installation.

    port: of the web server; 0 takes a free one. nightly: whether it starts the night of each real day by itself;
    over old data such a night would publish a snapshot as of today.
    """

    def __init__(self, settings: Settings, port: int = 0, *, nightly: bool = False) -> None:
        self.settings = settings
        self.folder = settings.home / "airflow"
        self.port = port
        self.nightly = nightly
        self._service: Service | None = None
        self._api: AirflowApi | None = None
        self._asked: dict[str, str] = {}
        self._seen: dict[tuple[str, str], str] = {}

    @property
    def url(self) -> str:
        """Where the web pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What Airflow's parts say."""
        return self.folder / "standalone.log"

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self._service is not None and self._service.running

    @property
    def session(self) -> int | None:
        """The session of all its processes; None when it is not up."""
        return self._service.pid if self._service else None

    @property
    def api(self) -> AirflowApi:
        """The REST client. Raises SetupError before start()."""
        if self._api is None:
            raise SetupError("Airflow is not running: call start() first")
        return self._api

    @property
    def password(self) -> str:
        """The password of the user `admin`: made once for each home, readable for its owner only."""
        file = self.folder / "passwords.json"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as output:
                json.dump({USER: secrets.token_urlsafe(12)}, output)
        return str(json.loads(file.read_text())[USER])

    def environment(self) -> dict[str, str]:
        """What every process of this Airflow, and every Spark driver it starts, has in its environment."""
        conf = spark_defaults.write(self.settings, self.folder / "spark")
        connection = {"conn_type": "spark", "host": self.settings.spark_master}
        own = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            # The Dag files of an installation do not change while it runs; reading them costs seconds each time.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            "AIRFLOW_CONN_ATTUNE_SPARK": json.dumps(connection),
            "SPARK_CONF_DIR": str(conf),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": str(PROJECT),
            "PYTHONWARNINGS": "ignore",
            # spark-submit, and the parts of Airflow itself, are looked up here.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ATTUNE_"))}
        # The settings as they are now, whichever way they came; the folder's attune.toml adds nothing to them.
        given = as_environment(self.settings)
        asked_only = {} if self.nightly else {"ATTUNE_FIRST_NIGHT": NEVER}
        return kept | _common() | given | own | asked_only

    def start(self, seconds: float = 240) -> Self:
        """Start and wait until the scheduler works and knows all Dags.

        Raises SetupError, with the log's tail, when it does not within the time, or when one runs here already.
        """
        self.port = self.port or free_port()
        if port_taken(self.port):
            raise SetupError(f"port {self.port} is taken; name a free one, or end what listens there")
        self._claim()
        self._api = AirflowApi(self.url, USER, self.password)
        command = [sys.executable, "-m", "airflow", "standalone"]
        self._service = Service("Airflow", command, self.log, self.environment())
        try:
            with step("starting Airflow"):
                self._service.start()
                self._pid_file.write_text(str(self._service.pid))
                deadline = time.monotonic() + seconds
                self._service.wait_until(self.api.healthy, seconds, "its scheduler")
                left = max(deadline - time.monotonic(), 10)
                self._service.wait_until(self._dags_known, left, "its Dags to be loaded")
        except BaseException:
            self.stop()
            raise
        say(f"Airflow runs at {self.url}")
        return self

    def stop(self) -> None:
        """End it, with every task and Spark driver it started; may be called twice."""
        if self._service is not None:
            self._service.stop()
            self._pid_file.unlink(missing_ok=True)
        self._service = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def trigger(self, day: date) -> None:
        """Let a day arrive: starts the first Dag for the day's partition; assets start the others."""
        key = day.isoformat()
        self._asked[key] = self.api.trigger(DAGS[0], partition_key=key)

    def trigger_window(self, window: Window) -> None:
        """The same for a longer window, in one job each; wait_for its last day."""
        params = {"start": window.start.isoformat(), "end": window.end.isoformat()}
        last = window.end - timedelta(days=1)
        self._asked[last.isoformat()] = self.api.trigger(DAGS[0], params=params)

    def backfill(self, window: Window) -> None:
        """A run for each day of the window, one after another, as `airflow backfill create` does."""
        for ordinal in range(window.start.toordinal(), window.end.toordinal()):
            self._asked.pop(date.fromordinal(ordinal).isoformat(), None)
        self.api.backfill(DAGS[0], window)

    def wait_for(self, day: date, dag_id: str = DAGS[-1], timeout: float = 1800) -> None:
        """Wait until the day has gone through `dag_id`, saying which task is where as that changes.

        Raises AirflowError, with the reason from its log, as soon as a run on the way has failed, or when the
        time is over.
        """
        key = day.isoformat()
        deadline = time.monotonic() + timeout
        left = list(DAGS[: DAGS.index(dag_id) + 1])
        since = ""
        while time.monotonic() < deadline:
            run = self._run(left[0], key, since)
            if run is not None:
                tasks = self.api.tasks(left[0], run["dag_run_id"])
                self._report(key, tasks)
                if run["state"] == "failed":
                    raise AirflowError(self._why(key, left[0], tasks))
                if run["state"] == "success":
                    since = run["queued_at"]
                    left.pop(0)
                    if not left:
                        return
                    continue
            if not self.running:
                raise AirflowError(f"Airflow has ended by itself; see the end of {self.log}")
            time.sleep(WATCHED_SECONDS)
        states = ", ".join(f"{name}: {state}" for (of, name), state in self._seen.items() if of == key) or "nothing ran"
        raise AirflowError(f"{key}: {dag_id} was not done within {timeout:.0f} s; {states}. See {self.url}")

    def _run(self, dag_id: str, key: str, since: str) -> dict[str, Any] | None:
        """The run of a Dag for this partition: the one that was asked for, or the latest one queued `since` then."""
        if dag_id == DAGS[0] and key in self._asked:
            return self.api.run(dag_id, self._asked[key])
        return next((run for run in self.api.runs(dag_id, key) if run["queued_at"] >= since), None)

    def _report(self, key: str, tasks: list[TaskState]) -> None:
        for task in tasks:
            state = task.state or "waiting"
            if self._seen.get((key, task.task_id)) != state and state not in ("waiting", "scheduled", "queued"):
                say(f"{key} {task.task_id}: {state.replace('_', ' ')}")
            self._seen[key, task.task_id] = state

    def _why(self, key: str, dag_id: str, tasks: list[TaskState]) -> str:
        """What a person needs of a failed run: the task, the job's own last word, where the log is."""
        failed = next((task for task in tasks if task.state == "failed"), None)
        if failed is None:
            return f"{key}: {dag_id} failed; see {self.url}/dags/{dag_id}"
        lines = self.api.log(failed)
        word = next((line for line in reversed(lines) if "FAILED (" in line), None) or "\n".join(lines[-5:])
        where = f"{self.url}/dags/{dag_id}/runs/{failed.run_id}/tasks/{failed.task_id}"
        return f"{key}: the task {failed.task_id} failed at attempt {failed.attempt}: {word.strip()}. Its log: {where}"

    def _dags_known(self) -> bool:
        broken = self.api.import_errors()
        if broken:
            raise SetupError(f"{len(broken)} Dag files could not be loaded:\n{broken[0]}")
        return set(DAGS) <= self.api.dag_ids()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "standalone.pid"

    def _claim(self) -> None:
        """Two schedulers of one home would work on the same SQLite database."""
        try:
            pid = int(self._pid_file.read_text())
            if "supervise.py" not in " ".join(psutil.Process(pid).cmdline()):
                return
        except (OSError, ValueError, psutil.Error):
            return
        raise SetupError(f"an Airflow of {self.settings.home} runs already (process {pid}); end it first: kill {pid}")


def _common() -> dict[str, str]:
    """infra/airflow/airflow.env."""
    lines = (PROJECT / "infra" / "airflow" / "airflow.env").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}
