"""Exact top-k beside a sort of all scores."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake.errors import ModelError
from models.top_k import best_of, score_pairs, similar_items, top_k


def sorted_best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """By a stable sort of everything; minus infinity is no item."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(scores, order, axis=1)
    best = np.where(np.isfinite(found), order, -1)
    wider = k - best.shape[1]
    if wider > 0:
        best = np.pad(best, ((0, 0), (0, wider)), constant_values=-1)
        found = np.pad(found, ((0, 0), (0, wider)), constant_values=-np.inf)
    return best, found


@settings(max_examples=60, deadline=None)
@given(
    users=st.integers(0, 300), items=st.integers(1, 2500), k=st.integers(1, 120), rank=st.integers(1, 5),
    levels=st.sampled_from([2, 3, 50]), density=st.sampled_from([0.0, 0.02, 0.9]), seed=st.integers(0, 1000),
)  # fmt: skip
def test_equals_a_sort_of_all_scores_with_ties_to_the_smaller_item(
    users: int, items: int, k: int, rank: int, levels: int, density: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    # Whole numbers: sums are exact in any order, and few levels make many ties.
    vectors = random.integers(-levels, levels + 1, (users, rank)).astype(np.float32)
    others = random.integers(-levels, levels + 1, (items, rank)).astype(np.float32)
    seen = sp.random(users, items, density, "csr", random_state=seed) if users else sp.csr_matrix((0, items))
    seen.sort_indices()
    scores = vectors @ others.T
    scores[seen.nonzero()] = -np.inf
    best, found = best_of(vectors, others, k, seen.indptr, seen.indices)
    expected_best, expected = sorted_best(scores, k)
    np.testing.assert_array_equal(best, expected_best)
    np.testing.assert_array_equal(found, expected)


def test_who_has_had_nearly_all_of_a_large_catalogue_gets_the_rest_beside_others() -> None:
    random = np.random.default_rng(1)
    items = random.standard_normal((100_020, 2)).astype(np.float32)
    left = np.sort(random.choice(len(items), 20, replace=False))
    had = np.setdiff1d(np.arange(len(items)), left)
    vectors = np.ones((300, 2), np.float32)
    indptr = np.where(np.arange(301) > 150, len(had), 0)
    best, _ = best_of(vectors, items, 25, indptr, had)
    assert sorted(best[150][:20]) == left.tolist() and (best[150][20:] == -1).all()
    expected = np.argsort(-(items @ vectors[0]), kind="stable")[:25]
    assert (best[149] == expected).all() and (best[151] == expected).all()


def test_negative_scores_and_scores_of_zero_keep_their_order() -> None:
    best, scores = best_of(np.ones((1, 1), np.float32), np.array([[-3], [0], [-0.5], [2]], np.float32), 4)
    assert best.tolist() == [[3, 1, 2, 0]] and scores.tolist() == [[2, 0, -0.5, -3]]


def test_a_score_that_is_not_a_number_is_never_among_the_best() -> None:
    best, _ = best_of(np.ones((1, 1), np.float32), np.array([[np.nan], [1]], np.float32), 2)
    assert best.tolist() == [[1, -1]]


def test_spark_gives_each_user_what_they_have_not_seen_and_may_get(spark: SparkSession) -> None:
    items = np.array([[5], [4], [3], [2], [1]], np.float32)
    users = spark.createDataFrame(
        [
            ("likes", [1.0], [0, 2]),
            ("dislikes", [-1.0], []),
            ("has all", [1.0], [4, 3, 2, 1, 0]),
            ("unknown", None, [0]),
            ("not asked", [1.0], None),
        ],
        "user_id string, vector array<float>, seen array<int>",
    )
    allowed = np.array([True, False, True, True, True])
    found = {row.user_id: row for row in top_k(users, items, 2, allowed=allowed).collect()}
    assert {name: row["items"] for name, row in found.items()} == {
        "likes": [3, 4], "dislikes": [4, 3], "has all": [], "unknown": [], "not asked": [0, 2],
    }  # fmt: skip
    assert found["likes"].scores == [2.0, 1.0]


def test_one_user_alone_gets_what_the_batch_gives_them(spark: SparkSession) -> None:
    random = np.random.default_rng(2)
    items = random.standard_normal((500, 8)).astype(np.float32)
    rows = [(user, [float(value) for value in random.standard_normal(8)]) for user in range(300)]
    users = spark.createDataFrame(rows, "user_id long, vector array<float>")
    everybody = {row.user_id: row["items"] for row in top_k(users, items, 10).collect()}
    alone = top_k(users.where("user_id = 7"), items, 10).collect()
    assert [row["items"] for row in alone] == [everybody[7]]


def test_nothing_may_come_and_lists_are_empty(spark: SparkSession) -> None:
    users = spark.createDataFrame([("u", [1.0])], "user_id string, vector array<float>")
    found = top_k(users, np.ones((3, 1), np.float32), 2, allowed=np.zeros(3, bool)).collect()
    assert found[0]["items"] == [] and found[0].scores == []


@pytest.mark.parametrize("k", [0, -1, 10_001])
def test_a_wrong_length_is_refused_with_what_is_allowed(spark: SparkSession, k: int) -> None:
    users = spark.createDataFrame([("u", [1.0])], "user_id string, vector array<float>")
    with pytest.raises(ModelError, match=f"got k={k}; allowed: 1 to 10000"):
        top_k(users, np.ones((3, 1), np.float32), k)


def test_pairs_are_scored_in_the_order_they_are_given(spark: SparkSession) -> None:
    items = np.array([[1, 0], [0, 2], [3, 3]], np.float32)
    users = spark.createDataFrame(
        [("u", [1.0, 10.0], [2, 0]), ("v", [0.5, 0.0], []), ("w", [2.0, 0.0], [2])],
        "user_id string, vector array<float>, candidates array<int>",
    )
    found = {row.user_id: row.scores for row in score_pairs(users, items).collect()}
    assert found == {"u": [33.0, 1.0], "v": [], "w": [6.0]}


def test_items_are_like_those_that_point_the_same_way_and_never_themselves() -> None:
    items = np.array([[2, 0], [1, 0.1], [0, 5], [0, 0]], np.float32)
    best, scores = similar_items(items, 2)
    assert best[0, 0] == 1 and best[1, 0] == 0 and best[2, 0] == 1
    assert best[3].tolist() == [-1, -1]
    assert scores[0, 0] == pytest.approx(1 / np.sqrt(1.01), rel=1e-5)
