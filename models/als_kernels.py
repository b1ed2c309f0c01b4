"""The compiled inner loops of ALS: conjugate gradient for users, and one pass over the rows for items.

With Gram matrix G of the other side (times the unobserved weight), confidence c and the shift of the objective
(see models/als_train.py) a user's equation is

    (G + reg_u I + sum_i (c_ui - shift) h_i h_i') w_u = sum_i c_ui h_i

and an item's is the same with users and items exchanged. Nothing here forms the matrix on the left: conjugate
gradient only needs its product with a vector (Takács, Pilászy & Tikk 2011, "Applications of the Conjugate
Gradient Method for Implicit Feedback Collaborative Filtering"). G times the vectors of a block of users is one
matrix product, so that the rank² part runs at the speed of BLAS.

Arrays are C-contiguous; vectors and confidences float32, indptr int64, indices int32.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Sums may be taken in any order, so that they vectorise; NaN and infinity keep their meaning.
_compiled = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})

# Users whose vectors are multiplied by G at once; their vectors stay in the first cache levels.
BLOCK = 64
# Users whose rows are kept together by item; their vectors stay in the last cache levels.
CHUNK = 4096
_ZERO = np.float32(0)
# A squared residual below it is solved: what is left is rounding.
_SOLVED = np.float32(1e-20)


@_compiled
def solve_users(indptr, indices, confidence, shift, others, gram, regularisation, vectors, steps):  # type: ignore[no-untyped-def]
    """Improve the users' vectors in place by steps of conjugate gradient, started where they are.

    indptr, indices, confidence: the users' rows (CSR over others). others: (items, rank). gram: (rank, rank), times
    the unobserved weight. regularisation: (users,). vectors: (users, rank).
    """
    users, rank = vectors.shape
    residual = np.empty((BLOCK, rank), np.float32)
    direction = np.empty((BLOCK, rank), np.float32)
    product = np.empty((BLOCK, rank), np.float32)
    squared = np.empty(BLOCK, np.float32)
    for first in range(0, users, BLOCK):
        size = min(BLOCK, users - first)
        np.dot(vectors[first : first + size], gram, product[:size])
        for k in range(size):
            user = first + k
            w, q, r = vectors[user], product[k], residual[k]
            for f in range(rank):
                r[f] = -q[f] - regularisation[user] * w[f]
            for j in range(indptr[user], indptr[user + 1]):
                h = others[indices[j]]
                score = _ZERO
                for f in range(rank):
                    score += h[f] * w[f]
                weight = confidence[j] - (confidence[j] - shift) * score
                for f in range(rank):
                    r[f] += weight * h[f]
            total = _ZERO
            for f in range(rank):
                total += r[f] * r[f]
            squared[k] = total
            direction[k] = r
        for _ in range(steps):
            np.dot(direction[:size], gram, product[:size])
            for k in range(size):
                if squared[k] < _SOLVED:
                    continue
                user = first + k
                w, p, q, r = vectors[user], direction[k], product[k], residual[k]
                for f in range(rank):
                    q[f] += regularisation[user] * p[f]
                for j in range(indptr[user], indptr[user + 1]):
                    h = others[indices[j]]
                    score = _ZERO
                    for f in range(rank):
                        score += h[f] * p[f]
                    weight = (confidence[j] - shift) * score
                    for f in range(rank):
                        q[f] += weight * h[f]
                total = _ZERO
                for f in range(rank):
                    total += p[f] * q[f]
                if total <= _ZERO:
                    continue
                length = squared[k] / total
                new = _ZERO
                for f in range(rank):
                    w[f] += length * p[f]
                    r[f] -= length * q[f]
                    new += r[f] * r[f]
                ratio = new / squared[k]
                squared[k] = new
                for f in range(rank):
                    p[f] = r[f] + ratio * p[f]


@_compiled
def group_by_item(indptr, indices, confidence, items):  # type: ignore[no-untyped-def]
    """The rows once more, in chunks of CHUNK users and within a chunk by item: group_items, group_ends, users, values.

    Group g is the interactions from group_ends[g - 1] to group_ends[g], all of item group_items[g] and of one chunk.
    An item's numbers are then read and written once a group, in order, while the chunk's users stay in the cache:
    1.3 (rank 64) to 2 times (rank 128) as fast as going through the rows.
    """
    count = len(indptr) - 1
    users = np.empty(len(indices), np.int32)
    values = np.empty(len(indices), np.float32)
    place = np.empty(items, np.int64)
    groups = 0
    for first in range(0, count, CHUNK):
        place[:] = 0
        for j in range(indptr[first], indptr[min(first + CHUNK, count)]):
            place[indices[j]] += 1
        for item in range(items):
            groups += place[item] > 0
    group_items = np.empty(groups, np.int32)
    group_ends = np.empty(groups, np.int64)
    group = 0
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count)
        place[:] = 0
        for j in range(indptr[first], indptr[last]):
            place[indices[j]] += 1
        start = indptr[first]
        for item in range(items):
            size = place[item]
            place[item] = start
            if size > 0:
                start += size
                group_items[group] = item
                group_ends[group] = start
                group += 1
        for user in range(first, last):
            for j in range(indptr[user], indptr[user + 1]):
                users[place[indices[j]]] = user
                values[place[indices[j]]] = confidence[j]
                place[indices[j]] += 1
    return group_items, group_ends, users, values


@_compiled
def item_residual(group_items, group_ends, users, values, shift, items, vectors, out):  # type: ignore[no-untyped-def]
    """Add to out, (items, rank), what the rows contribute to the items' residuals; the rows' part of the loss.

    The first four are group_by_item()'s. The loss is that of the vectors as given: sum of c (1 - w.h)² - shift (w.h)².
    """
    rank = vectors.shape[1]
    loss = 0.0
    j = 0
    for group in range(len(group_items)):
        item, end = group_items[group], group_ends[group]
        h, o = items[item], out[item]
        part = _ZERO
        while j < end:
            w = vectors[users[j]]
            score = _ZERO
            for f in range(rank):
                score += h[f] * w[f]
            c = values[j]
            part += c * (1 - score) * (1 - score) - shift * score * score
            weight = c - (c - shift) * score
            for f in range(rank):
                o[f] += weight * w[f]
            j += 1
        loss += float(part)
    return loss


@_compiled
def item_product(group_items, group_ends, users, values, shift, direction, vectors, out):  # type: ignore[no-untyped-def]
    """Add to out, (items, rank), the rows' part of the items' matrices times their directions, (items, rank)."""
    rank = vectors.shape[1]
    j = 0
    for group in range(len(group_items)):
        item, end = group_items[group], group_ends[group]
        p, o = direction[item], out[item]
        while j < end:
            w = vectors[users[j]]
            score = _ZERO
            for f in range(rank):
                score += p[f] * w[f]
            weight = (values[j] - shift) * score
            for f in range(rank):
                o[f] += weight * w[f]
            j += 1
