"""When the champion changes."""

from __future__ import annotations

import numpy as np

from models.bootstrap import Replicates
from models.metrics import VALUES
from models.promotion import decide

MODELS = ("repurchase", "als", "hybrid", "champion")


def _found(**means: tuple[float, float]) -> Replicates:
    """Replicates with the means (all, new) of each model and hardly any noise common to all."""
    noise = np.concatenate([[0.0], np.random.default_rng(0).normal(0, 0.05, 200)])
    own = np.random.default_rng(1).normal(0, 0.001, (201, len(MODELS)))
    by_scope = {}
    for place, scope in enumerate(("all", "new")):
        values = np.array([means.get(model, (0.0, 0.0))[place] for model in MODELS])
        series = values[None, :] + noise[:, None] + own
        by_scope[scope] = np.repeat(series[:, :, None], len(VALUES), axis=2)
    return Replicates(MODELS, {"all": 100, "new": 90}, by_scope)


SOURCES = ("repurchase", "als")


def test_first_model_that_beats_the_best_source_is_promoted() -> None:
    decision = decide(_found(repurchase=(0.3, 0), als=(0.2, 0.1), hybrid=(0.35, 0.1)), SOURCES, has_champion=False)
    assert decision.promote and "repurchase" in decision.reason


def test_first_model_is_promoted_even_when_it_does_not_beat_the_best_source_and_says_so() -> None:
    decision = decide(_found(repurchase=(0.3, 0), hybrid=(0.3, 0.1)), SOURCES, has_champion=False)
    assert decision.promote and "does not beat repurchase" in decision.reason


def test_challenger_that_beats_both_is_promoted() -> None:
    found = _found(repurchase=(0.3, 0), champion=(0.33, 0.1), hybrid=(0.35, 0.1))
    assert decide(found, SOURCES, has_champion=True).promote


def test_challenger_that_does_not_beat_the_best_source_stays_challenger() -> None:
    decision = decide(_found(repurchase=(0.36, 0), champion=(0.3, 0), hybrid=(0.35, 0)), SOURCES, has_champion=True)
    assert not decision.promote and "does not beat repurchase" in decision.reason


def test_equal_is_not_better() -> None:
    decision = decide(_found(champion=(0.35, 0.1), hybrid=(0.35, 0.1)), SOURCES, has_champion=True)
    assert not decision.promote and "does not beat the champion" in decision.reason


def test_better_on_all_but_worse_on_new_is_not_promoted() -> None:
    decision = decide(_found(champion=(0.33, 0.2), hybrid=(0.35, 0.1)), SOURCES, has_champion=True)
    assert not decision.promote and "worse than the champion on new items" in decision.reason
