"""What a list is worth beyond its hits: new to people, varied, surprising, fair to rare items, like the person's mix.

For a user with the history H and the list L, of which the first k places count; |L| is how many of them are taken:

    novelty@k        = mean over i in L of -log2(share of the users with history who had i)
                       mean self-information: Vargas & Castells 2011, as "expected free discovery" without browsing
    diversity@k      = 1 - mean over pairs i, j in L of cos(content i, content j); 1 less the intra-list similarity of
                       Ziegler et al. 2005. Contents are the vectors of models.content: words, categories and brands.
                       Items of which nothing is known belong to no pair
    serendipity@k    = sum over i <= k of h_i [i is not among the first k of the popularity list] / k
                       useful and not what a primitive recommender gives: Ge, Delgado-Battenfeld & Jannach 2010
    ARP@k            = mean over i in L of the share of the users with history who had i
                       average recommendation popularity: Yin et al. 2012
    popularity bias@k = mean of ARP@k over users / mean over the same users of the mean such share over i in H
                       1: lists are as popular as what people choose. The ratio of the two group averages of
                       Abdollahpouri et al. 2020; a mean of ratios would hang on a few people of rare taste
    miscalibration@k = sum over categories g of p(g) ln(p(g) / ((1 - a) q(g) + a p(g))), a = 0.01
                       Kullback-Leibler divergence of the list's categories q from the history's p, smoothed: Steck
                       2018. An item of the history weighs as many days as it was wanted on, one of the list 1; items
                       without category count on neither side. 0: the very mix of the person

and of all lists together, in models.exposure: coverage and the Gini index. A metric that a user's list says nothing
about (an empty list, no two items with content, no category) is NaN, and left out of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from models.metrics import BEYOND, KS, LONGEST

SMOOTHING = 0.01


@dataclass(frozen=True)
class ItemFacts:
    """What is known of the catalogue's items before the window that is asked about.

    popularity: float64 (items,), the share of the users with history who had the item. content: csr float64 (items,
    tokens), rows of length one or empty. category: csr of zeros and ones (items, categories), at most one a row.
    """

    popularity: np.ndarray
    content: sp.csr_matrix
    category: sp.csr_matrix


def beyond_accuracy(
    best: np.ndarray, hits: np.ndarray, popular: np.ndarray, profile: sp.csr_matrix, items: ItemFacts
) -> np.ndarray:
    """Metrics in the order of BEYOND: float64 (users, len(KS), len(BEYOND)), NaN where a list says nothing.

    best: int (users, LONGEST), positions in the catalogue, best first, -1 for none. hits: bool of that shape.
    popular: the same for the popularity list. profile: csr (users, items), the weight of what each user had.
    """
    values = np.empty((len(best), len(KS), len(BEYOND)))
    information = -np.log2(np.maximum(items.popularity, np.finfo(float).tiny))
    expected = _place_in(best, popular)
    mix = shares(profile @ items.category)
    for place, k in enumerate(KS):
        listed = picked(best[:, :k], len(items.popularity))
        values[:, place] = np.column_stack(
            [
                means(listed, information),
                diversity(listed, items.content),
                (hits[:, :k] & (expected[:, :k] >= k)).sum(axis=1) / k,
                means(listed, items.popularity),
                miscalibration(mix, shares(listed @ items.category)),
            ]
        )
    return values


def picked(best: np.ndarray, items: int) -> sp.csr_matrix:
    """csr of zeros and ones (users, items): what the lists hold. best: as in beyond_accuracy."""
    there = best >= 0
    bounds = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return sp.csr_matrix((np.ones(bounds[-1]), best[there], bounds), shape=(len(best), items))


def means(listed: sp.csr_matrix, of_items: np.ndarray) -> np.ndarray:
    """The mean of a number of the items over each row's items: float64 (users,), NaN for an empty row."""
    return _over(listed.astype(bool).astype(float) @ of_items, np.diff(listed.indptr))


def diversity(listed: sp.csr_matrix, content: sp.csr_matrix) -> np.ndarray:
    """1 less the mean cosine of all pairs of each row's items: float64 (users,), NaN for a row without a pair.

    Of vectors, the sum over all ordered pairs is the squared length of their sum less their own squared lengths.
    """
    lengths = np.asarray(content.multiply(content).sum(axis=1)).ravel()
    known = listed @ (lengths > 0).astype(float)
    total = listed @ content
    similar = np.asarray(total.multiply(total).sum(axis=1)).ravel() - listed @ lengths
    return 1 - _over(similar, known * (known - 1))


def shares(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Rows that sum to one; an empty row stays empty."""
    total = np.asarray(counts.sum(axis=1)).ravel()
    return (sp.diags(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)) @ counts).tocsr()


def miscalibration(history: sp.csr_matrix, listed: sp.csr_matrix) -> np.ndarray:
    """Divergence of the lists' shares of categories from the histories': float64 (users,), NaN where one is empty."""
    rows = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))
    there = history.data > 0
    rows, columns, p = rows[there], history.indices[there], history.data[there]
    q = np.asarray(listed[rows, columns]).ravel() if len(rows) else np.zeros(0)
    terms = p * np.log(p / ((1 - SMOOTHING) * q + SMOOTHING * p))
    found = np.bincount(rows, weights=terms, minlength=history.shape[0])
    known = (np.bincount(rows, minlength=history.shape[0]) > 0) & (np.asarray(listed.sum(axis=1)).ravel() > 0)
    return np.where(known, found, np.nan)


def _place_in(best: np.ndarray, popular: np.ndarray) -> np.ndarray:
    """The place of each item in the other list, from 0; LONGEST when it is not there."""
    same = (best[:, :, None] == popular[:, None, :]) & (best >= 0)[:, :, None]
    return np.where(same.any(axis=2), same.argmax(axis=2), LONGEST)


def _over(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
