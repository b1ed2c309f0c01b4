"""Synthetic interactions with groups of like-minded people, skewed popularity and activity, as a Delta table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

GROUPS = 16
FILES = 8


def draw(count: int, users: int, items: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """user, item (int64) and confidence (float32, 1 to 5) of `count` distinct pairs, or as many as could be drawn.

    Popularity falls as rank^-0.8, activity is log-normal; seven of ten draws that meet one of a person's three
    groups are drawn from it.
    """
    random = np.random.default_rng(seed)
    popularity = (np.arange(items) + 30.0) ** -0.8
    activity = random.lognormal(0, 1.1, users)
    group = random.integers(0, GROUPS, items)
    preferred = random.integers(0, GROUPS, (users, 3))
    pairs = np.zeros(0, np.int64)
    while len(pairs) < count:
        size = int((count - len(pairs)) * 1.4) + 1000
        user = random.choice(users, size, p=activity / activity.sum())
        item = random.choice(items, size, p=popularity / popularity.sum())
        wished = preferred[user, random.integers(0, 3, size)]
        led = random.random(size) < 0.7
        for number in range(GROUPS):
            members = np.flatnonzero(group == number)
            drawn = np.flatnonzero(led & (wished == number))
            share = popularity[members] / popularity[members].sum()
            item[drawn] = random.choice(members, len(drawn), p=share)
        before = len(pairs)
        pairs = np.unique(np.concatenate([pairs, user.astype(np.int64) * items + item]))
        if len(pairs) - before < size // 100:
            break
    random.shuffle(pairs)
    pairs = pairs[:count]
    return pairs // items, pairs % items, random.integers(1, 6, len(pairs)).astype(np.float32)


def write(folder: Path, user: np.ndarray, item: np.ndarray, confidence: np.ndarray) -> str:
    """The interactions as a Delta table of FILES files; its address."""
    table = pa.table({"user_id": user, "item_id": item, "confidence": confidence})
    size = -(-table.num_rows // FILES)
    for start in range(0, table.num_rows, size):
        write_deltalake(str(folder), table.slice(start, size), mode="append")
    return str(folder)
