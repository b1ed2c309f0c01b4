"""Ranking metrics per user, never sampled, on arrays; models.per_user brings them to Spark, models.bootstrap takes
means with intervals.

For a user with the relevant set R (n items) and a list L, with h_i = 1 when the i-th item of L is in R:

    DCG@k       = sum over i <= k of h_i / log2(i + 1)
    nDCG@k      = DCG@k / sum over i <= min(k, n) of 1 / log2(i + 1)      (Järvelin & Kekäläinen 2002)
    recall@k    = sum of h_i / min(k, n)     min, so that a perfect list scores 1 when n > k
    precision@k = sum of h_i / k             a short list is punished
    MAP@k       = sum over i <= k of h_i * precision@i / min(k, n)
    MRR@k       = 1 / the first i <= k with h_i = 1, else 0               (Voorhees 1999)
    hit rate@k  = 1 when any h_i is 1

A user without a list scores zero. Relevance is binary. What a list is worth beyond hits: models.beyond_accuracy.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

KS = (5, 10, 20)
LONGEST = max(KS)
ACCURACY = ("ndcg", "recall", "precision", "map", "mrr", "hit_rate")
BEYOND = ("novelty", "diversity", "serendipity", "arp", "miscalibration")
NAMES = (*ACCURACY, *BEYOND)
SCOPES = ("all", "new")
# Judged apart, for cold start: users without history, and items first wanted shortly before the window.
STRANGERS, ARRIVALS = "strangers", "arrivals"
# What is relevant, by scope: columns of what models.per_user is asked.
RELEVANT = {"all": "relevant", "new": "relevant_new", STRANGERS: "relevant_strangers", ARRIVALS: "relevant_arrivals"}

# What is measured of each user and model, and what is told of it: the ratio of two means takes the place of the last.
VALUES = tuple(f"{name}@{k}" for k in KS for name in NAMES)
PROFILE_POPULARITY = "profile_popularity"
MEASURED = (*VALUES, PROFILE_POPULARITY)
BIAS = "popularity_bias"
TOLD_NAMES = (*NAMES, BIAS)
TOLD = (*VALUES, *(f"{BIAS}@{k}" for k in KS))


def accuracy(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Metrics in the order of ACCURACY: float64 (users, len(KS), len(ACCURACY)).

    hits: bool (users, LONGEST), false where a list is shorter. relevant: int (users,), the size of the relevant set,
    at least one.
    """
    places = np.arange(1, LONGEST + 1)
    gains = np.cumsum(hits / np.log2(places + 1), axis=1)
    ideal = np.cumsum(1 / np.log2(places + 1))
    found = np.cumsum(hits, axis=1)
    precisions = np.cumsum(hits * found / places, axis=1)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    values = np.empty((len(hits), len(KS), len(ACCURACY)))
    for place, k in enumerate(KS):
        reachable = np.minimum(relevant, k)
        at = k - 1
        values[:, place] = np.column_stack(
            [
                gains[:, at] / ideal[reachable - 1],
                found[:, at] / reachable,
                found[:, at] / k,
                precisions[:, at] / reachable,
                np.where(first <= k, 1 / first, 0.0),
                found[:, at] > 0,
            ]
        )
    return values


def ndcg_of(best: np.ndarray, relevant: sp.csr_matrix) -> np.ndarray:
    """nDCG@k of each user, of lists of any length: float64 (users,).

    best: int (users, k), best first, -1 for none. relevant: csr (users, items), each row with one item at least.
    """
    discounts = 1 / np.log2(np.arange(2, best.shape[1] + 2))
    rows = np.repeat(np.arange(len(best)), best.shape[1])
    hits = np.asarray(relevant[rows, np.maximum(best.ravel(), 0)]).reshape(best.shape).astype(bool) & (best >= 0)
    ideal = np.cumsum(discounts)[np.minimum(np.diff(relevant.indptr), best.shape[1]) - 1]
    return np.asarray((hits * discounts).sum(axis=1) / ideal)
