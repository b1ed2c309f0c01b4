"""Ranking metrics against hand-computed values and against ranx."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.metrics import ACCURACY, KS, LONGEST, accuracy

D = [1 / math.log2(position + 2) for position in range(LONGEST)]
NAMED = [f"{name}@{k}" for k in KS for name in ACCURACY]


def _measure(places: list[int], relevant: int) -> dict[str, float]:
    """Metrics of one list with hits at these places, from 1."""
    hits = np.isin(np.arange(1, LONGEST + 1), places)[None, :]
    return dict(zip(NAMED, accuracy(hits, np.array([relevant])).ravel(), strict=True))


def test_list_without_a_hit_scores_zero() -> None:
    assert set(_measure([], 3).values()) == {0.0}


def test_perfect_but_short_list_is_punished_by_precision_alone() -> None:
    found = _measure([1, 2], 2)
    assert found.pop("precision@5") == 2 / 5 and found.pop("precision@20") == 2 / 20
    assert {name: value for name, value in found.items() if not name.startswith("precision")} == pytest.approx(
        dict.fromkeys((name for name in NAMED if not name.startswith("precision")), 1.0)
    )


def test_hit_at_second_place() -> None:
    found = _measure([2], 2)
    assert found["ndcg@10"] == pytest.approx(D[1] / (D[0] + D[1]))
    assert found["recall@10"] == pytest.approx(1 / 2) and found["map@10"] == pytest.approx((1 / 2) / 2)
    assert found["mrr@5"] == 1 / 2 and found["hit_rate@5"] == 1


def test_hit_beyond_k_does_not_count() -> None:
    found = _measure([7], 1)
    assert {name for name, value in found.items() if value == 0} == {name for name in NAMED if name.endswith("@5")}
    assert found["mrr@10"] == pytest.approx(1 / 7)


def test_more_relevant_items_than_places_can_be_answered_perfectly() -> None:
    many = _measure(list(range(1, 11)), 12)
    assert many["ndcg@10"] == many["recall@10"] == many["precision@10"] == many["map@10"] == pytest.approx(1.0)
    assert many["recall@20"] == pytest.approx(10 / 12)


@pytest.mark.filterwarnings("ignore")
def test_metrics_are_those_of_ranx_on_random_lists() -> None:
    from ranx import Qrels, Run, evaluate

    random = np.random.default_rng(7)
    lists = [random.permutation(60)[: random.integers(1, LONGEST + 1)] for _ in range(300)]
    wanted = [random.permutation(60)[: random.integers(1, 31)] for _ in lists]
    hits = np.zeros((len(lists), LONGEST), dtype=bool)
    for user, best in enumerate(lists):
        hits[user, : len(best)] = np.isin(best, wanted[user])
    sizes = np.array([len(items) for items in wanted])
    ours = dict(zip(NAMED, accuracy(hits, sizes).reshape(len(lists), -1).T, strict=True))
    truth = Qrels({f"{user:03d}": {str(item): 1 for item in items} for user, items in enumerate(wanted)})
    run = Run(
        {f"{user:03d}": {str(item): 1 / (1 + n) for n, item in enumerate(best)} for user, best in enumerate(lists)}
    )
    theirs = evaluate(truth, run, NAMED, return_mean=False, threads=1)
    for k in KS:
        # ranx divides recall and MAP by all relevant items, also by those for which a list of k has no room.
        for name in ("recall", "map"):
            theirs[f"{name}@{k}"] = theirs[f"{name}@{k}"] * sizes / np.minimum(sizes, k)
    for name in NAMED:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-9, err_msg=name)
