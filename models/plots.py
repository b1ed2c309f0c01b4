"""Plots of a training, drawn from counts and means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from models.bootstrap import Replicates

matplotlib.use("Agg")

COLOURS = {"all": "#33608c", "new": "#d98032"}


def metric_by_model(found: Replicates, metric: str) -> Figure:
    """One metric of all models, all and new items, with intervals."""
    figure = Figure(figsize=(8, 0.6 * len(found.models) + 1.5), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(found.models))
    for offset, scope in ((-0.2, "all"), (0.2, "new")):
        estimates = [found.estimate(model, scope, metric) for model in found.models]
        values = np.array([estimate.value for estimate in estimates])
        errors = np.array([[e.value - e.low, e.high - e.value] for e in estimates]).T
        axes.barh(
            places + offset, values, 0.38, xerr=np.nan_to_num(errors), label=f"{scope} items", color=COLOURS[scope]
        )
    axes.set_yticks(places, found.models)
    axes.invert_yaxis()
    axes.set_xlabel(f"{metric}, 95 % bootstrap interval")
    axes.legend()
    return figure


def segment_map(counts: Mapping[tuple[int, int], int], names: Sequence[Sequence[str]]) -> Figure:
    """RFM: users by recency score (from 1) and frequency-monetary score (from 1), each cell with its segment.

    names: names[r - 1][fm - 1].
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    grid = np.array([[counts.get((r + 1, fm + 1), 0) for r in range(5)] for fm in range(5)])
    image = axes.imshow(grid, origin="lower", cmap="Blues", aspect="auto")
    for fm in range(5):
        for r in range(5):
            dark = grid[fm, r] > grid.max() / 2
            axes.text(
                r, fm, f"{names[r][fm]}\n{grid[fm, r]:,}", ha="center", va="center", fontsize=8,
                color="white" if dark else "black",
            )  # fmt: skip
    axes.set_xticks(range(5), [str(score) for score in range(1, 6)])
    axes.set_yticks(range(5), [str(score) for score in range(1, 6)])
    axes.set_xlabel("recency score")
    axes.set_ylabel("frequency and monetary score")
    figure.colorbar(image, label="users")
    return figure


def score_distributions(histograms: Mapping[str, Mapping[str, Sequence[int]]], edges: Sequence[float]) -> Figure:
    """Scores of candidates that were wanted and that were not, a panel each for own and new items.

    histograms: by panel, by label, counts of bins. edges: the bins' edges, one more than counts.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    panels = figure.subplots(1, len(histograms), sharex=True, squeeze=False)[0]
    for axes, (panel, by_label) in zip(panels, histograms.items(), strict=True):
        for label, counts in by_label.items():
            total = max(sum(counts), 1)
            axes.stairs(
                [count / total for count in counts], edges, label=f"{label} ({sum(counts):,})", fill=True, alpha=0.5
            )
        axes.set_title(panel)
        axes.set_xlabel("score")
        axes.legend()
    panels[0].set_ylabel("share of candidates")
    return figure
