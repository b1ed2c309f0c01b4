"""Plots of a training and of benchmarks, drawn from counts and means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from models.bootstrap import Replicates
from models.reliability import Reliability

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


def lift_spread(quantiles: Mapping[str, Sequence[float]]) -> Figure:
    """Lifts over the population by dimension: the median, the middle half and the middle four fifths of them.

    quantiles: of each dimension the lifts that 10, 25, 50, 75 and 90 % are at most.
    """
    figure = Figure(figsize=(8, 0.4 * len(quantiles) + 1.5), layout="constrained")
    axes = figure.subplots()
    for place, (lowest, low, middle, high, highest) in enumerate(quantiles.values()):
        axes.hlines(place, lowest, highest, color=COLOURS["all"], linewidth=1)
        axes.hlines(place, low, high, color=COLOURS["all"], linewidth=6)
        axes.plot(middle, place, "o", color=COLOURS["new"])
    axes.axvline(1.0, color="grey", linestyle=":")
    axes.set_xscale("log")
    axes.set_yticks(range(len(quantiles)), list(quantiles))
    axes.invert_yaxis()
    axes.set_xlabel("share of a user over the population's; 1 is as people are")
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


def wanted_shares(panels: Mapping[str, Mapping[str, tuple[int, int]]]) -> Figure:
    """Of candidates by what was known of them, the share that was wanted; a panel each, a bar a bin.

    panels: by panel, by bin, how many candidates and how many of them were wanted.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (panel, bins) in zip(drawn, panels.items(), strict=True):
        shares = [wanted / max(1, all_) for all_, wanted in bins.values()]
        bars = axes.bar(list(bins), shares, color=COLOURS["all"])
        axes.bar_label(bars, [f"{all_:,}" for all_, _ in bins.values()], fontsize=7)
        axes.set_xlabel(panel)
        axes.tick_params(axis="x", rotation=45)
    drawn[0].set_ylabel("share that was wanted")
    return figure


def reliability_diagram(found: Mapping[str, Reliability]) -> Figure:
    """Observed share against mean foretold probability, a point a bin, and below how many pairs of each were wanted.
    found: by scope.

    After Niculescu-Mizil & Caruana 2005, on logarithmic axes: most candidates are hardly ever wanted.
    """
    figure = Figure(figsize=(7, 7), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    every = [bin for told in found.values() for bin in told.bins]
    # Linear below the least that is not nothing, so that nothing has its place too.
    least = min((value for bin in every for value in (bin.foretold, bin.observed) if value > 0), default=0.1)
    for scaled in (axes.set_xscale, axes.set_yscale):
        scaled("symlog", linthresh=least)
    perfect = [0, *np.geomspace(least, 1, 50)]
    axes.plot(perfect, perfect, color="grey", linewidth=1, label="as foretold")
    for scope, told in found.items():
        foretold = [bin.foretold for bin in told.bins]
        errors = np.array([[bin.observed - bin.low, bin.high - bin.observed] for bin in told.bins]).T
        axes.errorbar(
            foretold, [bin.observed for bin in told.bins], yerr=np.maximum(errors, 0), fmt="o", capsize=3,
            color=COLOURS[scope], label=f"{scope} candidates, 95 % interval; calibration error {told.ece:.4f}",
        )  # fmt: skip
        axes.axhline(told.observed, color=COLOURS[scope], linestyle=":", label=f"of all of them {told.observed:.2%}")
        counts.plot(foretold, [bin.pairs for bin in told.bins], ":", color=COLOURS[scope], label=f"{scope} candidates")
        counts.plot(foretold, [bin.wanted for bin in told.bins], "-o", color=COLOURS[scope], label="of them wanted")
        axes.set_ylabel(f"share that was wanted within {told.days:.0f} days")
    axes.legend()
    counts.set_yscale("symlog")
    counts.set_ylim(bottom=0)
    counts.set_ylabel("pairs in a bin")
    counts.set_xlabel("mean foretold probability")
    counts.legend()
    return figure


def holdout_by_frequency(expected: Sequence[float], actual: Sequence[float], title: str) -> Figure:
    """Mean purchases of a holdout period, expected and actual, by purchases after the first before it: 0, 1, ...

    The last of both stands for so many or more. After the
    plot of conditional expectations in Fader, Hardie & Lee, Marketing Science 24(2), 2005.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    places = range(len(expected))
    axes.plot(places, actual, "-o", color=COLOURS["all"], label="actual")
    axes.plot(places, expected, "--s", color=COLOURS["new"], label="expected")
    axes.set_xticks(places, [*(str(count) for count in places[:-1]), f"{places[-1]}+"])
    axes.set_xlabel("purchases after the first, before the holdout")
    axes.set_ylabel("purchases in the holdout, mean")
    axes.set_title(title)
    axes.legend()
    return figure


def bars(panels: Mapping[str, Mapping[str, float]], *, shares: bool = False) -> Figure:
    """A panel each, named by what it tells, a bar for each of its values. shares: they are parts of one whole."""
    figure = Figure(figsize=(3.2 * len(panels), 3.5), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (panel, values) in zip(drawn, panels.items(), strict=True):
        told = axes.bar(list(values), list(values.values()), color=COLOURS["all"])
        texts = [f"{value:.0%}" if shares else f"{value:,.4g}" for value in values.values()]
        axes.bar_label(told, texts, fontsize=7)
        axes.set_title(panel, fontsize=10)
        axes.set_xticks(range(len(values)), list(values), rotation=45, ha="right", rotation_mode="anchor")
        axes.margins(y=0.1)
    return figure


def preferences(lifts: Mapping[str, Mapping[str, float]]) -> Figure:
    """How much more people do with a category in a situation than anywhere: 1 is as anywhere, 2 twice as much.

    lifts: by situation, by category, each with the same categories.
    """
    names = list(next(iter(lifts.values())))
    figure = Figure(figsize=(2.5 + 0.6 * len(lifts), 2 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    grid = np.array([[lifts[situation][name] for situation in lifts] for name in names])
    # Nothing at all has no logarithm; it is told as a quarter or less, as four times or more is.
    image = axes.imshow(np.log2(np.clip(grid, 0.25, 4)), cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    for row, column in np.ndindex(grid.shape):
        lift = grid[row, column]
        colour = "black" if 0.4 < lift < 2.5 else "white"
        axes.text(column, row, f"{lift:.1f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(lifts)), list(lifts), rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    bar = figure.colorbar(image, ticks=[-2, -1, 0, 1, 2])
    bar.ax.set_yticklabels(["¼", "½", "1", "2", "4"])
    return figure


def shares_by_trait(traits: Mapping[str, Mapping[str, float]], unknown: str) -> Figure:
    """A bar a trait, cut by what is said of users, with the part of whom nothing is said in grey."""
    figure = Figure(figsize=(9, 0.6 * len(traits) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, values in enumerate(traits.values()):
        left = 0.0
        for number, (name, share) in enumerate(values.items()):
            colour = "lightgrey" if name == unknown else matplotlib.colormaps["Pastel1"](number % 9)
            axes.barh(place, share, left=left, color=colour, edgecolor="white")
            if share > 0.05:
                axes.text(left + share / 2, place, f"{name}\n{share:.0%}", ha="center", va="center", fontsize=7)
            left += share
    axes.set_yticks(range(len(traits)), list(traits))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of users")
    return figure
