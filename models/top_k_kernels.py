"""The compiled inner loop of exact top-k: a blocked matrix product whose scores never leave the cache.

A tile of scores (users x items) is one matrix product. Of each user's row only those as good as the worst of the best
so far are looked at one by one: a row is read in groups, and a group in which none is costs a few instructions.
Items come in the order of falling length, and no product is larger than that of the two lengths (Cauchy-Schwarz; used
so by Teflioudi et al. 2015, "LEMP"). So once the rest of the items is too short for a user they are done, and once it
is for all users of a block the block is.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Infinities and NaN keep their meaning: a score that is not allowed is minus infinity.
_compiled = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})

# A megabyte of scores: it stays in the second cache level.
USERS, ITEMS = 256, 1024
# No score is lower but minus infinity, which says that an item is not to come.
_LOWEST = np.finfo(np.float32).min
# Room for the rounding of a product in float32, far more than it takes.
_MARGIN = 1 + 1e-4
# A row is read by groups, and a group that holds a better score by parts. The lengths are constants of the compiled
# loops, which then count in vectors.
GROUP, PART = 64, 8


@_compiled
def best_items(vectors, items, lengths, names, k, indptr, indices, best, scores):  # type: ignore[no-untyped-def]
    """Fill best, int32 (users, k), and scores, float32 (users, k), best first; -1 and -inf where there are fewer.

    vectors: float32 (users, rank). items: float32 (items, rank), in the order of falling lengths, float64 (items,).
    names: int32 (items,), the number each item has outside. indptr, indices: CSR of items, by their place in that
    order, that a user is not to get, sorted within a user. Of equal scores the smaller name wins. NaN is never
    among the best.
    """
    users, count = len(vectors), len(items)
    room = max(4 * k, k + 4 * GROUP)
    keys = np.empty((USERS, room), np.int64)
    filled = np.empty(USERS, np.int64)
    worst = np.empty(USERS, np.float32)
    position = np.empty(USERS, np.int64)
    reach = np.empty(USERS, np.float64)
    tile = np.empty(USERS * ITEMS, np.float32)
    for first in range(0, users, USERS):
        size = min(USERS, users - first)
        filled[:] = 0
        worst[:] = _LOWEST
        for u in range(size):
            total = 0.0
            for f in range(vectors.shape[1]):
                total += np.float64(vectors[first + u, f]) ** 2
            reach[u] = np.sqrt(total) * _MARGIN
        position[:size] = indptr[first : first + size]
        for start in range(0, count, ITEMS):
            width = min(ITEMS, count - start)
            open_users = 0
            for u in range(size):
                # Written so that a NaN keeps a user open.
                open_users += not (filled[u] >= k and reach[u] * lengths[start] < worst[u])
            if open_users == 0:
                break
            product = tile[: size * width].reshape(size, width)
            np.dot(vectors[first : first + size], items[start : start + width].T, product)
            bits = product.view(np.int32)
            for u in range(size):
                if filled[u] >= k and reach[u] * lengths[start] < worst[u]:
                    continue
                row, mine = product[u], keys[u]
                end, place = indptr[first + u + 1], position[u]
                while place < end and indices[place] < start + width:
                    row[indices[place] - start] = -np.inf
                    place += 1
                position[u] = place
                n, least = filled[u], worst[u]
                whole = width - width % GROUP
                for group in range(0, whole, GROUP):
                    if not any_in_group(row, group, least):
                        continue
                    for part in range(group, group + GROUP, PART):
                        if _any_in_part(row, part, least):
                            n = _take(row, bits[u], part, part + PART, names[start:], least, mine, n)
                    if n > room - GROUP:
                        n, least = k, keep_largest(mine, n, k)
                n = _take(row, bits[u], whole, width, names[start:], least, mine, n)
                if n > room - GROUP:
                    n, least = k, keep_largest(mine, n, k)
                filled[u], worst[u] = n, least
        for u in range(size):
            n = filled[u]
            if n > k:
                keep_largest(keys[u], n, k)
                n = k
            found = np.sort(keys[u, :n])
            for j in range(k):
                if j < n:
                    best[first + u, j] = item_of(found[n - 1 - j])
                    scores[first + u, j] = score_of(found[n - 1 - j])
                else:
                    best[first + u, j] = -1
                    scores[first + u, j] = -np.inf


@_compiled
def any_in_group(row, first, least):  # type: ignore[no-untyped-def]
    found = np.int32(0)
    for j in range(GROUP):
        found += np.int32(row[first + j] >= least)
    return found > 0


@_compiled
def _any_in_part(row, first, least):  # type: ignore[no-untyped-def]
    found = np.int32(0)
    for j in range(PART):
        found += np.int32(row[first + j] >= least)
    return found > 0


@_compiled
def _take(row, bits, first, end, names, least, keys, n):  # type: ignore[no-untyped-def]
    """Append the keys of the scores that are at least the least; how many there are now."""
    for j in range(first, end):
        if row[j] >= least:
            keys[n] = key_of_bits(bits[j], names[j])
            n += 1
    return n


@_compiled
def key_of_bits(bits, item):  # type: ignore[no-untyped-def]
    """A key of a score and an item: the score's bits, int32, made to sort as the score does, and below them the item,
    the smaller the larger.
    """
    ordered = np.int64(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))
    return (ordered << np.int64(32)) | np.int64(0xFFFFFFFF - item)


@_compiled
def keep_largest(keys, n, k):  # type: ignore[no-untyped-def]
    """Move the k largest of the first n keys to the front; the score of the least of them."""
    ordered = np.partition(keys[:n], n - k)
    keys[:k] = ordered[n - k :]
    return score_of(ordered[n - k])


@_compiled
def item_of(key):  # type: ignore[no-untyped-def]
    return np.int32(0xFFFFFFFF - (key & np.int64(0xFFFFFFFF)))


@_compiled
def score_of(key):  # type: ignore[no-untyped-def]
    high = np.empty(1, np.int32)
    high[0] = np.int32(key >> np.int64(32))
    sign = high[0] >> np.int32(31)
    high[0] = high[0] ^ (sign & np.int32(0x7FFFFFFF))
    return high.view(np.float32)[0]
