"""What gold.context promises: of a known context, a share between 0 and 1, a finite lift, with events behind it."""

from __future__ import annotations

from expectations.promises import Promise, unique
from expectations.rules import between, in_set, present
from features.context import CONTEXTS

MOST = 1e12

SUITE: tuple[Promise, ...] = (
    present("user_id"),
    present("as_of"),
    present("context"),
    in_set("context", CONTEXTS),
    present("situation"),
    present("key"),
    present("share"),
    between("share", 0, 1 + 1e-9, "share not between 0 and 1", strict_low=True),
    between("lift", 0, MOST, "lift not a finite number above 0", strict_low=True),
    present("evidence"),
    between("evidence", 1, MOST, "a preference without an event behind it"),
    unique("user_id", "context", "situation", "key", "as_of"),
)
