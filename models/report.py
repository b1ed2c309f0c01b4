"""What a training says: the metric table, each model's metrics, and plots."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pyspark.sql import functions as F

from features.segments import GRID
from models.als import Epoch
from models.hybrid import SOURCES, Parameters, Sources
from models.metrics import KS, NAMES, SCOPES
from models.plots import metric_by_model, score_distributions, segment_map
from models.popularity import DAYS
from models.promotion import HYBRID
from models.tracking import Child
from models.training import Judged

BINS = 30


def table_rows(judged: Judged) -> list[dict[str, Any]]:
    """The metric table: one row a model and scope; <metric>@<k> with _low and _high, coverage@<k>, users."""
    rows = []
    for model in judged.replicates.models:
        for scope in SCOPES:
            row: dict[str, Any] = {"model": model, "scope": scope, "users": judged.replicates.users[scope]}
            for k in KS:
                for name in NAMES:
                    estimate = judged.replicates.estimate(model, scope, f"{name}@{k}")
                    row[f"{name}@{k}"] = _number(estimate.value)
                    row[f"{name}@{k}_low"], row[f"{name}@{k}_high"] = _number(estimate.low), _number(estimate.high)
                row[f"coverage@{k}"] = _number(judged.coverage.get((model, scope, k), 0.0))
            rows.append(row)
    return rows


def summary(judged: Judged, model: str) -> dict[str, float]:
    """One model's metrics by names MLflow takes, such as all/ndcg_at_10 and all/ndcg_at_10_low."""
    found: dict[str, float] = {}
    for row in table_rows(judged):
        if row["model"] == model:
            numbers = {key: value for key, value in row.items() if key not in ("model", "scope") and value is not None}
            found |= {f"{row['scope']}/{key.replace('@', '_at_')}": float(value) for key, value in numbers.items()}
    return found


def children(judged: Judged, parameters: Parameters, epochs: tuple[Epoch, ...]) -> tuple[Child, ...]:
    """A child run for each model that was judged; that of ALS has its loss curve."""
    said = asdict(parameters.confidence)
    own: dict[str, dict[str, Any]] = {
        "repurchase": {"own": parameters.own},
        "als": asdict(parameters.als) | {f"confidence_{key}": value for key, value in said.items()},
        "popularity": {"days": DAYS, "take": parameters.take},
        HYBRID: asdict(parameters.ranker) | {"sources": ", ".join(SOURCES)},
    }
    curves = {"als": {"loss": [epoch.loss for epoch in epochs], "seconds": [epoch.seconds for epoch in epochs]}}
    return tuple(
        Child(name, own.get(name, {}), summary(judged, name), curves.get(name, {})) for name in judged.replicates.models
    )


def figures(judged: Judged, sources: Sources) -> dict[str, Figure]:
    """Plots by file name."""
    histograms, edges = _histograms(judged)
    return {
        "ndcg_at_10_by_model": metric_by_model(judged.replicates, "ndcg@10"),
        "rfm_segments": segment_map(_segment_counts(sources), GRID),
        "score_distributions": score_distributions(histograms, edges),
    }


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


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(float(value), 6) if np.isfinite(value) else None
