"""Beyond hits: against RecTools' figures, against definitions computed one by one, and laws."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr

from models.beyond_accuracy import SMOOTHING, ItemFacts, beyond_accuracy, miscalibration, picked, shares
from models.metrics import BEYOND, KS, LONGEST

NAMED = [f"{name}@{k}" for k in KS for name in BEYOND]


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """What tests/models/reference/rectools_cases.py wrote."""
    return json.loads((Path(__file__).parent / "reference" / "rectools.json").read_text())  # type: ignore[no-any-return]


def _best(lists: list[list[int]]) -> np.ndarray:
    best = np.full((len(lists), LONGEST), -1)
    for user, items in enumerate(lists):
        best[user, : len(items)] = items
    return best


def _csr(lists: list[list[int]], items: int) -> sp.csr_matrix:
    matrix = sp.lil_matrix((len(lists), items))
    for user, had in enumerate(lists):
        matrix[user, had] = 1.0
    return matrix.tocsr()


def _unit(rows: Any) -> sp.csr_matrix:
    matrix = np.asarray(rows, dtype=float)
    return sp.csr_matrix(matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-300))


def _values(
    lists: list[list[int]], items: ItemFacts, *, hits: list[list[int]] | None = None,
    popular: list[list[int]] | None = None, histories: list[list[int]] | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """By metric, one number a list. hits: the places of hits, from 1."""
    none: list[list[int]] = [[] for _ in lists]
    found = beyond_accuracy(
        _best(lists),
        np.array([np.isin(np.arange(1, LONGEST + 1), places) for places in hits or none]),
        _best(popular or none),
        _csr(histories or none, len(items.popularity)),
        items,
    )
    return dict(zip(NAMED, found.reshape(len(lists), -1).T, strict=True))


def _facts(popularity: list[float], content: Any = None, category: list[int | None] | None = None) -> ItemFacts:
    count = len(popularity)
    one_hot = np.zeros((count, 4))
    for item, name in enumerate(category or []):
        if name is not None:
            one_hot[item, name] = 1
    return ItemFacts(
        np.array(popularity), _unit(np.zeros((count, 2)) if content is None else content), sp.csr_matrix(one_hot)
    )


def test_novelty_popularity_and_diversity_are_those_of_rectools_on_random_lists(reference: dict[str, Any]) -> None:
    histories, content = reference["histories"], reference["content"]
    had = np.bincount(np.concatenate(histories), minlength=len(content)) / len(histories)
    none = sp.csr_matrix((len(content), 1))
    found = _values(reference["lists"], ItemFacts(had, _unit(content), none), histories=histories)
    for k in KS:
        for name in ("novelty", "arp", "diversity"):
            expected = reference["expected"][f"{name}@{k}"]
            np.testing.assert_allclose(found[f"{name}@{k}"], expected, rtol=0, atol=1e-9, err_msg=f"{name}@{k}")


def test_items_half_of_the_people_had_are_one_bit_of_news() -> None:
    found = _values([[0, 1], [2]], _facts([0.5, 0.25, 1.0]))
    assert found["novelty@5"].tolist() == [1.5, 0.0] and found["arp@5"].tolist() == [0.375, 1.0]


def test_serendipity_counts_hits_that_the_popularity_list_does_not_show_within_k() -> None:
    items = _facts([0.5] * 12)
    popular = [[8, 9, 10, 11, 7, 0]]
    found = _values([[0, 8, 1, 2]], items, hits=[[1, 2, 3]], popular=popular)
    assert found["serendipity@5"].tolist() == [2 / 5]  # 0 is sixth of the popular ones
    assert found["serendipity@10"].tolist() == [1 / 10]
    assert _values(popular, items, hits=[[1, 2, 3]], popular=popular)["serendipity@20"].tolist() == [0.0]


def test_diversity_leaves_out_items_of_which_nothing_is_known() -> None:
    items = _facts([0.5] * 4, content=[[1, 0], [0, 1], [1, 0], [0, 0]])
    found = _values([[0, 1], [0, 2], [0, 1, 3], [0, 3], [3]], items)["diversity@5"]
    np.testing.assert_allclose(found, [1.0, 0.0, 1.0, np.nan, np.nan])


def test_list_with_the_persons_mix_of_categories_is_calibrated_and_the_opposite_is_not() -> None:
    items = _facts([0.5] * 6, category=[0, 0, 1, 1, 2, None])
    found = _values([[0, 2], [4], [5], [0, 2, 5]], items, histories=[[1, 3], [1], [1], [1, 3]])["miscalibration@5"]
    assert found[0] == pytest.approx(0) and found[1] == pytest.approx(math.log(1 / SMOOTHING))
    assert np.isnan(found[2]) and found[3] == found[0]


def test_user_without_list_says_nothing_but_is_never_surprised() -> None:
    found = {name: values[0] for name, values in _values([[]], _facts([0.5]), histories=[[0]]).items()}
    assert {name for name, value in found.items() if value == 0} == {f"serendipity@{k}" for k in KS}
    assert all(np.isnan(value) for name, value in found.items() if not name.startswith("serendipity"))


@given(st.integers(0, 2**32 - 1))
def test_miscalibration_is_the_divergence_by_its_definition_and_never_negative(seed: int) -> None:
    random = np.random.default_rng(seed)
    history, listed = (shares(sp.csr_matrix(random.integers(0, 3, (8, 5)).astype(float))) for _ in range(2))
    found = miscalibration(history, listed)
    for p, q, value in zip(history.toarray(), listed.toarray(), found, strict=True):
        if p.any() and q.any():
            assert value == pytest.approx(rel_entr(p, (1 - SMOOTHING) * q + SMOOTHING * p).sum(), abs=1e-9)
            assert value >= -1e-12
        else:
            assert np.isnan(value)


@given(st.integers(0, 2**32 - 1))
def test_order_within_the_first_k_changes_nothing_but_the_hits(seed: int) -> None:
    random = np.random.default_rng(seed)
    items = _facts(random.uniform(0.1, 1, 30).tolist(), random.random((30, 3)), random.integers(0, 4, 30).tolist())
    best = random.permutation(30)[:5]
    history = [random.permutation(30)[:4].tolist()]
    one = _values([best.tolist()], items, histories=history)
    other = _values([random.permutation(best).tolist()], items, histories=history)
    for name in NAMED:
        np.testing.assert_allclose(one[name], other[name])


def test_picked_items_are_those_of_the_list() -> None:
    np.testing.assert_array_equal(picked(_best([[2, 0], []])[:, :5], 3).toarray(), [[1, 0, 1], [0, 0, 0]])
