"""Linear item models: their sums, their closed forms, and what they recommend where the right answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from pyspark.sql import SparkSession

from lake.errors import ModelError
from models.candidates import catalogue
from models.item_rest import solve_neighbourhoods
from models.item_sums import ItemSums, Windows, added_sums, factors, item_sums, remove_sums, wants_of
from models.linear import LinearParameters, ease, fit_item_weights, follow
from models.metrics import LONGEST
from models.popularity import popularity
from models.ranking_features import pairs
from models.scorers import LinearScorer
from tests.models.data import AS_OF, block_of, tile_frame

WINDOWS = Windows(days=10, count=2, decay=0.5)


def test_sums_are_those_of_dense_matrices_whatever_the_tasks(spark: SparkSession, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    users, items = 12, 5
    drawn = {(int(u), int(i), int(d)) for u, i, d in random.integers((0, 0, 0), (users, items, 35), (150, 3))}
    tiles = tile_frame(spark, [(f"u{u:02d}", f"i{i}", d, 1) for u, i, d in drawn] + [("u00", "i0", 0, 0)])
    places = spark.createDataFrame([(f"i{i}", i) for i in range(items)], "item_id string, place int")
    wants = wants_of(tiles, AS_OF.timestamp(), places)
    found = item_sums(wants, items, (20.0, 15.0), WINDOWS, str(tmp_path))

    def latest(start: int, half_life: float) -> np.ndarray:
        matrix = np.zeros((users, items))
        for user, item, day in drawn:
            if day > start or start == 0:
                matrix[user, item] = max(matrix[user, item], 0.5 ** ((day - start) / half_life))
        return matrix

    together, before, then = latest(0, 20.0).T @ latest(0, 20.0), np.zeros((items, items)), np.zeros((items, items))
    for number in range(WINDOWS.count):
        start = 10 * (number + 1)
        wanted = np.zeros((users, items))
        for user, item, day in drawn:
            wanted[user, item] = wanted[user, item] or start - 10 < day <= start
        past = latest(start, 15.0)
        before, then = before + 0.5**number * past.T @ past, then + 0.5**number * past.T @ wanted
    for name, expected in (("together", together), ("before", before), ("then", then)):
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-5, err_msg=name)
    again = item_sums(
        wants_of(tiles.repartition(3), AS_OF.timestamp(), places), items, (20.0, 15.0), WINDOWS, str(tmp_path)
    )
    np.testing.assert_array_equal(again.then, found.then)
    np.testing.assert_array_equal(added_sums(str(tmp_path), items).then, found.then)
    few = item_sums(wants, 3, (20.0, 15.0), WINDOWS, str(tmp_path))
    np.testing.assert_array_equal(few.then, found.then[:3, :3])
    remove_sums(str(tmp_path))
    assert not list(tmp_path.rglob("*.npy")), "files of the sums stay"


def test_sums_of_a_window_hold_nothing_of_the_user_s_later_wants() -> None:
    # Wanted within the window alone: it is foretold, and foretells nothing.
    found = [np.zeros((2, 2)) for _ in range(3)]
    users, place, age = np.array([0, 0]), np.array([0, 1]), np.array([15.0, 5.0])
    for matrix, left, right in factors(users, place, age, 2, 2, (10.0, 10.0), Windows(days=10, count=1)):
        found[matrix] += (left @ right).toarray()
    assert found[1][1].tolist() == [0, 0] and found[2][0].tolist() == [0, pytest.approx(0.5**0.5)]


def test_ease_foretells_each_item_best_from_the_others() -> None:
    random = np.random.default_rng(1)
    wants = (random.random((200, 6)) < 0.4).astype(np.float32)
    regularisation = 3.0
    weights = ease(wants.T @ wants, regularisation)
    assert not np.diag(weights).any()
    for item in range(6):
        others = [other for other in range(6) if other != item]
        ridge = wants[:, others].T @ wants[:, others] + regularisation * np.eye(5)
        expected = np.linalg.solve(ridge, wants[:, others].T @ wants[:, item])
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-5)


def test_follow_is_ridge_regression_of_what_came_then_on_what_was_before() -> None:
    random = np.random.default_rng(2)
    past, wanted = random.random((50, 4)), (random.random((50, 4)) < 0.5).astype(float)
    sums = ItemSums(np.zeros((4, 4)), past.T @ past, past.T @ wanted)
    expected = np.linalg.solve(past.T @ past + 2 * np.eye(4), past.T @ wanted)
    np.testing.assert_allclose(follow(sums, 2.0), expected, rtol=1e-4)


def test_next_knows_what_comes_after_what_and_neighbours_know_what_goes_together(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = []
    for user in range(20):
        # First the pram, a month later the bicycle; bread and butter always together.
        rows += [(f"u{user:02d}", "pram", 60 + user % 3, 1), (f"u{user:02d}", "bicycle", 30 + user % 3, 1)]
        rows += [(f"v{user:02d}", item, 20 + user % 3, 1) for item in ("bread", "butter")]
    rows.append(("w", "never wanted", 5, 0))
    tiles = tile_frame(spark, rows)
    popular = popularity(pairs(tiles, AS_OF))
    numbered = catalogue(popular)
    parameters = LinearParameters(regularisation=1.0, windows=Windows(days=40, count=1))
    found = fit_item_weights(tiles, popular, numbered, AS_OF, parameters, str(tmp_path))
    assert len(found.items) == 4 and not len(found.rest)
    after, together = found.next[0], found.neighbours[0]
    place = {numbered.ids[item]: number for number, item in enumerate(found.items)}
    pram, bicycle, bread, butter = (place[name] for name in ("pram", "bicycle", "bread", "butter"))
    assert after[pram, bicycle] > 0.5 and after[bicycle, pram] == pytest.approx(0, abs=1e-6)
    assert together[bread, butter] > 0.5 and together[butter, bread] > 0.5
    assert together[bread, pram] == pytest.approx(0, abs=1e-6)
    # With two dense items only, the others are foretold from them; which two is settled by their ids.
    few = replace(parameters, most_items=2, neighbours=1)
    found = fit_item_weights(tiles, popular, numbered, AS_OF, few, str(tmp_path))
    assert [numbered.ids[item] for item in found.items] == ["bicycle", "bread"]
    assert sorted(numbered.ids[item] for item in found.rest) == ["butter", "pram"]
    butter = [numbered.ids[item] for item in found.rest].index("butter")
    weight = found.neighbours[1][1, butter]
    assert weight == pytest.approx(together[place["bread"], place["butter"]], rel=1e-4)
    assert found.neighbours[1].nnz + found.next[1].nnz <= 4


def test_a_neighbourhood_of_everything_is_ridge_regression_and_a_small_one_takes_the_most_alike() -> None:
    random = np.random.default_rng(4)
    wants = (random.random((300, 7)) < 0.3).astype(np.float32)
    wants[:, 6] = wants[:, 2]
    dense, rest = wants[:, :5], wants[:, 5:]
    products_of, wanted = dense.T @ dense, sp.csr_matrix(rest.T @ dense)
    ridge = products_of + 2 * np.eye(5)
    whole = solve_neighbourhoods(products_of, wanted, 2.0, 8).toarray()
    np.testing.assert_allclose(whole, np.linalg.solve(ridge, dense.T @ rest).T, atol=1e-4)
    one = solve_neighbourhoods(products_of, wanted, 2.0, 1)
    assert one.nnz == 2 and one[1].indices.tolist() == [2]
    assert one[1, 2] == pytest.approx(products_of[2, 2] / ridge[2, 2], rel=1e-5)


def test_linear_candidates_are_the_exact_best_and_items_it_does_not_know_score_zero() -> None:
    random = np.random.default_rng(5)
    users, items, known = 4, 300, np.sort(np.random.default_rng(6).choice(300, 200, replace=False))
    had = sp.random(users, items, density=0.2, random_state=5, format="csr", dtype=np.float32)
    had.sort_indices()
    dense, rest = known[:150], known[150:]
    weights = random.normal(size=(150, 150)).astype(np.float32)
    further = sp.random(150, 50, density=0.3, random_state=7, format="csr", dtype=np.float32)
    scorer = LinearScorer("next", 30, dense, weights, rest, further, power=1.5)
    scores = np.zeros((users, items))
    profile = had.toarray()[:, dense].astype(np.float64) ** 1.5
    scores[:, dense], scores[:, rest] = profile @ weights, profile @ further.toarray()
    seen, block = had.toarray() > 0, block_of(had)
    again, new = ({(int(r), int(c)) for r, c in zip(*found, strict=True)} for found in scorer.best(block))
    for user in range(users):
        order = [item for item in sorted(range(items), key=lambda item: -scores[user, item]) if scores[user, item] > 0]
        assert {item for row, item in again if row == user} == set([i for i in order if seen[user, i]][:LONGEST])
        assert {item for row, item in new if row == user} == set([i for i in order if not seen[user, i]][:30])
    rows, columns = np.nonzero(np.ones((users, items)))
    np.testing.assert_allclose(scorer.at(block, rows, columns), scores[rows, columns], rtol=1e-4, atol=1e-6)
    whole = np.zeros((items, items))
    whole[np.ix_(dense, dense)], whole[np.ix_(dense, rest)] = weights, further.toarray()
    for row, column, found in zip(rows, columns, scorer.strongest(block, rows, columns), strict=True):
        added = had.toarray()[row].astype(np.float64) ** 1.5 * whole[:, column]
        assert found == (np.argmax(added) if added.max() > 0 else -1)


def test_a_user_of_whom_the_model_knows_nothing_is_given_nothing() -> None:
    nothing = sp.csr_matrix((2, 0), dtype=np.float32)
    scorer = LinearScorer("next", 2, np.array([0, 2]), np.ones((2, 2), np.float32), np.zeros(0, np.int64), nothing)
    profile = sp.csr_matrix(([1.0], ([0], [1])), shape=(1, 3), dtype=np.float32)
    assert [len(rows) for rows, _ in scorer.best(block_of(profile))] == [0, 0]


@pytest.mark.parametrize("name", ["most_items", "regularisation", "half_life"])
def test_a_parameter_that_makes_no_sense_is_named(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name}=-1"):
        LinearParameters(**{name: -1}).check()
