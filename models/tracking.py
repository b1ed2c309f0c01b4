"""MLflow: experiments, runs, the model registry and its aliases; searches are models.trials. Nothing else talks to it.

One experiment for the sources of a home, a parent run a training, a child run a model. No user ids anywhere:
parameters, metrics, table versions and plots of counts only.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
class Evaluation:
    """Everything to be kept of models that were judged together."""

    as_of: date
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    children: tuple[Child, ...]
    plots: Mapping[str, Figure]
    tables: Mapping[str, Any]


@dataclass(frozen=True)
class Training(Evaluation):
    """Everything to be kept of a training."""

    ranker: Ranker


def champion(registry: Registry) -> Version | None:
    """The champion, or None when there is none yet."""
    return _version(connect(registry), registry, CHAMPION)


def newest(registry: Registry) -> Version | None:
    """The version registered last, or None when there is none yet."""
    numbers = _numbers(connect(registry), registry)
    return find(registry, str(numbers[-1])) if numbers else None


def find(registry: Registry, asked: str) -> Version:
    """The version of a number, of an alias, or called <model>/<number> as reports do. Raises ModelError without."""
    client = connect(registry)
    name, _, text = asked.rpartition("/")
    if name not in ("", registry.model):
        raise ModelError(
            f"{asked[:80]} is a model of other sources: those of this home are {registry.model}, and models are "
            "compared on the same users and items. Give --home of the other, or a version of this one"
        )
    numbers, found = _numbers(client, registry), None
    if not text.isdecimal():
        found = _version(client, registry, text) if re.fullmatch(r"[A-Za-z0-9_-]+", text) else None
    elif int(text) in numbers:
        found = _dated(registry, client.get_model_version(registry.model, str(int(text))), "registered")
    if found is None:
        known = ", ".join(map(str, numbers)) or "none; first: attune run train_models"
        raise ModelError(
            f"there is no version {asked[:80]!r} of {registry.model} in {registry.uri}; allowed: {CHAMPION}, "
            f"{CHALLENGER}, or a number of: {known}"
        )
    return found


def load_ranker(registry: Registry, version: Version) -> Ranker:
    """The ranker of a version, from its JSON; nothing is executed. Raises ModelError when it is not readable."""
    import mlflow

    connect(registry)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(mlflow.artifacts.download_artifacts(f"models:/{version}", dst_path=folder))
        found = sorted(path.rglob("ranker.json"))
        if not found:
            raise ModelError(f"{version} holds no ranker.json: it was not logged by train_models; train again")
        return from_json(found[0].read_text())


def log_training(registry: Registry, training: Training) -> Version:
    """Keep a training and register its ranker as the challenger. A failure leaves a failed run and no new alias."""
    client = connect(registry)
    with _kept(client, registry, f"training as of {training.as_of}", training):
        version = _register(registry, training)
    client.set_registered_model_alias(registry.model, CHALLENGER, version)
    return Version(registry.model, version, training.as_of, training.as_of)


def log_evaluation(registry: Registry, name: str, found: Evaluation) -> str:
    """Keep what is no training as a run of that name; the run's id."""
    with _kept(connect(registry), registry, name, found) as run_id:
        return run_id


def promote(registry: Registry, version: Version, reason: str) -> None:
    """Move the champion alias to the version."""
    client = connect(registry)
    client.set_model_version_tag(version.name, version.version, "decision", reason[:4000])
    client.set_registered_model_alias(version.name, CHAMPION, version.version)


def keep(registry: Registry, champion: Version, challenger: Version, reason: str) -> None:
    """The champion stays: say so on both, so that the next night does not train again."""
    client = connect(registry)
    client.set_model_version_tag(challenger.name, challenger.version, "decision", reason[:4000])
    client.set_model_version_tag(champion.name, champion.version, "checked", challenger.as_of.isoformat())


@contextmanager
def _kept(client: MlflowClient, registry: Registry, name: str, found: Evaluation) -> Iterator[str]:
    """A run with what was found, still active; its id."""
    import mlflow

    mlflow.set_experiment(experiment_id=experiment_of(client, registry))
    with mlflow.start_run(run_name=name, tags=dict(found.tags)) as parent:
        mlflow.log_params({key: str(value)[:500] for key, value in found.parameters.items()})
        mlflow.log_metrics(dict(found.metrics))
        for plot, figure in found.plots.items():
            mlflow.log_figure(figure, f"plots/{plot}.png")
        for table, rows in found.tables.items():
            mlflow.log_dict(rows, f"{table}.json")
        for child in found.children:
            log_child(client, parent.info, child)
        yield str(parent.info.run_id)


def log_child(client: MlflowClient, parent: Any, child: Child, tags: Mapping[str, str] | None = None) -> None:
    """A run below another. parent: the other's info."""
    from mlflow.entities import Metric, Param

    tags = {"mlflow.parentRunId": parent.run_id, "mlflow.runName": child.name, **(tags or {})}
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
    client = connect(registry)
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
    return _dated(registry, found, alias)


def _dated(registry: Registry, found: Any, called: str) -> Version:
    """A version as MLflow describes it. Raises ModelError when no training registered it."""
    try:
        as_of = date.fromisoformat(found.tags["as_of"])
        return Version(
            registry.model, str(found.version), as_of, date.fromisoformat(found.tags.get("checked", str(as_of)))
        )
    except (KeyError, ValueError):
        raise ModelError(
            f"{registry.model} version {found.version} is {called} but carries no date in its tag as_of, so it was not "
            f"registered by train_models; train with --option force=true, or move the alias to a version that was"
        ) from None


def _numbers(client: MlflowClient, registry: Registry) -> list[int]:
    """The numbers of all registered versions, ascending."""
    return sorted(int(found.version) for found in client.search_model_versions(f"name='{registry.model}'"))


def experiment_of(client: MlflowClient, registry: Registry) -> str:
    """The number of the registry's experiment, made where there is none."""
    known = client.get_experiment_by_name(registry.experiment)
    if known is not None:
        return str(known.experiment_id)
    location = None if registry.uri.startswith("http") else registry.artifacts.absolute().as_uri()
    return str(client.create_experiment(registry.experiment, artifact_location=location))


def connect(registry: Registry) -> MlflowClient:
    """A client of the registry's server or database."""
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
