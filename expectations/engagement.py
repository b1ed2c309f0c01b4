"""What gold.engagement promises: one row a user with a tile before as_of, counts that fit together, a known stage."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.promises import Promise, unique
from expectations.rfm import LONGEST_DAYS
from expectations.rules import between, in_set, is_true, not_after, present
from features.engagement import STAGES, WINDOWS
from features.habits import DONE

MOST_EVENTS = 1e12
# ln(29): every one of the last 28 days, and none of the 28 before.
MOST_TREND = 3.4


def with_checks(frame: DataFrame) -> DataFrame:
    """Adds one flag for each promise about the kinds of events."""
    used, ignored = (F.coalesce(name, F.array().cast("array<string>")) for name in ("used", "ignored"))
    known = F.forall(F.concat(used, ignored), lambda kind: F.coalesce(kind.isin(*DONE), F.lit(False)))
    return frame.withColumns({"kinds_known": known, "kinds_apart": F.size(F.array_intersect(used, ignored)) == 0})


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
    between("back_and_forth", 0, MOST_EVENTS, "rapid returns not a finite number from 0"),
    present("trend"),
    between("trend", -MOST_TREND, MOST_TREND, "trend not a possible number"),
    between("clumpiness", 0, 1),
    present("stage"),
    in_set("stage", STAGES),
    is_true("kinds_known", "a kind of event that is none"),
    is_true("kinds_apart", "a kind of event that is both used and passed by"),
    unique("user_id", "as_of"),
)
