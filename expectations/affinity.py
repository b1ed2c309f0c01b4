"""What gold.affinity promises: one positive, decayed score a user, dimension and key; shares between 0 and 1."""

from __future__ import annotations

from expectations.promises import Promise, unique
from expectations.rules import between, in_set, present
from features.affinity import DIMENSIONS

SUITE: tuple[Promise, ...] = (
    present("user_id"),
    present("as_of"),
    present("dimension"),
    in_set("dimension", DIMENSIONS),
    present("key"),
    present("score"),
    between("score", 0, 1e12, "score not a finite number above 0", strict_low=True),
    present("share"),
    between("share", 0, 1 + 1e-9, "share not between 0 and 1", strict_low=True),
    between("lift", 0, 1e12, "lift not a finite number above 0", strict_low=True),
    between("recent_score", -1e12, 1e12, "recent score not a finite number"),
    between("recent_share", 0, 1 + 1e-9, "recent share not between 0 and 1"),
    present("evidence"),
    between("evidence", 1, 1e12, "a score without an event behind it"),
    unique("user_id", "dimension", "key", "as_of"),
)
