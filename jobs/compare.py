"""Models side by side: versions of the registry and every single source, on one test window and the same users.

Nothing moves: no alias, no table. What was found is kept in MLflow beside the trainings, with a child run a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from jobs.job import Context
from jobs.parameters import parameters_of
from jobs.scratch import scratch
from jobs.summary import show_cold_start, show_metrics
from jobs.train_models import inputs, registry
from jobs.version import code_version
from lake.console import say, step
from lake.errors import ModelError, SettingError
from lake.settings import Settings
from lake.window import Window
from models import hybrid, tracking
from models.fitting import fit_before
from models.hybrid import Parameters
from models.plots import metric_by_model
from models.promotion import METRIC
from models.ranker import Ranker
from models.report import children, cold_start, cold_start_metrics, difference_rows, group_rows, table_rows
from models.split import time_split
from models.tracking import Evaluation, Registry, Version
from models.training import foretold, judge
from models.values import Value, of_sources


@dataclass(frozen=True)
class Comparison:
    """versions: the registered version by the model's name here. window: the test window, two instants. metrics,
    differences, cold_start: as models.report gives them. reliability: how probabilities came true, by version and
    scope; of versions that give any. baseline: the model that differences are from. run_id: MLflow's.
    """

    versions: dict[str, str]
    window: tuple[str, str]
    baseline: str
    metrics: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    cold_start: dict[str, list[dict[str, Any]]]
    reliability: dict[str, dict[str, dict[str, float]]]
    run_id: str

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def compare(settings: Settings, asked: list[str], end: date | None = None) -> Comparison:
    """Judge versions on the last eighth of what people wanted before `end`.

    asked: version numbers or aliases; none: the champion and the newest. end: by default the latest date that one of
    them was trained as of. Differences are from the champion where it is among them, else from the first.

    Raises ModelError for a version that is unknown, of other sources, or ranks by features this code does not have;
    SettingError for an end before a version's date: the window would reach back into what its ranker learnt from.
    """
    where = registry(settings)
    champion, versions = tracking.champion(where), _versions(where, asked)
    latest = max(versions, key=lambda version: version.as_of)
    end = end or latest.as_of
    if end < latest.as_of:
        raise SettingError(
            f"got --end {end}, but {latest} was trained as of {latest.as_of}: of a window that ends earlier it would "
            f"be asked about what it has seen. Allowed: {latest.as_of} or later"
        )
    named = {f"v{version.version}": version for version in versions}
    rankers = {name: _known(version, tracking.load_ranker(where, version)) for name, version in named.items()}
    given = _given(rankers)
    baseline = next((name for name, version in named.items() if version == champion), next(iter(named)))
    context = Context("compare", Window.day(end - timedelta(days=1)), settings)
    return _compare(context, where, named, rankers, baseline, parameters_of(settings, given))


def show(found: Comparison) -> None:
    """Print a comparison for people."""
    say(f"test window from {found.window[0]} to {found.window[1]}")
    show_metrics(found.metrics)
    show_metrics(found.differences, f"difference from {found.baseline}", signed=True)
    show_cold_start(found.cold_start)
    for name, scopes in found.reliability.items():
        for scope, figures in scopes.items():
            said = ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
            say(f"probabilities of {name}, {scope} candidates: {said}")
    say(f"kept in MLflow as run {found.run_id}")


def _versions(where: Registry, asked: list[str]) -> list[Version]:
    if asked:
        return list(dict.fromkeys(tracking.find(where, text) for text in asked))
    found = [version for version in (tracking.champion(where), tracking.newest(where)) if version is not None]
    if not found:
        raise ModelError(f"there is no version of {where.model} in {where.uri} yet; first: attune run train_models")
    return list(dict.fromkeys(found))


def _known(version: Version, ranker: Ranker) -> Ranker:
    unknown = sorted(set(ranker.features) - set(hybrid.FEATURES))
    if unknown:
        raise ModelError(
            f"{version} ranks by features this code no longer has ({', '.join(unknown)}): it cannot be "
            "compared; leave it out, or compare with the code it was trained by"
        )
    return ranker


def _given(rankers: dict[str, Ranker]) -> Mapping[str, Value]:
    """The parameters that the sources of all of them were fitted with."""
    given = {name: of_sources(ranker.given) for name, ranker in rankers.items()}
    first = next(iter(given.values()))
    if any(values != first for values in given.values()):
        told = "; ".join(f"{name}: {values or 'the defaults'}" for name, values in given.items())
        raise ModelError(
            f"these versions rank by sources of different parameters, so they have no candidates in common ({told}): "
            "compare versions of the same parameters, or each with its own training's figures in MLflow"
        )
    return first


def _compare(
    context: Context, where: Registry, named: dict[str, Version], rankers: dict[str, Ranker], baseline: str,
    parameters: Parameters,
) -> Comparison:  # fmt: skip
    log = inputs(context)
    with step("splitting by time"):
        split = time_split(log.wanted, context.window.as_of)
    with step(f"fitting sources before {split.test:%Y-%m-%d %H:%M}"):
        sources = fit_before(log, split.test, parameters, scratch(context, "compare", "test"), say)
    try:
        with step("judging all models on the last window"):
            judged = judge(log, sources, split.end, rankers, parameters)
            told = {
                name: foretold(log, sources, judged, ranker.calibration, split.end, name)
                for name, ranker in rankers.items()
            }
    finally:
        # The folder holds vectors of people.
        hybrid.release(sources)
        log.wanted.unpersist()
    reliability = {
        name: {scope: found.figures() for scope, found in scopes.items()} for name, scopes in told.items() if scopes
    }
    metrics, differences, cold = table_rows(judged), difference_rows(judged, baseline), cold_start(judged)
    versions = {name: str(version) for name, version in named.items()}
    kept = Evaluation(
        as_of=context.window.end,
        parameters={"split": json.dumps(asdict(split), default=str), **versions, "baseline": baseline},
        metrics=cold_start_metrics(judged),
        tags={"git_commit": code_version(), "compares": ", ".join(versions.values())},
        children=children(judged, parameters, sources.factors.epochs),
        plots={"ndcg_at_10_by_model": metric_by_model(judged.replicates, METRIC)},
        tables={
            "metrics": metrics,
            "metrics_by_group": group_rows(judged),
            "differences": differences,
            "cold_start": cold,
            "reliability": {name: {scope: found.as_dict() for scope, found in told[name].items()} for name in told},
        },
    )
    with step("keeping the comparison in MLflow"):
        run_id = tracking.log_evaluation(where, f"compare {', '.join(named)} as of {context.window.end}", kept)
    window = (split.test.isoformat(), split.end.isoformat())
    return Comparison(versions, window, baseline, metrics, differences, cold, reliability, run_id)
