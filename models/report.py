"""What a training says: the metric tables, of all users and by group, each model's metrics, and plots."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.segments import GRID
from models.als import Epoch
from models.bootstrap import GROUP_TOLD, LEAST_GROUP, Estimate
from models.cold_start import ANSWER_STRANGERS, LADDER
from models.groups import STAGES
from models.hybrid import SOURCES, Parameters, Sources
from models.metrics import ARRIVALS, KS, SCOPES, STRANGERS, TOLD, TOLD_NAMES
from models.plots import (
    lift_spread,
    metric_by_model,
    reliability_diagram,
    score_distributions,
    segment_map,
    wanted_shares,
)
from models.popularity import DAYS
from models.promotion import HYBRID
from models.tracking import Child
from models.training import DIVERSE, Judged

BINS = 30
# What is known of a candidate, its feature, and the upper bounds of the bins it is told in.
KNOWN = {
    "days in the cart": ("x_cart_idle", (1, 3, 7, 14, 30)),
    "days since it was looked at": ("x_look_idle", (1, 3, 7, 14, 30)),
    "cycles since it was wanted": ("x_due_again", (0.25, 0.5, 0.75, 1, 1.5, 2, 4)),
}
# The metrics of each group that a run has by name; the table has all.
GROUP_METRICS = ("ndcg@", "hit_rate@")
COLD_METRICS = ("ndcg@10", "recall@10", "hit_rate@10")


def table_rows(judged: Judged, only: str | None = None) -> list[dict[str, Any]]:
    """The metric table: one row a model and scope; <metric>@<k> with _low and _high, coverage@<k>, gini@<k>, users;
    recall_ceiling: of what the model nominates, of the hybrid's that of all sources together.

    None where no list says anything of the metric. only: of this model alone.
    """
    rows = []
    for model in judged.replicates.models if only is None else (only,):
        for scope in SCOPES:
            row: dict[str, Any] = {"model": model, "scope": scope, "users": judged.replicates.users[scope]}
            for k in KS:
                for name in TOLD_NAMES:
                    row |= _told(f"{name}@{k}", judged.replicates.estimate(model, scope, f"{name}@{k}"))
                shown = judged.exposure.get((model, scope, k))
                row[f"coverage@{k}"] = _number(shown.coverage if shown else 0.0)
                row[f"gini@{k}"] = _number(shown.gini) if shown else None
            ceiling = judged.ceilings.get(("union" if model == HYBRID else model, scope))
            rows.append(row if ceiling is None else row | {"recall_ceiling": _number(ceiling)})
    return rows


def group_rows(judged: Judged, only: str | None = None) -> list[dict[str, Any]]:
    """The metric table by group of users: one row a model, scope and group; <metric>@10 with _low and _high, users.

    group: see models.groups.described. only: of this model alone.
    """
    found = judged.replicates
    rows = []
    for model in found.models if only is None else (only,):
        for scope, group in sorted(key for key in found.groups if key[0] in SCOPES):
            row = {"model": model, "scope": scope, "group": group, "users": found.groups[scope, group].users}
            for metric in GROUP_TOLD:
                row |= _told(metric, found.of_group(group, model, scope, metric))
            rows.append(row)
    return rows


def difference_rows(judged: Judged, baseline: str) -> list[dict[str, Any]]:
    """Means of the per-user differences from one model, paired by user: one row a model and scope; <metric>@<k> with
    _low and _high. Figures of all lists together, coverage and gini, have none.
    """
    found = judged.replicates
    rows = []
    for model in found.models:
        for scope in SCOPES if model != baseline else ():
            row: dict[str, Any] = {"model": model, "less": baseline, "scope": scope, "users": found.users[scope]}
            for metric in TOLD:
                row |= _told(metric, found.difference(model, baseline, scope, metric))
            rows.append(row)
    return rows


def cold_start(judged: Judged) -> dict[str, list[dict[str, Any]]]:
    """How well those are served of whom, or of which, little is known.

    stages: one row a stage and model: users; COLD_METRICS with _low and _high, and with _less_ladder what they are
    above the fallback ladder's, paired by user. "users_<stage of models.groups>"; with 0, only models that have a list
    for users without history. "items_new": of what users with history wanted only items new to the catalogue count.
    Stages of fewer than LEAST_GROUP users are left out. wants: one row a kind of items; see models.cold_start.
    """
    found = judged.replicates
    rows: list[dict[str, Any]] = []
    for stage in STAGES:
        scope, models = (STRANGERS, ANSWER_STRANGERS) if stage == STAGES[0] else ("all", found.models)
        group = f"acquaintance/{stage}"
        for model in models if (scope, group) in found.groups else ():
            row = {"stage": f"users_{stage}", "model": model, "users": found.groups[scope, group].users}
            for metric in COLD_METRICS:
                row |= _told(metric, found.of_group(group, model, scope, metric))
                less = found.of_group(group, model, scope, metric, less_baseline=True)
                row |= _told(f"{metric}_less_ladder", less)
            rows.append(row)
    users = found.users.get(ARRIVALS, 0)
    for model in found.models if users >= LEAST_GROUP else ():
        row = {"stage": "items_new", "model": model, "users": users}
        for metric in COLD_METRICS:
            row |= _told(metric, found.estimate(model, ARRIVALS, metric))
            row |= _told(f"{metric}_less_ladder", found.difference(model, LADDER, ARRIVALS, metric))
        rows.append(row)
    return {"stages": rows, "wants": [{"kind": kind, **asdict(wants)} for kind, wants in judged.wants.items()]}


def cold_start_metrics(judged: Judged) -> dict[str, float]:
    """What leads of it, by names MLflow takes: cold_start/users_1/hybrid/ndcg_at_10, ..._less_ladder, with _low and
    _high, of all models but single sources; cold_start/wants/new/share of kinds of items.
    """
    told = cold_start(judged)
    found: dict[str, float] = {}
    for row in told["stages"]:
        if row["model"] not in SOURCES:
            values = {key: row[key] for key in row if key not in ("stage", "model")}
            found |= _numbers(f"cold_start/{row['stage']}/{row['model']}", values)
    for row in told["wants"]:
        found |= _numbers(f"cold_start/wants/{row['kind']}", {"share": row["share"]})
    return found


def price(judged: Judged) -> dict[str, float]:
    """What the setting `diversity` costs and brings, by names MLflow takes: the means of the per-user differences of
    nDCG@10 and diversity@10 between the hybrid's list as published and by score alone. Empty when the setting is 0.
    """
    if DIVERSE not in judged.replicates.models:
        return {}
    found: dict[str, float] = {}
    for scope in SCOPES:
        for metric in ("ndcg@10", "diversity@10"):
            told = _told(metric, judged.replicates.difference(DIVERSE, HYBRID, scope, metric))
            found |= _numbers(f"price_of_diversity/{scope}", told)
    return found


def summary(judged: Judged, model: str) -> dict[str, float]:
    """One model's metrics by names MLflow takes, such as all/ndcg_at_10 and all/ndcg_at_10_low; by group those that
    lead, such as all/segment/at_risk/ndcg_at_10; of the hybrid also calibration/ece and calibration/new/ece.
    """
    found: dict[str, float] = {}
    for row in table_rows(judged, model):
        found |= _numbers(row["scope"], {key: row[key] for key in row if key not in ("model", "scope")})
    for row in group_rows(judged, model):
        name = re.sub(r"[^a-z0-9/]+", "_", row["group"].lower())
        leading = {key: value for key, value in row.items() if key == "users" or key.startswith(GROUP_METRICS)}
        found |= _numbers(f"{row['scope']}/{name}", leading)
    if model == HYBRID:
        for scope, told in judged.reliability.items():
            found |= _numbers("calibration" if scope == "all" else f"calibration/{scope}", told.figures())
    return found


def children(judged: Judged, parameters: Parameters, epochs: tuple[Epoch, ...]) -> tuple[Child, ...]:
    """A child run for each model that was judged; that of ALS has its loss curve."""
    said = asdict(parameters.confidence)
    own: dict[str, dict[str, Any]] = {
        "repurchase": {"own": parameters.own},
        "als": asdict(parameters.als) | {f"confidence_{key}": value for key, value in said.items()},
        "neighbours": asdict(parameters.linear),
        "next": asdict(parameters.linear),
        "popularity": {"days": DAYS, "take": parameters.take},
        LADDER: {"days": DAYS},
        DIVERSE: {"diversity": parameters.diversity},
        HYBRID: asdict(parameters.ranker) | {"sources": ", ".join(SOURCES)},
    }
    curves = {"als": {"loss": [epoch.loss for epoch in epochs], "seconds": [epoch.seconds for epoch in epochs]}}
    return tuple(
        Child(name, own.get(name, {}), summary(judged, name), curves.get(name, {})) for name in judged.replicates.models
    )


def figures(judged: Judged, sources: Sources) -> dict[str, Figure]:
    """Plots by file name."""
    histograms, edges = _histograms(judged)
    told = judged.reliability
    return {
        **({"reliability": reliability_diagram(told)} if told else {}),
        "affinity_lifts": lift_spread(lift_quantiles(sources.facts.affinity)),
        "ndcg_at_10_by_model": metric_by_model(judged.replicates, "ndcg@10"),
        "rfm_segments": segment_map(_segment_counts(sources), GRID),
        "score_distributions": score_distributions(histograms, edges),
        "wanted_by_intent": wanted_shares(_wanted_by(judged)),
    }


def lift_quantiles(affinity: DataFrame) -> dict[str, list[float]]:
    """By dimension that has lifts, as lift_spread takes them; to one part in a thousand of the users."""
    known = affinity.where("lift IS NOT NULL").groupBy("dimension")
    found = known.agg(F.percentile_approx("lift", [0.1, 0.25, 0.5, 0.75, 0.9], 1000).alias("quantiles"))
    return {row.dimension: list(row.quantiles) for row in found.orderBy("dimension").collect()}


def _wanted_by(judged: Judged) -> dict[str, dict[str, tuple[int, int]]]:
    """By each of KNOWN, the bins in their order with all candidates and those that were wanted. One action."""
    told: dict[str, dict[str, tuple[int, int]]] = {}
    names = {}
    for known, (feature, bounds) in KNOWN.items():
        bins: Column = F.when(F.col(feature).isNull(), "none")
        for bound in bounds:
            bins = bins.when(F.col(feature) <= bound, f"to {bound}")
        names[known] = bins.otherwise(f"over {bounds[-1]}")
        told[known] = {name: (0, 0) for name in ("none", *(f"to {bound}" for bound in bounds), f"over {bounds[-1]}")}
    entries = F.array(*(F.struct(F.lit(known).alias("known"), bins.alias("bin")) for known, bins in names.items()))
    counted = (
        judged.scored.select(F.inline(entries), "label")
        .groupBy("known", "bin")
        .agg(F.count(F.lit(1)).alias("all"), F.count_if(F.col("label") > 0).alias("wanted"))
    )
    for row in counted.collect():
        told[row.known][row.bin] = (row["all"], row.wanted)
    return {known: {name: counts for name, counts in bins.items() if counts[0]} for known, bins in told.items()}


def _segment_counts(sources: Sources) -> dict[tuple[int, int], int]:
    frequent = F.ceil((F.col("f") + F.col("m")) / 2).cast("int").alias("fm")
    counted = sources.facts.rfm.groupBy("r", frequent).count()
    return {(row.r, row.fm): row["count"] for row in counted.collect()}


def _histograms(judged: Judged) -> tuple[dict[str, dict[str, list[int]]], list[float]]:
    """Counts of the hybrid's scores in BINS equal bins, by own or new items and wanted or not."""
    name = f"{HYBRID}_score"
    low, high = judged.scored.agg(F.min(name), F.max(name)).collect()[0]
    low, high = float(low or 0.0), float(high or 0.0)
    high = high if high > low else low + 1.0
    place = F.least(F.floor((F.col(name) - low) / (high - low) * BINS), F.lit(BINS - 1)).alias("bin")
    panel = F.when(F.col("seen") > 0, "own items").otherwise("new items").alias("panel")
    label = F.when(F.col("label") > 0, "wanted").otherwise("not wanted").alias("label")
    counts: dict[str, dict[str, list[int]]] = {
        name: {"not wanted": [0] * BINS, "wanted": [0] * BINS} for name in ("own items", "new items")
    }
    for row in judged.scored.groupBy(panel, label, place).count().collect():
        counts[row.panel][row.label][int(row.bin)] = row["count"]
    return counts, [float(edge) for edge in np.linspace(low, high, BINS + 1)]


def _told(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {
        name: _number(estimate.value),
        f"{name}_low": _number(estimate.low),
        f"{name}_high": _number(estimate.high),
    }


def _numbers(prefix: str, values: dict[str, Any]) -> dict[str, float]:
    """The values that are known, by names MLflow takes."""
    return {f"{prefix}/{key.replace('@', '_at_')}": float(value) for key, value in values.items() if value is not None}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(float(value), 6) if np.isfinite(value) else None
