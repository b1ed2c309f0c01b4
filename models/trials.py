"""A search as MLflow keeps it: a parent run a search, a nested run a trial. What is there is where a search goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.tracking import Child, Registry, connect, experiment_of, log_child
from models.values import Value

SEARCH = "attune.search"
_TRIAL = "attune.trial"


@dataclass(frozen=True)
class Trial:
    """One setting and what it was worth. number: from 0."""

    number: int
    values: dict[str, Value]
    metrics: dict[str, float]


def search(registry: Registry, name: str, described: Mapping[str, Any]) -> str:
    """The run of a search, a new one unless there is one of just this description. name: what MLflow shows."""
    client = connect(registry)
    place = experiment_of(client, registry)
    text = json.dumps(described, sort_keys=True, default=str)
    for run in _runs(registry, f"tags.`{SEARCH}` != ''"):
        if run.data.tags[SEARCH] == text:
            return str(run.info.run_id)
    run = client.create_run(place, run_name=name, tags={SEARCH: text})
    for key, value in described.items():
        client.log_param(run.info.run_id, key, str(value)[:500])
    return str(run.info.run_id)


def trials(registry: Registry, search_id: str) -> list[Trial]:
    """The trials of a search that ended, in order. One that was killed has no place among them."""
    found = {}
    for run in _runs(registry, f"tags.mlflow.parentRunId = '{search_id}' AND attributes.status = 'FINISHED'"):
        kept = json.loads(run.data.tags[_TRIAL])
        found[kept["number"]] = Trial(kept["number"], kept["values"], kept["metrics"])
    return [found[number] for number in sorted(found)]


def log_trial(registry: Registry, search_id: str, trial: Trial) -> None:
    """Keep a trial, whole or not at all: it counts once its run has ended."""
    client = connect(registry)
    kept = json.dumps({"number": trial.number, "values": trial.values, "metrics": trial.metrics})
    metrics = {name.replace("@", "_at_"): value for name, value in trial.metrics.items()}
    child = Child(f"trial {trial.number}", trial.values, metrics)
    log_child(client, client.get_run(search_id).info, child, {_TRIAL: kept})


def end_search(registry: Registry, search_id: str, best: Trial, tags: Mapping[str, str]) -> None:
    """Let the search's run say what was best; it may go on later."""
    client = connect(registry)
    for name, value in best.metrics.items():
        client.log_metric(search_id, f"best/{name.replace('@', '_at_')}", value)
    for key, text in {**tags, "best": json.dumps(best.values), "best_trial": str(best.number)}.items():
        client.set_tag(search_id, key, text)
    client.set_terminated(search_id)


def _runs(registry: Registry, where: str) -> list[Any]:
    client = connect(registry)
    place, token = experiment_of(client, registry), None
    found: list[Any] = []
    while True:
        page = client.search_runs([place], where, page_token=token)
        found += page
        token = page.token
        if not token:
            return found
