"""A Spark standalone cluster on loopback: one master and a few workers, real processes, for tests and trials."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Self

from jobs.processes import PROJECT, Service, free_port


class SparkCluster:
    """`with SparkCluster(folder) as cluster:` settings with spark_master=cluster.url run on it.

    workers, cores (of each) and memory (of each, for executors) are its size; `folder` takes logs and work files.
    An executor asks for settings.spark_memory, which must fit into a worker's memory.
    """

    def __init__(self, folder: Path, workers: int = 2, cores: int = 1, memory: str = "1g") -> None:
        self.folder = folder
        self._size = (workers, cores, memory)
        self._services: list[Service] = []
        self._port = self._ui_port = 0

    @property
    def url(self) -> str:
        """The master's address, as settings.spark_master takes it."""
        return f"spark://127.0.0.1:{self._port}"

    def start(self, seconds: float = 60) -> Self:
        """Start and wait until every worker has registered.

        Raises SetupError, with the log's tail, when one has not within the time.
        """
        workers, cores, memory = self._size
        self._port, self._ui_port = free_port(), free_port()
        try:
            master = self._spawn(
                "master",
                "org.apache.spark.deploy.master.Master",
                ["--host", "127.0.0.1", "--port", str(self._port), "--webui-port", str(self._ui_port)],
            )
            master.wait_until(lambda: self._alive() is not None, seconds, "the Spark master")
            for number in range(1, workers + 1):
                arguments = ["--host", "127.0.0.1", "--cores", str(cores), "--memory", memory]
                arguments += ["--webui-port", str(free_port()), "--work-dir", str(self.folder / f"work-{number}")]
                self._spawn(f"worker-{number}", "org.apache.spark.deploy.worker.Worker", [*arguments, self.url])
            for service in self._services[1:]:
                service.wait_until(lambda: self._alive() == workers, seconds, "the Spark workers to register")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the workers and the master; may be called twice."""
        for service in reversed(self._services):
            service.stop()
        self._services.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _spawn(self, name: str, main_class: str, arguments: list[str]) -> Service:
        import pyspark

        command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), main_class, *arguments]
        env = {
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": str(PROJECT),
        }
        service = Service(f"Spark {name}", command, self.folder / f"{name}.log", env)
        self._services.append(service)
        return service.start()

    def _alive(self) -> int | None:
        """How many workers the master counts as alive; None while there is no master."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ui_port}/json/", timeout=2) as answer:
                return int(json.load(answer)["aliveworkers"])
        except (OSError, ValueError):
            return None
