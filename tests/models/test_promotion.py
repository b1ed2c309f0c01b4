"""When the champion changes."""

from __future__ import annotations

import numpy as np
import pytest

from models.bootstrap import Replicates
from models.exposure import Exposure
from models.metrics import TOLD
from models.promotion import Bounds, Decision, decide

MODELS = ("repurchase", "als", "hybrid", "champion")


def _found(**means: tuple[float, float]) -> Replicates:
    """Replicates with the means (all, new) of each model and hardly any noise common to all."""
    noise = np.concatenate([[0.0], np.random.default_rng(0).normal(0, 0.05, 200)])
    own = np.random.default_rng(1).normal(0, 0.001, (201, len(MODELS)))
    by_scope = {}
    for place, scope in enumerate(("all", "new")):
        values = np.array([means.get(model, (0.0, 0.0))[place] for model in MODELS])
        series = values[None, :] + noise[:, None] + own
        by_scope[scope] = np.repeat(series[:, :, None], len(TOLD), axis=2)
    return Replicates(MODELS, {"all": 100, "new": 90}, by_scope)


SOURCES = ("repurchase", "als")


def _decide(
    *, has_champion: bool = True, coverage: tuple[float, float] = (0.5, 0.5), bias: tuple[float, float] = (2.0, 2.0),
    **means: tuple[float, float],
) -> Decision:  # fmt: skip
    """coverage, bias: of the hybrid and of the champion, at 10 on all items."""
    found = _found(**means)
    for model, value in zip(("hybrid", "champion"), bias, strict=True):
        found.means["all"][:, MODELS.index(model), TOLD.index("popularity_bias@10")] = value
    shown = {(model, "all", 10): Exposure(c, 0.9) for model, c in zip(("hybrid", "champion"), coverage, strict=True)}
    return decide(found, shown, SOURCES, Bounds(), has_champion=has_champion)


def test_first_model_that_beats_the_best_source_is_promoted() -> None:
    decision = _decide(repurchase=(0.3, 0), als=(0.2, 0.1), hybrid=(0.35, 0.1), has_champion=False)
    assert decision.promote and "repurchase" in decision.reason


def test_first_model_is_promoted_even_when_it_does_not_beat_the_best_source_and_says_so() -> None:
    decision = _decide(repurchase=(0.3, 0), hybrid=(0.3, 0.1), has_champion=False)
    assert decision.promote and "does not beat repurchase" in decision.reason


def test_challenger_that_beats_both_is_promoted() -> None:
    assert _decide(repurchase=(0.3, 0), champion=(0.33, 0.1), hybrid=(0.35, 0.1)).promote


def test_challenger_that_does_not_beat_the_best_source_stays_challenger() -> None:
    decision = _decide(repurchase=(0.36, 0), champion=(0.3, 0), hybrid=(0.35, 0))
    assert not decision.promote and "does not beat repurchase" in decision.reason


def test_equal_is_not_better() -> None:
    decision = _decide(champion=(0.35, 0.1), hybrid=(0.35, 0.1))
    assert not decision.promote and "does not beat the champion" in decision.reason


def test_better_on_all_but_worse_on_new_is_not_promoted() -> None:
    decision = _decide(champion=(0.33, 0.2), hybrid=(0.35, 0.1))
    assert not decision.promote and "worse than the champion on new items" in decision.reason


@pytest.mark.parametrize(
    ("coverage", "bias", "said"),
    [
        ((0.44, 0.5), (2.0, 2.0), ["coverage@10 0.4400 to the champion's 0.5000, at least 0.9", "promotion_coverage"]),
        ((0.5, 0.5), (2.3, 2.0), ["2.300 to the champion's 2.000, at most 1.1 times", "promotion_popularity_bias"]),
        ((0.1, 0.5), (2.3, 2.0), ["too little of the catalogue", "too much to what is popular"]),
    ],
)
def test_better_but_out_of_bounds_is_not_promoted_and_names_figures_bound_and_setting(
    coverage: tuple[float, float], bias: tuple[float, float], said: list[str]
) -> None:
    decision = _decide(champion=(0.33, 0.1), hybrid=(0.35, 0.1), coverage=coverage, bias=bias)
    assert not decision.promote and all(words in decision.reason for words in said)


def test_at_the_bounds_is_within_them_and_the_reason_has_the_figures() -> None:
    decision = _decide(champion=(0.33, 0.1), hybrid=(0.35, 0.1), coverage=(0.45, 0.5), bias=(2.2, 2.0))
    assert decision.promote and "coverage@10 0.4500 to the champion's 0.5000" in decision.reason


def test_lists_of_which_no_bias_is_known_are_not_held_back_by_it() -> None:
    nan = float("nan")
    assert _decide(champion=(0.33, 0.1), hybrid=(0.35, 0.1), bias=(nan, nan)).promote
