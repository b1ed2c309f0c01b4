"""Airflow and MLflow side by side, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from contextlib import ExitStack

from jobs.airflow_home import USER, AirflowHome
from jobs.processes import Service, free_port, port_taken
from lake.console import say, step
from lake.errors import SetupError
from lake.settings import Settings

AIRFLOW_PORT, MLFLOW_PORT = 8080, 5000


def serve_ui(settings: Settings, airflow_port: int = 0, mlflow_port: int = 0, *, nightly: bool = False) -> None:
    """Start both, say where they are, and end both on Ctrl-C or SIGTERM.

    A port of 0 takes the usual one (8080, 5000), or a free one when that is taken. nightly: whether
    Airflow starts the night of each real day by itself.
    Raises SetupError, with the log's tail, when one of them does not start or ends by itself.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            airflow = stack.enter_context(AirflowHome(settings, airflow_port or _usual(AIRFLOW_PORT), nightly=nightly))
            address, mlflow = settings.tracking_uri, None
            if not address.startswith("http"):
                port = mlflow_port or _usual(MLFLOW_PORT)
                mlflow = start_mlflow(settings, port)
                stack.callback(mlflow.stop)
                address = f"http://127.0.0.1:{port}"
            say(f"Airflow  {airflow.url}  (user {USER}, password {airflow.password})")
            say(f"MLflow   {address}")
            say("Ctrl-C ends both")
            while airflow.running and (mlflow is None or mlflow.running):
                time.sleep(1)
            ended = airflow.log if not airflow.running else settings.home / "mlflow.log"
            raise SetupError(f"one of them has ended by itself; see the end of {ended}")
    except KeyboardInterrupt:
        say("ended")
    finally:
        signal.signal(signal.SIGTERM, before)


def start_mlflow(settings: Settings, port: int, seconds: float = 120) -> Service:
    """MLflow's pages for the database of this installation; ends with stop().

    Raises SetupError when it does not answer within the time.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", settings.tracking_uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", str(settings.home / "mlartifacts")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    # Its runner of background jobs takes four more processes; nothing here uses it.
    env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    if port_taken(port):
        raise SetupError(f"port {port} is taken; name a free one, or end what listens there")
    settings.home.mkdir(parents=True, exist_ok=True)
    service = Service("MLflow", command, settings.home / "mlflow.log", env)

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    with step("starting MLflow"):
        service.start().wait_until(answers, seconds, "its pages")
    return service


def _usual(port: int) -> int:
    return free_port() if port_taken(port) else port
