"""What gold.rfm promises: one row a user with a purchase before as_of, scored 1 to 5, in one of eleven segments; and
gold.rfm_windows: one a user and window with an order in it.
"""

from __future__ import annotations

from expectations.events import MOST_MONEY
from expectations.promises import Promise, unique
from expectations.rules import between, in_set, present
from features.facts import CALENDAR_DAYS
from features.segments import SEGMENTS

LONGEST_DAYS = 366 * 200

COMMON: tuple[Promise, ...] = (
    present("user_id"),
    present("as_of"),
    present("recency"),
    between("recency", 0, LONGEST_DAYS, "recency not whole days from 0"),
    present("frequency"),
    between("frequency", 1, 1e9, "frequency below one order"),
    present("monetary"),
    between("monetary", 0, MOST_MONEY * 1e5, "monetary not a finite number from 0"),
    *(present(score) for score in ("r", "f", "m")),
    *(between(score, 1, 5) for score in ("r", "f", "m")),
)

SUITE: tuple[Promise, ...] = (
    *COMMON,
    present("segment"),
    in_set("segment", SEGMENTS),
    unique("user_id", "as_of"),
)

WINDOWS_SUITE: tuple[Promise, ...] = (
    *COMMON,
    present("window_days"),
    between("window_days", 1, CALENDAR_DAYS, "a window longer than what is kept"),
    unique("user_id", "window_days", "as_of"),
)
