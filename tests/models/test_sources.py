"""Sources of candidates on data whose right answer is known."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from models.als import AlsParameters, Factors, fit_als, item_matrix
from models.candidates import Catalogue, candidates, catalogue, profiles
from models.ceilings import ceilings
from models.content import content
from models.metrics import LONGEST
from models.popularity import popularity, popularity_by
from models.ranking_features import pairs
from models.repurchase import repurchase, usual_gaps
from models.scorers import DueScorer, FactorScorer, PopularityScorer, Scorer, TokenScorer
from tests.models.data import AS_OF, block_of, tile_frame

SIZE = 10


@pytest.fixture(scope="module")
def checkerboard(spark: SparkSession) -> DataFrame:
    """Even users like even items and odd users odd ones; everybody's item of the same number is withheld."""
    rows = [
        (f"u{user:02d}", f"i{item:02d}", 1.0, AS_OF - timedelta(days=item + 1), 1.0)
        for user in range(SIZE)
        for item in range(SIZE)
        if user % 2 == item % 2 and user != item
    ]
    schema = "user_id string, item_id string, confidence double, last_time timestamp, weight double"
    return spark.createDataFrame(rows, schema).withColumns({"often": F.col("weight"), "due": F.col("weight")}).persist()


@pytest.fixture(scope="module")
def board(checkerboard: DataFrame) -> Catalogue:
    return catalogue(checkerboard.select("item_id").distinct())


@pytest.fixture(scope="module")
def factors(checkerboard: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Factors:
    parameters = AlsParameters(rank=4, epochs=5, regularisation=0.01, alpha=10.0)
    return fit_als(checkerboard, parameters, str(tmp_path_factory.mktemp("als")))


def _candidates(
    history: DataFrame, users: DataFrame, board: Catalogue, factors: Factors, scorers: list[Scorer]
) -> DataFrame:
    profile = profiles(history.withColumn("own", F.lit(False)), board).join(users, "user_id", "left_semi")
    block = profile.join(factors.users, "user_id", "left").withColumn("cohort", F.lit(None).cast("string"))
    return candidates(block, board, scorers)


def _first_new(found: DataFrame, name: str) -> dict[str, str]:
    return {row.user_id: row.item_id for row in found.where(f"NOT seen AND {name}_rank = 1").collect()}


def test_als_finds_the_withheld_diagonal_of_a_checkerboard(
    checkerboard: DataFrame, board: Catalogue, factors: Factors
) -> None:
    scorers: list[Scorer] = [FactorScorer("als", 1, item_matrix(factors, board.ids))]
    found = _candidates(checkerboard, checkerboard.select("user_id"), board, factors, scorers)
    diagonal = {f"u{number:02d}": f"i{number:02d}" for number in range(SIZE)}
    assert _first_new(found, "als") == diagonal


def test_one_user_gets_what_the_batch_gives_them(checkerboard: DataFrame, board: Catalogue, factors: Factors) -> None:
    scorers: list[Scorer] = [FactorScorer("als", 3, item_matrix(factors, board.ids))]
    everybody = _candidates(checkerboard, checkerboard.select("user_id"), board, factors, scorers)
    one = checkerboard.select("user_id").where("user_id = 'u03'").distinct()
    alone = _candidates(checkerboard, one, board, factors, scorers)
    in_batch = everybody.where("user_id = 'u03'").orderBy("item_id").toPandas()
    by_itself = alone.orderBy("item_id").toPandas()
    # A product of one row and one of many add up in another order: the last bit may differ.
    pd.testing.assert_frame_equal(in_batch, by_itself, rtol=1e-5)


def test_candidates_are_the_exact_best_of_every_scorer_and_the_own_items() -> None:
    random = np.random.default_rng(5)
    users, items = 4, 300
    had = sp.random(users, items, density=0.2, random_state=5, format="csr", dtype=np.float32)
    had.sort_indices()
    seen = had.toarray() > 0
    matrix, vectors = (random.normal(size=(size, 3)).astype(np.float32) for size in (items, users))
    counts = random.integers(0, 50, items).astype(np.float32)
    block = block_of(had, vectors)
    for scorer, scores in (
        (FactorScorer("als", 30, matrix), vectors @ matrix.T),
        (PopularityScorer("popularity", 30, counts), np.broadcast_to(counts, (users, items))),
    ):
        again, new = ({pair for pair in zip(*pairs, strict=True)} for pairs in scorer.best(block))
        for user in range(users):
            order = sorted(range(items), key=lambda item: (-scores[user, item], item))
            assert {item for row, item in again if row == user} == set([i for i in order if seen[user, i]][:LONGEST])
            assert {item for row, item in new if row == user} == set([i for i in order if not seen[user, i]][:30])
        rows, columns = np.nonzero(seen)
        np.testing.assert_allclose(scorer.at(block, rows, columns), scores[rows, columns], rtol=1e-5)


def test_candidates_carry_every_scorers_score_and_their_rank_among_seen_and_among_new(
    spark: SparkSession, checkerboard: DataFrame, board: Catalogue
) -> None:
    matrix = np.random.default_rng(5).normal(size=(SIZE, 3)).astype(np.float32)
    vector = [1.0, -0.5, 0.25]
    vectors = spark.createDataFrame([("u00", vector)], "user_id string, vector array<float>")
    profile = profiles(checkerboard.withColumn("own", F.col("item_id") == "i04"), board).join(vectors, "user_id")
    profile = profile.withColumn("cohort", F.lit(None).cast("string"))
    counts = np.arange(SIZE, dtype=np.float32)
    scorers: list[Scorer] = [FactorScorer("als", 50, matrix), PopularityScorer("popularity", 2, counts)]
    found = {row.item_id: row for row in candidates(profile, board, scorers).collect()}
    scores = matrix @ np.asarray(vector, dtype=np.float32)
    assert {item for item, row in found.items() if row.seen} == {"i02", "i04", "i06", "i08"}
    best = sorted((int(item[1:]) for item, row in found.items() if not row.seen), key=lambda item: -scores[item])
    assert [found[f"i{item:02d}"].als_rank for item in best] == list(range(1, SIZE - 4 + 1))
    assert found["i09"].popularity_rank == 1 and found["i08"].popularity_rank == 1
    assert found["i03"].als_score == pytest.approx(float(scores[3]))


def test_a_user_without_a_vector_scores_zero(checkerboard: DataFrame, board: Catalogue, factors: Factors) -> None:
    nobody = Factors(factors.users.where("user_id <> 'u01'"), factors.items)
    scorers: list[Scorer] = [FactorScorer("als", 1, item_matrix(factors, board.ids))]
    found = _candidates(checkerboard, checkerboard.select("user_id"), board, nobody, scorers)
    assert found.where("user_id = 'u01' AND als_score <> 0").isEmpty()
    assert not found.where("user_id = 'u02' AND als_score <> 0").isEmpty()


def test_popularity_counts_users_of_the_window_and_keeps_what_was_before(spark: SparkSession) -> None:
    tiles = tile_frame(
        spark,
        [("u", "new", 1, 1), ("u", "new", 2, 1), ("v", "old", 40, 9), ("w", "old", 50, 9), ("v", "both", 40, 1),
         ("u", "both", 29, 1), ("u", "only viewed", 1, 0)],
    )  # fmt: skip
    found = {row.item_id: (row.score, row.older) for row in popularity(pairs(tiles, AS_OF)).collect()}
    assert found == {"new": (1, 1), "both": (1, 2), "old": (0, 2)}


def test_popularity_of_cohorts_counts_only_their_users(spark: SparkSession) -> None:
    wanted = pairs(tile_frame(spark, [("u", "a", 1, 1), ("v", "b", 1, 1)]), AS_OF)
    cohorts = spark.createDataFrame(
        [("u", "country", "GB"), ("v", "country", None), ("v", "segment", "Loyal")],
        "user_id string, rung string, cohort string",
    )
    found = {(row.rung, row.cohort, row.item_id) for row in popularity_by(wanted, cohorts).collect()}
    assert found == {("country", "GB", "a"), ("segment", "Loyal", "b")}


def test_ceilings_are_the_shares_of_the_relevant_that_sources_nominate(spark: SparkSession) -> None:
    truth = spark.createDataFrame(
        [("u", ["a", "b", "c"], ["b", "c"]), ("v", ["d"], [])],
        "user_id string, relevant array<string>, relevant_new array<string>",
    )
    scored = spark.createDataFrame(
        [("u", "a", 1.0, 1.0, 1), ("u", "b", 0.0, 1.0, 9), ("u", "x", 0.0, None, 1)],
        "user_id string, item_id string, seen double, label double, rank int",
    )
    found = ceilings(scored, truth, {"first": F.col("rank") == 1, "union": F.lit(True)})
    assert found == {("first", "all"): 1 / 4, ("first", "new"): 0, ("union", "all"): 2 / 4, ("union", "new"): 1 / 2}


def test_repurchase_orders_by_days_then_by_what_others_buy_now(spark: SparkSession) -> None:
    history = spark.createDataFrame(
        [("u", "often", 3), ("u", "once", 1), ("u", "once, popular", 1)], "user_id string, item_id string, days long"
    ).withColumns({"x_idle": F.lit(1.0), "x_age": F.lit(9.0)})
    popular = spark.createDataFrame([("once, popular", 5.0)], "item_id string, score double")
    gaps = spark.createDataFrame([("often", 4.0)], "item_id string, i_gap double")
    rows = repurchase(history, popular, gaps).orderBy("repurchase_rank").collect()
    assert [row.item_id for row in rows] == ["often", "once, popular", "once"]


def test_what_is_overdue_by_a_persons_own_cycle_sinks_below_what_is_due(spark: SparkSession) -> None:
    # What u wants every ten days is late by cycles; what u wants every hundred is not due yet.
    weeks = [("u", "weekly", days, 1) for days in (130, 120, 110, 100, 90)]
    months = [("u", "monthly", days, 1) for days in (330, 230, 130, 30)]
    history = pairs(tile_frame(spark, weeks + months), AS_OF)
    found = {row.item_id: row for row in repurchase(history, popularity(history), usual_gaps(history)).collect()}
    weekly, monthly = found["weekly"], found["monthly"]
    assert (weekly.repurchase_rank, monthly.repurchase_rank) == (1, 2)
    assert monthly.x_due_again < 1 and monthly.due_again_score == monthly.repurchase_score
    assert weekly.due_again_score == pytest.approx(weekly.repurchase_score / weekly.x_due_again**0.5)
    assert weekly.due_again_score < monthly.due_again_score


def test_due_again_nominates_what_is_most_due_and_scores_nothing_that_is_new() -> None:
    rng = np.random.default_rng(7)
    due = sp.random(6, 90, 0.5, "csr", np.float32, rng)
    block, scorer = block_of(due), DueScorer("due_again")
    ((rows, columns),) = scorer.best(block)
    dense = due.toarray()
    for user in range(6):
        best = np.argsort(-dense[user], kind="stable")[:LONGEST]
        assert set(columns[rows == user]) == set(best)
    pairs_of = np.divmod(np.arange(dense.size), 90)
    np.testing.assert_array_equal(scorer.at(block, *pairs_of), dense.ravel())
    nobody = block_of(sp.csr_matrix((2, 90), dtype=np.float32))
    assert scorer.at(nobody, np.array([1]), np.array([5])).tolist() == [0] and not len(scorer.best(nobody)[0][0])


def test_content_relates_items_by_words_category_and_brand(spark: SparkSession) -> None:
    schema = "item_id string, title string, category array<string>, brand string"
    rows: list[tuple[str, str | None, list[str] | None, str | None]] = [
        ("a", "Red mug", ["HOME"], None),
        ("b", "Blue MUG", ["HOME"], "X"),
        ("c", "Шампунь", ["BATH"], None),
        ("d", None, None, None),
    ]
    rows += [(f"e{number:02d}", f"Other {number}", None, None) for number in range(40)]
    items = spark.createDataFrame(rows, schema)
    numbered = catalogue(items.select("item_id"))
    matrix = content(items, numbered)
    products = (matrix @ matrix.T).toarray()
    assert products[0, 1] == pytest.approx(1.0) and products[0, 2] == 0 and products[3].sum() == 0
    # A word of nearly every item tells nothing.
    assert products[5, 6] == 0
    profile = sp.csr_matrix(([0.5, 2.0], ([0, 0], [0, 2])), shape=(1, len(numbered.ids)), dtype=np.float32)
    scorer = TokenScorer("content", 3, matrix, matrix)
    # What has no token that another has too says nothing, and nothing is said of it.
    found = scorer.at(block_of(profile), np.array([0, 0, 0]), np.array([1, 2, 3]))
    np.testing.assert_allclose(found, [1.0, 0.0, 0.0], rtol=1e-5)
    assert [columns.tolist() for _, columns in scorer.best(block_of(profile))] == [[0], [1]]
