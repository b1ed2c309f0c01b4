"""What gold.engagement promises: one row a user with a tile before as_of, counts that fit together, a known stage."""

from __future__ import annotations

from expectations.promises import Promise, unique
from expectations.rfm import LONGEST_DAYS
from expectations.rules import between, in_set, not_after, present
from features.engagement import STAGES, WINDOWS

MOST_EVENTS = 1e12
# ln(29): every one of the last 28 days, and none of the 28 before.
MOST_TREND = 3.4

SUITE: tuple[Promise, ...] = (
    present("user_id"),
    present("as_of"),
    present("age"),
    between("age", 1, LONGEST_DAYS, "age not whole days from 1"),
    present("idle"),
    between("idle", 1, LONGEST_DAYS, "idle not whole days from 1"),
    not_after("idle", "age", "a last active day before the first"),
    present("active_days"),
    not_after("active_days", "age", "more active days than days"),
    *(present(f"active_{length}") for length in WINDOWS),
    *(between(f"active_{length}", 0, length) for length in WINDOWS),
    not_after(f"active_{max(WINDOWS)}", "active_days", "more active days lately than ever"),
    present("events"),
    not_after("active_days", "events", "an active day without an event"),
    between("depth", 1, MOST_EVENTS, "depth not a finite number from 1"),
    between("quick_exit_share", 0, 1),
    present("trend"),
    between("trend", -MOST_TREND, MOST_TREND, "trend not a possible number"),
    between("clumpiness", 0, 1),
    present("stage"),
    in_set("stage", STAGES),
    unique("user_id", "as_of"),
)
