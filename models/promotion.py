"""Whether a challenger becomes the champion: decided on one test window, the same users and candidates for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.bootstrap import Estimate, Replicates
from models.exposure import Exposure

METRIC = "ndcg@10"
BIAS_METRIC = "popularity_bias@10"
COVERAGE_K = 10
HYBRID, CHAMPION = "hybrid", "champion"


@dataclass(frozen=True)
class Decision:
    """promote: move the alias. reason: why, or why not, for people."""

    promote: bool
    reason: str


@dataclass(frozen=True)
class Bounds:
    """What winning may cost, in lists of ten of all items. coverage: least share of the champion's coverage.
    popularity_bias: most multiple of the champion's popularity bias. See docs/decisions/promotion.md.
    """

    coverage: float = 0.9
    popularity_bias: float = 1.1


def decide(
    found: Replicates, shown: Mapping[tuple[str, str, int], Exposure], sources: tuple[str, ...], bounds: Bounds,
    *, has_champion: bool,
) -> Decision:  # fmt: skip
    """Compare the challenger ("hybrid") with the best single source and with the champion.

    It must beat both on all items: the 95 % interval of the paired difference of nDCG@10 lies above zero. It must not
    be worse than the champion on new items: that interval does not lie below zero. And its lists must keep within the
    bounds. The first model is promoted whatever it does, because without one nothing can be published; the reason then
    says so. shown: as models.exposure gives it.
    """
    best = max(sources, key=lambda name: found.estimate(name, "all", METRIC).value)
    against_source = found.difference(HYBRID, best, "all", METRIC)
    beats_source = against_source.low > 0
    said = f"{METRIC} of the hybrid less that of {best}, the best single source: {_words(against_source)}"
    if not has_champion:
        if beats_source:
            return Decision(True, f"first model; {said}")
        return Decision(True, f"first model, promoted so that there is one, though it does not beat {best}: {said}")
    if not beats_source:
        return Decision(False, f"not promoted: it does not beat {best}; {said}")
    against_champion = found.difference(HYBRID, CHAMPION, "all", METRIC)
    on_new = found.difference(HYBRID, CHAMPION, "new", METRIC)
    compared = f"{METRIC} less the champion's: {_words(against_champion)} on all items, {_words(on_new)} on new items"
    if not against_champion.low > 0:
        return Decision(False, f"not promoted: it does not beat the champion; {compared}")
    if on_new.high < 0:
        return Decision(False, f"not promoted: it is worse than the champion on new items; {compared}")
    broken, kept = _within(found, shown, bounds)
    if broken:
        return Decision(False, f"not promoted: {'; '.join(broken)}; {compared}")
    return Decision(True, f"beats the champion; {compared}; {said}; {'; '.join(kept)}")


def _within(
    found: Replicates, shown: Mapping[tuple[str, str, int], Exposure], bounds: Bounds
) -> tuple[list[str], list[str]]:
    """What is out of bounds, and what is within them, in words."""
    nothing = Exposure(0.0, 0.0)
    new, old = (shown.get((name, "all", COVERAGE_K), nothing).coverage for name in (HYBRID, CHAMPION))
    covered = f"coverage@{COVERAGE_K} {new:.4f} to the champion's {old:.4f}"
    leans, leaned = (found.estimate(name, "all", BIAS_METRIC).value for name in (HYBRID, CHAMPION))
    leaning = f"{BIAS_METRIC} {leans:.3f} to the champion's {leaned:.3f}"
    checks = (
        (
            new >= bounds.coverage * old,
            f"it shows too little of the catalogue: {covered}, at least {bounds.coverage:g} of that is asked "
            "(setting promotion_coverage)",
            covered,
        ),
        (
            # Not so written that lists of which nothing is known would fail.
            not leans > bounds.popularity_bias * leaned,
            f"it leans too much to what is popular: {leaning}, at most {bounds.popularity_bias:g} times that is "
            "allowed (setting promotion_popularity_bias)",
            leaning,
        ),
    )
    return [wrong for held, wrong, _ in checks if not held], [right for held, _, right in checks if held]


def _words(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
