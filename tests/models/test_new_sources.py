"""Sources that know of visits, of people alike, of cohorts and of what is new, on data whose right answer is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import scipy.sparse as sp
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.errors import ModelError
from lake.tables import EVENTS
from models import covisitation
from models.alike import AlikeParameters, AlikeScorer, fit_alike
from models.candidates import Catalogue, catalogue
from models.content import by_popularity, categories
from models.covisitation import CovisitationParameters, fit_covisitation
from models.scorers import TokenScorer, UserBlock, unit_rows
from models.trending import NEW_DAYS, PRIOR_DAYS, PRIOR_WANTS, arrivals, fit_trending
from tests.models.data import AS_OF, block_of, item_frame, table_frame

ITEMS = ("bread", "butter", "jam", "milk", "tea")


@pytest.fixture(scope="module")
def shelf(spark: SparkSession) -> Catalogue:
    return catalogue(spark.createDataFrame([(item,) for item in ITEMS], "item_id string"))


def _profile(*rows: dict[str, float]) -> sp.csr_matrix:
    return sp.csr_matrix(np.array([[row.get(item, 0.0) for item in ITEMS] for row in rows], dtype=np.float32))


def _visits(spark: SparkSession, *rows: tuple[str, str, str, float]) -> DataFrame:
    """silver.events of (visit, type, item, days before AS_OF), a user a visit."""
    return table_frame(
        spark,
        EVENTS,
        [
            {
                "event_id": str(number), "user_id": f"of {visit}", "session_id": visit, "event_type": kind,
                "item_id": item, "event_time": AS_OF - timedelta(days=days),
                "event_date": (AS_OF - timedelta(days=days)).date(),
            }
            for number, (visit, kind, item, days) in enumerate(rows)
        ],
    )  # fmt: skip


def test_items_of_a_visit_go_together_by_what_was_done_with_them_and_how_long_ago(
    spark: SparkSession, shelf: Catalogue
) -> None:
    events = _visits(
        spark,
        # Today: bread was looked at and bought, butter only looked at.
        ("a", "view", "bread", 0), ("a", "purchase", "bread", 0), ("a", "view", "butter", 0),
        # Ten days ago, a half life: three were bought.
        ("b", "purchase", "bread", 10), ("b", "purchase", "butter", 10), ("b", "purchase", "jam", 10),
        # Alone, without an item of the catalogue beside it, too long ago, of a visit that has no name.
        ("c", "purchase", "milk", 1), ("c", "purchase", "unknown", 1), ("d", "purchase", "milk", 99),
        ("d", "purchase", "tea", 99),
    )  # fmt: skip
    nameless = _visits(spark, ("e", "purchase", "milk", 1), ("e", "purchase", "tea", 1)).withColumn(
        "session_id", F.lit(None).cast("string")
    )
    parameters = CovisitationParameters(days=30, half_life=10.0)
    found = fit_covisitation(events.unionByName(nameless), shelf, AS_OF, parameters).toarray()
    together = np.zeros((5, 5))
    # Of three items each pair has half of the visit's weight, and that is half of today's.
    for one, other in ((0, 1), (0, 2), (1, 2)):
        together[one, other] = together[other, one] = 0.5 / 2
    together[0, 1] += 0.1  # bought, looked at
    together[1, 0] += 0.5  # looked at, bought
    often = np.array([1.5, 1.5, 0.5, 1, 1])
    np.testing.assert_allclose(found, together / np.sqrt(np.outer(often, often)), rtol=1e-5)

    kept = fit_covisitation(events, shelf, AS_OF, replace(parameters, neighbours=1)).toarray()
    # Jam is seldom: what it comes with, it comes with always.
    assert [np.flatnonzero(row).tolist() for row in kept] == [[2], [0], [0], [], []]
    assert not fit_covisitation(events, shelf, AS_OF, replace(parameters, most_items=1)).nnz
    with pytest.raises(ModelError, match="half_life=0"):
        CovisitationParameters(half_life=0).check()


def test_sums_of_pairs_are_the_same_after_they_were_packed_by_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covisitation, "PACK", 2)
    sums = sp.random_array((7, 7), density=0.5, rng=np.random.default_rng(1), format="csr")
    sums.data = np.arange(1, sums.nnz + 1) * 2**33
    rows = list(covisitation._packed(sp.csr_matrix(sums.astype(np.int64)), 3))
    found = np.zeros((7, 7), np.int64)
    for row in rows:
        item, other, units = covisitation._unpacked(row)
        assert 0 < len(item) <= 2 and set(item % 3) == {row.column("slice")[0].as_py()}
        found[item, other] += units
    np.testing.assert_array_equal(found, sums.toarray())


def test_people_alike_lend_what_they_chose_and_nobody_is_their_own_neighbour(
    spark: SparkSession, shelf: Catalogue
) -> None:
    habits = {
        "ada": {"bread": 3.0, "butter": 4.0}, "bob": {"bread": 3.0, "butter": 4.0, "jam": 5.0},
        "cleo": {"milk": 1.0, "tea": 1.0}, "once": {"bread": 1.0},
    }  # fmt: skip
    rows = [(user, item, often) for user, items in habits.items() for item, often in items.items()]
    history = spark.createDataFrame(rows, "user_id string, item_id string, often double")
    parameters = AlikeParameters(neighbours=2, own=0.25, least_items=2)
    pool = fit_alike(history, shelf, parameters)
    assert pool.shape == (3, 5) and np.allclose(sp.linalg.norm(pool, axis=1), 1)
    assert fit_alike(history, shelf, replace(parameters, people=1)).shape == (1, 5)

    scorer = AlikeScorer("alike", 2, pool, parameters)
    block = block_of(_profile(habits["ada"], habits["cleo"], {}))
    scores = scorer.scores(block)
    # Bob alone is near to Ada: she is left out, Cleo has nothing of hers.
    bob = np.array([3, 4, 5, 0, 0]) / np.sqrt(50)
    np.testing.assert_allclose(scores[0], 0.25 * np.array([0.6, 0.8, 0, 0, 0]) + 0.75 * bob, rtol=1e-5)
    np.testing.assert_allclose(scores[1], 0.25 * np.array([0, 0, 0, 1, 1]) / np.sqrt(2), rtol=1e-5)
    assert not scores[2].any()
    again, new = scorer.best(block)
    assert set(zip(*map(np.ndarray.tolist, again), strict=True)) == {(0, 0), (0, 1), (1, 3), (1, 4)}
    assert list(zip(*map(np.ndarray.tolist, new), strict=True)) == [(0, 2)]
    with pytest.raises(ModelError, match="own=2"):
        AlikeParameters(own=2).check()


def test_people_alike_of_one_user_are_those_that_the_batch_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    random = sp.random(40, 30, density=0.3, random_state=3, format="csr", dtype=np.float32)
    scorer = AlikeScorer("alike", 5, unit_rows(random[:25]), AlikeParameters(neighbours=4))
    whole = scorer.scores(block_of(random))
    monkeypatch.setattr("models.alike.BLOCK_NUMBERS", 3 * 25)
    np.testing.assert_allclose(scorer.scores(block_of(random)), whole, rtol=1e-6)
    np.testing.assert_allclose(scorer.scores(block_of(random[7])), whole[[7]], rtol=1e-5, atol=1e-7)


def test_trends_are_of_the_cohort_drawn_to_those_of_all(spark: SparkSession, shelf: Catalogue) -> None:
    rows = [("ada", "jam", 0.0), ("bob", "tea", 7.0), ("cleo", "tea", 14.0)]
    history = spark.createDataFrame(rows, "user_id string, item_id string, x_idle double")
    cohorts = spark.createDataFrame([("ada", "new"), ("bob", "loyal"), ("cleo", None)], "user_id string, cohort string")
    scorer = fit_trending(history, cohorts, shelf, 2)
    everybody = np.array([0, 0, 1.0, 0, 0.75]) / 1.75
    loyal = (np.array([0, 0, 0, 0, 0.5]) + PRIOR_WANTS * everybody) / (0.5 + PRIOR_WANTS)
    assert scorer.cohorts == ("loyal", "new")
    np.testing.assert_allclose(scorer.shares[0], loyal, rtol=1e-5)
    np.testing.assert_allclose(scorer.shares[-1], everybody, rtol=1e-5)

    profile = _profile({"tea": 1.0}, {"bread": 1.0}, {"jam": 1.0})
    names = np.array(["loyal", None, "unheard of"], object)
    block = UserBlock(np.zeros((3, 0), np.float32), profile, profile, profile, names)
    found = scorer.at(block, np.array([0, 1, 2]), np.array([4, 4, 4]))
    np.testing.assert_allclose(found, [loyal[4], everybody[4], everybody[4]], rtol=1e-5)
    pairs = {pair for rows, columns in scorer.best(block) for pair in zip(rows.tolist(), columns.tolist(), strict=True)}
    # What they had, and of the rest what anybody wanted.
    assert pairs == {(0, 4), (0, 2), (1, 0), (1, 2), (1, 4), (2, 2), (2, 4)}


def test_arrivals_are_items_first_wanted_lately_by_their_users_a_day(spark: SparkSession) -> None:
    history = spark.createDataFrame(
        [("u", "new", 3.0), ("v", "new", 1.0), ("u", "old", NEW_DAYS + 1), ("v", "old", 1.0)],
        "user_id string, item_id string, x_age double",
    )
    assert [(row.item_id, row.score) for row in arrivals(history).collect()] == [("new", 2 / (3 + PRIOR_DAYS))]


def test_a_category_lends_its_most_popular_items(spark: SparkSession, shelf: Catalogue) -> None:
    paths = {"bread": ["FOOD", "BAKERY"], "butter": ["FOOD", "DAIRY"], "milk": ["FOOD", "DAIRY"], "tea": None}
    items = item_frame(spark, [{"item_id": item, "category": path} for item, path in paths.items()])
    members = categories(items, shelf)
    scored = by_popularity(members, np.array([5, 1, 9, 3, 7], np.float32))
    scorer = TokenScorer("category", 3, members, scored)
    block = block_of(_profile({"butter": 2.0}, {"jam": 1.0}))
    rows, columns = np.nonzero(np.ones((2, 5)))
    expected = [[0, 0.25, 0, 0.75, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_allclose(scorer.at(block, rows, columns).reshape(2, 5), expected, rtol=1e-5)
    assert [columns.tolist() for _, columns in scorer.best(block)] == [[1], [3]]
    nothing = categories(item_frame(spark, [{"item_id": "tea"}]), shelf)
    assert nothing.shape == (5, 1) and not nothing.nnz
