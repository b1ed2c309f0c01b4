"""silver -> MLflow: fit all sources, learn the ranker, judge everything on the last window, promote the better.

Skips, without starting Spark, while the champion is younger than `train_every_days`; option force=true trains
all the same. A model that does not beat the champion is kept as the challenger, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.consent import consented_events
from jobs.job import Context, Report
from jobs.parameters import parameters_of
from jobs.scratch import scratch
from jobs.version import code_version
from lake import delta
from lake.console import say, step
from lake.errors import ContractError
from lake.settings import Settings
from lake.tables import EVENTS, USER_DAY, USER_ITEM_DAY
from models import hybrid, tracking
from models.als_files import Folder
from models.fitting import Log, fit_before
from models.hybrid import Parameters, Sources
from models.interactions import before, positives
from models.population import figures_of_people
from models.promotion import CHAMPION, HYBRID, Bounds, Decision, decide
from models.ranker import Ranker
from models.report import (
    children,
    cold_start,
    cold_start_metrics,
    figures,
    group_rows,
    price,
    summary,
    table_rows,
)
from models.split import Split, time_split
from models.tracking import Registry, Training, Version
from models.training import Judged, Timings, calibrate, check_activity, foretold, judge, learn, lessons
from models.values import Value, of_sources

AHEAD = ("mlflow", "xgboost.spark")

# The tables a model depends on; their Delta versions go into the run.
INPUTS = ("silver.events", "silver.items", "silver.consents", "gold.user_item_day", "gold.user_day")


def registry(settings: Settings) -> Registry:
    """Where the models of this home live: named by its registered sources."""
    names = tuple(sorted(path.stem for path in settings.sources.glob("*.toml"))) or ("local",)
    return Registry(settings.tracking_uri, names, settings.home / "mlartifacts")


def run(context: Context) -> Report:
    """Train as of the window's end. Raises ContractError without silver.events, ModelError with too little data."""
    where = registry(context.settings)
    champion = tracking.champion(where)
    if champion is not None and not context.forced:
        age = (context.window.end - champion.checked).days
        if age < context.settings.train_every_days:
            return Report(
                skipped=f"champion {champion} is {age} days old; trains every {context.settings.train_every_days}",
                model_version=str(champion),
            )
    return _train(context, where, champion)


def _train(context: Context, where: Registry, champion: Version | None) -> Report:
    parameters, timings = parameters_of(context.settings), Timings()
    log = inputs(context)
    with step("splitting by time"), timings.stage("split"):
        split = time_split(log.wanted, context.window.as_of, windows=parameters.label_windows)
        check_activity(log, split)
    windows, taught = [], scratch(context, "train_models", "lessons")
    for number, (start, until) in enumerate(split.label_windows):
        with step(f"fitting sources before {start:%Y-%m-%d %H:%M}"), timings.stage("fit_labels"):
            early = fit_before(log, start, parameters, scratch(context, "train_models", f"labels-{number}"), say)
        with step(f"taking lessons of what was wanted until {until:%Y-%m-%d %H:%M}"), timings.stage("lessons"):
            windows.append(lessons(log, early, until, parameters, taught))
        hybrid.release(early)
    with step("learning what a score is worth"), timings.stage("calibrate"):
        calibration = calibrate(windows, split, hybrid.FEATURES, parameters, workers(context))
    with step("learning to rank"), timings.stage("rank"):
        learnt = learn(windows, hybrid.FEATURES, parameters, workers(context))
        ranker = replace(learnt, calibration=calibration, given=context.settings.parameters)
    Folder(taught).remove()
    with step(f"fitting sources before {split.test:%Y-%m-%d %H:%M}"), timings.stage("fit_test"):
        late = fit_before(log, split.test, parameters, scratch(context, "train_models", "test"), say)
    old = _old_ranker(where, champion, context.settings.parameters)
    rankers = {HYBRID: ranker} | ({CHAMPION: old} if old else {})
    with step("judging all models on the last window"), timings.stage("judge"):
        judged = judge(log, late, split.end, rankers, parameters)
        judged = replace(judged, reliability=foretold(log, late, judged, calibration, split.end))
    bounds = Bounds(context.settings.promotion_coverage, context.settings.promotion_popularity_bias)
    decision = decide(judged.replicates, judged.exposure, hybrid.SOURCES, bounds, has_champion=old is not None)
    with step("keeping the training in MLflow"), timings.stage("track"):
        training = _training(context, log, split, judged, late, ranker, parameters, timings, decision)
        challenger = tracking.log_training(where, training)
        _settle(where, champion, challenger, decision)
    hybrid.release(late)
    log.wanted.unpersist()
    say(f"{challenger}: {decision.reason}")
    for scope, told in judged.reliability.items():
        say(f"probabilities of {scope} candidates: {told.words()}")
    for name, value in price(judged).items():
        say(f"diversity {parameters.diversity:g}: {name} {value:+.4f}")
    return Report(
        model_version=str(challenger if decision.promote else champion),
        details={
            "experiment": where.experiment,
            "model": str(challenger),
            "promoted": decision.promote,
            "decision": decision.reason,
            "split": json.dumps(asdict(split), default=str),
            "test_users": json.dumps(judged.replicates.users),
            "metrics": json.dumps(table_rows(judged)),
            "cold_start": json.dumps(cold_start(judged)),
            "diversity_price": json.dumps(price(judged)),
            "calibration": json.dumps({scope: told.figures() for scope, told in judged.reliability.items()}),
            "seconds": json.dumps({name: round(value, 1) for name, value in timings.items()}),
        },
    )


def inputs(context: Context) -> Log:
    """What consenting people did before the window's end; the positives are persisted."""
    settings, spark, end = context.settings, context.spark, context.window.end
    missing = settings.consent_default()
    for table, job in ((EVENTS, "clean_events"), (USER_ITEM_DAY, "build_features")):
        if not delta.exists(spark, settings, table.name):
            raise ContractError(
                f"{table.name} was never written in {settings.home}; first: attune run {job} "
                f"--start {context.window.start} --end {end}"
            )
    consents = delta.read(spark, settings, "silver.consents")

    def allowed(name: str) -> DataFrame:
        past = delta.read(spark, settings, name).where(F.col("event_date") < F.lit(end))
        return consented_events(past, consents, missing, context.window.as_of)

    events = before(allowed(EVENTS.name), context.window.as_of).where(~F.coalesce(F.col("is_bot"), F.lit(False)))
    return Log(
        events=events,
        tiles=allowed(USER_ITEM_DAY.name),
        days=allowed(USER_DAY.name),
        items=delta.read(spark, settings, "silver.items"),
        wanted=positives(events).persist(),
        profiles=delta.read(spark, settings, "silver.users"),
    )


def _old_ranker(where: Registry, champion: Version | None, given: Mapping[str, Value]) -> Ranker | None:
    """The champion's ranker, when it can still be compared: it ranks by sources of the same parameters."""
    if champion is None:
        return None
    old = tracking.load_ranker(where, champion)
    if of_sources(old.given) != of_sources(given):
        theirs = dict(of_sources(old.given)) or "defaults"
        say(f"champion {champion} ranks by sources of other parameters: not compared ({theirs})")
        return None
    unknown = sorted(set(old.features) - set(hybrid.FEATURES))
    if unknown:
        say(f"champion {champion} ranks by features this code no longer has ({', '.join(unknown)}): not compared")
        return None
    return old


def _settle(where: Registry, champion: Version | None, challenger: Version, decision: Decision) -> None:
    if decision.promote:
        tracking.promote(where, challenger, decision.reason)
    elif champion is not None:
        tracking.keep(where, champion, challenger, decision.reason)


def _training(
    context: Context, log: Log, split: Split, judged: Judged, sources: Sources, ranker: Ranker, parameters: Parameters,
    timings: Timings, decision: Decision,
) -> Training:  # fmt: skip
    versions = {name: delta.version(context.spark, context.settings, name) for name in INPUTS}
    instants = {"validation": split.validation, "test": split.test, "end": split.end}
    described = {f"split_{name}": value.isoformat() for name, value in instants.items()}
    described["split_labels"] = ", ".join(value.isoformat() for value in split.labels)
    return Training(
        as_of=context.window.end,
        parameters={**described, **{f"given/{name}": value for name, value in context.settings.parameters.items()},
                    **{f"delta_{name}": value for name, value in versions.items()}, "own": parameters.own,
                    "take": parameters.take, "half_life": parameters.half_life},
        metrics={**summary(judged, HYBRID), **cold_start_metrics(judged), **price(judged),
                 **{f"seconds/{name}": value for name, value in timings.items()}},
        tags={"git_commit": code_version(), "run_id": context.run_id, "decision": decision.reason[:4000]},
        children=children(judged, parameters, sources.factors.epochs),
        plots=figures(judged, sources) | figures_of_people(log, sources, split.end),
        tables={"metrics": table_rows(judged), "metrics_by_group": group_rows(judged),
                "cold_start": cold_start(judged),
                "features": list(ranker.features),
                "reliability": {scope: told.as_dict() for scope, told in judged.reliability.items()}},
        ranker=ranker,
    )  # fmt: skip


def workers(context: Context) -> int:
    """Tasks that train trees together: two where there are cores for it."""
    return max(1, min(2, context.spark.sparkContext.defaultParallelism))
