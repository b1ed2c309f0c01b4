"""What gold.due_again and gold.cycles promise: days in their order, cycles of a year at most, a date after the last."""

from __future__ import annotations

from expectations.promises import Promise, unique
from expectations.rules import between, in_set, not_after, present
from features.due_again import CYCLE_DAYS, DIMENSIONS

MOST = 1e12

SUITE: tuple[Promise, ...] = (
    present("user_id"),
    present("as_of"),
    present("dimension"),
    in_set("dimension", DIMENSIONS),
    present("key"),
    present("days"),
    between("days", 1, CYCLE_DAYS),
    present("first_bought"),
    present("last_bought"),
    not_after("first_bought", "last_bought", "a first day after the last"),
    not_after("last_bought", "as_of", "a purchase after as_of"),
    between("own_gap", 1, CYCLE_DAYS),
    present("cycle"),
    between("cycle", 1, CYCLE_DAYS),
    present("due"),
    not_after("last_bought", "due", "due before it was bought"),
    unique("user_id", "dimension", "key", "as_of"),
)

CYCLES_SUITE: tuple[Promise, ...] = (
    present("as_of"),
    present("dimension"),
    in_set("dimension", DIMENSIONS),
    present("key"),
    present("users"),
    between("returning", 1, MOST, "nobody who came back"),
    not_after("returning", "users", "more who came back than bought"),
    present("gaps"),
    not_after("returning", "gaps", "fewer gaps than users who came back"),
    present("cycle"),
    between("cycle", 1, CYCLE_DAYS),
    unique("dimension", "key", "as_of"),
)
