"""Whether a challenger becomes the champion: decided on one test window, the same users and candidates for all."""

from __future__ import annotations

from dataclasses import dataclass

from models.bootstrap import Estimate, Replicates

METRIC = "ndcg@10"
HYBRID, CHAMPION = "hybrid", "champion"


@dataclass(frozen=True)
class Decision:
    """promote: move the alias. reason: why, or why not, for people."""

    promote: bool
    reason: str


def decide(found: Replicates, sources: tuple[str, ...], has_champion: bool) -> Decision:
    """Compare the challenger ("hybrid") with the best single source and with the champion.

    It must beat both on all items: the 95 % interval of the paired difference of nDCG@10 lies above zero. And it
    must not be worse than the champion on new items: that interval does not lie below zero. The first model is
    promoted whatever it does, because without one nothing can be published; the reason then says so.
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
    return Decision(True, f"beats the champion; {compared}; {said}")


def _words(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
