"""Scorers come back from rows as they went."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp

from lake.errors import ModelError
from models.alike import AlikeParameters, AlikeScorer
from models.kept_scorers import CLASSES, PLAIN, rows_of, scorers_of
from models.scorers import (
    DueScorer,
    FactorScorer,
    LinearScorer,
    PopularityScorer,
    Scorer,
    TokenScorer,
    UserBlock,
    unit_rows,
)
from models.trending import TrendScorer

USERS, ITEMS, RANK = 7, 40, 3
RANDOM = np.random.default_rng(5)


def _sparse(rows: int, columns: int) -> sp.csr_matrix:
    return sp.random(rows, columns, 0.3, "csr", np.float32, RANDOM)


def _numbers(*shape: int) -> np.ndarray:
    return RANDOM.random(shape, np.float32)


SCORERS: list[Scorer] = [
    DueScorer("due_again"),
    FactorScorer("als", 5, _numbers(ITEMS, RANK)),
    LinearScorer(
        "next", 5, np.arange(30), _numbers(30, 30), np.arange(30, 38), _sparse(30, 8), power=1.5
    ),
    AlikeScorer("alike", 5, unit_rows(_sparse(12, ITEMS)), AlikeParameters(neighbours=4, own=0.3)),
    TokenScorer("content", 5, _sparse(ITEMS, 9), _sparse(ITEMS, 9)),
    PopularityScorer("popularity", 5, _numbers(ITEMS)),
    TrendScorer("trending", 5, ("Champions", "Lost"), _numbers(3, ITEMS)),
    # A small catalogue has no further items: arrays without a number in them.
    LinearScorer("neighbours", 5, np.arange(6), _numbers(6, 6), np.arange(0), sp.csr_matrix((6, 0), dtype=np.float32)),
]  # fmt: skip


def _block() -> UserBlock:
    profile = _sparse(USERS, ITEMS)
    cohorts = np.array(["Lost", None, "Champions", "Lost", "of no name", None, "Lost"], object)
    return UserBlock(_numbers(USERS, RANK), profile, profile, profile, cohorts)


@pytest.mark.parametrize("chunk_bytes", [64, 2**20])
def test_a_scorer_nominates_and_scores_the_same_after_it_was_kept(chunk_bytes: int) -> None:
    rows = rows_of(SCORERS, chunk_bytes)
    assert len({(row["source"], row["part"], row["chunk"]) for row in rows}) == len(rows)
    assert max(len(row["data"] or b"") for row in rows) <= chunk_bytes
    found, block = scorers_of(reversed(rows)), _block()
    assert [(type(scorer), scorer.name) for scorer in found] == [(type(scorer), scorer.name) for scorer in SCORERS]
    pairs = np.divmod(np.arange(USERS * ITEMS), ITEMS)
    for before, after in zip(SCORERS, found, strict=True):
        np.testing.assert_array_equal(after.at(block, *pairs), before.at(block, *pairs))
        block.kept.clear()
        for one, other in zip(after.best(block), before.best(block), strict=True):
            np.testing.assert_array_equal(one, other)
        block.kept.clear()


def test_every_kind_that_is_known_is_tried_here() -> None:
    assert {type(scorer).__name__ for scorer in SCORERS} | {AlikeParameters.__name__} == set(CLASSES)


def test_what_is_not_whole_is_refused_by_the_name_of_the_source() -> None:
    rows = rows_of(SCORERS, 64)
    piece = next(row for row in rows if row["source"] == "alike" and row["part"] == "people.data" and row["chunk"] == 1)
    with pytest.raises(ModelError, match=r"the source 'alike' is not whole.*fitted anew"):
        scorers_of([row for row in rows if row is not piece])
    with pytest.raises(ModelError, match=r"the source 'als' is not whole"):
        scorers_of([row for row in rows if (row["source"], row["part"]) != ("als", PLAIN)])
    strange = {"class": "Popen", "fields": {}}
    other = [row | {"about": json.dumps(strange)} if row["part"] == PLAIN else row for row in rows]
    with pytest.raises(ModelError, match="Popen"):
        scorers_of(other)
