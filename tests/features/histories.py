"""Random histories of a small shop, as events a day knows them, and what is corrected later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

FIRST = date(2026, 4, 1)
DAYS = 6
USERS = ("anna", "ben", "cleo")
ITEMS = ("tea", "pan", "knife")
KINDS = ("view", "purchase", "purchase", "return", "like", "hide", "impression")

# (day it happened, user, item, kind, cents, hour, device, country, days it comes late, days until it is taken back)
Line = tuple[int, str, str, str, int, int, str, str | None, int, int | None]

LINES = st.tuples(
    st.integers(0, DAYS - 1), st.sampled_from(USERS), st.sampled_from(ITEMS), st.sampled_from(KINDS),
    st.integers(1, 9999), st.integers(0, 23), st.sampled_from(["web", "unknown", "tv"]),
    st.sampled_from([None, "DE", "FR"]), st.sampled_from([0, 0, 0, 1, 3]), st.sampled_from([None, None, None, 1, 2]),
)  # fmt: skip
HISTORIES = st.lists(LINES, min_size=1, max_size=14)


def day(number: int) -> date:
    """The date of a day of the history."""
    return FIRST + timedelta(days=number)


def known(history: list[Line], night: int) -> list[dict[str, Any]]:
    """The events of all days up to a night's, as cleaning has them then: late ones in, duplicates and such out."""
    rows = []
    for number, (happened, user, item, kind, cents, hour, device, country, late, until) in enumerate(history):
        arrived = happened + late
        if arrived > night or (until is not None and arrived + until <= night):
            continue
        when = datetime(FIRST.year, FIRST.month, FIRST.day, hour, tzinfo=UTC) + timedelta(days=happened)
        rows.append(
            {
                "event_id": f"event-{number}", "event_time": when, "user_id": user, "item_id": item,
                "event_type": kind, "amount": cents / 100, "device": device, "country": country,
                "order_id": f"order-{number // 2}", "session_id": f"session-{number}",
                "returned_event_id": "some purchase" if kind == "return" and cents % 2 else None,
            }
        )  # fmt: skip
    return rows
