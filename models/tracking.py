"""The one module that talks to MLflow: experiments, runs, the model registry and its aliases.

One experiment for the sources of a home, a parent run a training, a child run a model. No user ids anywhere:
parameters, metrics, table versions and plots of counts only.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import ModelError
from models.ranker import Ranker, from_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

# Before MLflow is imported anywhere: no telemetry, no progress bars.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

CHAMPION, CHALLENGER = "champion", "challenger"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_REQUIREMENTS = ("xgboost", "pandas", "numpy")


@dataclass(frozen=True)
class Registry:
    """Where models of some sources live. uri: tracking server or database. sources: names of the sources.
    artifacts: folder for files when the uri is a database; a server has its own.
    """

    uri: str
    sources: tuple[str, ...]
    artifacts: Path

    @property
    def experiment(self) -> str:
        """attune/<source>+<source>."""
        return "attune/" + "+".join(self.sources)

    @property
    def model(self) -> str:
        """attune-<source>-<source>; what a registry does not take in a name becomes '-'."""
        return re.sub(r"[^A-Za-z0-9_.-]", "-", "attune-" + "-".join(self.sources))


@dataclass(frozen=True)
class Version:
    """A registered version. as_of: the date its training saw everything before. checked: the latest date on
    which a training left it champion.
    """

    name: str
    version: str
    as_of: date
    checked: date

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Child:
    """A model of a training. metrics: by name, such as "all/ndcg_at_10". curves: a value an epoch, by name."""

    name: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    curves: Mapping[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """Everything to be kept of a training."""

    as_of: date
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    children: tuple[Child, ...]
    plots: Mapping[str, Figure]
    tables: Mapping[str, Any]
    ranker: Ranker


def champion(registry: Registry) -> Version | None:
    """The champion, or None when there is none yet."""
    return _version(_client(registry), registry, CHAMPION)


def load_ranker(registry: Registry, version: Version) -> Ranker:
    """The ranker of a version, from its JSON; nothing is executed. Raises ModelError when it is not readable."""
    import mlflow

    _client(registry)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(mlflow.artifacts.download_artifacts(f"models:/{version}", dst_path=folder))
        found = sorted(path.rglob("ranker.json"))
        if not found:
            raise ModelError(f"{version} holds no ranker.json: it was not logged by train_models; train again")
        return from_json(found[0].read_text())


def log_training(registry: Registry, training: Training) -> Version:
    """Keep a training and register its ranker as the challenger. A failure leaves a failed run and no new alias."""
    import mlflow

    client = _client(registry)
    mlflow.set_experiment(experiment_id=_experiment(client, registry))
    with mlflow.start_run(run_name=f"training as of {training.as_of}", tags=dict(training.tags)) as parent:
        mlflow.log_params({key: str(value)[:500] for key, value in training.parameters.items()})
        mlflow.log_metrics(dict(training.metrics))
        for name, figure in training.plots.items():
            mlflow.log_figure(figure, f"plots/{name}.png")
        for name, table in training.tables.items():
            mlflow.log_dict(table, f"{name}.json")
        for child in training.children:
            _log_child(client, parent.info, child)
        version = _register(registry, training)
    client.set_registered_model_alias(registry.model, CHALLENGER, version)
    return Version(registry.model, version, training.as_of, training.as_of)


def promote(registry: Registry, version: Version, reason: str) -> None:
    """Move the champion alias to the version."""
    client = _client(registry)
    client.set_model_version_tag(version.name, version.version, "decision", reason[:4000])
    client.set_registered_model_alias(version.name, CHAMPION, version.version)


def keep(registry: Registry, champion: Version, challenger: Version, reason: str) -> None:
    """The champion stays: say so on both, so that the next night does not train again."""
    client = _client(registry)
    client.set_model_version_tag(challenger.name, challenger.version, "decision", reason[:4000])
    client.set_model_version_tag(champion.name, champion.version, "checked", challenger.as_of.isoformat())


def _log_child(client: MlflowClient, parent: Any, child: Child) -> None:
    from mlflow.entities import Metric, Param

    tags = {"mlflow.parentRunId": parent.run_id, "mlflow.runName": child.name}
    run = client.create_run(parent.experiment_id, tags=tags, run_name=child.name)
    now = int(time.time() * 1000)
    client.log_batch(
        run.info.run_id,
        metrics=[
            *(Metric(key, value, now, 0) for key, value in child.metrics.items()),
            *(
                Metric(key, value, now, step)
                for key, curve in child.curves.items()
                for step, value in enumerate(curve, 1)
            ),
        ],
        params=[Param(key, str(value)[:500]) for key, value in child.parameters.items()],
    )
    client.set_terminated(run.info.run_id)


def _register(registry: Registry, training: Training) -> str:
    """Log the ranker as a model from code with its JSON beside it, and register it; the version's number."""
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ranker.json"
        path.write_text(training.ranker.to_json())
        logged = mlflow.pyfunc.log_model(
            name="ranker",
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"ranker": str(path)},
            pip_requirements=list(_REQUIREMENTS),
        )
    client = _client(registry)
    with suppress(_exception()):  # it is there already
        client.create_registered_model(registry.model)
    tags = {"as_of": training.as_of.isoformat(), "checked": training.as_of.isoformat(), **training.tags}
    made = client.create_model_version(registry.model, logged.model_uri, run_id=_active_run(), tags=tags)
    return str(made.version)


def _active_run() -> str | None:
    import mlflow

    run = mlflow.active_run()
    return run.info.run_id if run else None


def _version(client: MlflowClient, registry: Registry, alias: str) -> Version | None:
    try:
        found = client.get_model_version_by_alias(registry.model, alias)
    except _exception() as error:
        if getattr(error, "error_code", None) in _ABSENT:
            return None
        raise
    try:
        as_of = date.fromisoformat(found.tags["as_of"])
        return Version(
            registry.model, str(found.version), as_of, date.fromisoformat(found.tags.get("checked", str(as_of)))
        )
    except (KeyError, ValueError):
        raise ModelError(
            f"{registry.model} version {found.version} is {alias} but carries no date in its tag as_of, so it was not "
            f"registered by train_models; train with --option force=true, or move the alias to a version that was"
        ) from None


def _experiment(client: MlflowClient, registry: Registry) -> str:
    known = client.get_experiment_by_name(registry.experiment)
    if known is not None:
        return str(known.experiment_id)
    location = None if registry.uri.startswith("http") else registry.artifacts.absolute().as_uri()
    return str(client.create_experiment(registry.experiment, artifact_location=location))


def _client(registry: Registry) -> MlflowClient:
    import mlflow
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if registry.uri.startswith("sqlite:///"):
        Path(registry.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    return MlflowClient(registry.uri, registry.uri)


def _exception() -> type[Exception]:
    from mlflow.exceptions import MlflowException

    return MlflowException
