"""Duplicates, returns, bots and sessions of any history are what their definitions say, one event after another."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from features import sessions
from features.arrow import PLACE
from features.days import DAY
from features.sessions import RETURN_DAYS, kernel

GAP = 30
MINUTE = 60 * sessions.SECOND
USERS, ITEMS = ("u", "v"), (None, "i", "j")
# So few browsing events of a day, so close, are a bot's here.
MANY, SECONDS = 3, 60.0

Row = dict[str, Any]

# Minutes from just before a midnight; some are half a year later.
TIMES = st.sampled_from((0, 0, 1, 2, 29, 30, 31, 61)) | st.sampled_from(
    (RETURN_DAYS * 1440 - 1, RETURN_DAYS * 1440, RETURN_DAYS * 1440 + 1)
)
EVENTS = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(USERS), "item_id": st.sampled_from(ITEMS), "event_time": TIMES,
        "event_type": st.sampled_from(("view", "purchase", "return")),
        "event_id": st.sampled_from("abcdefghijklmnop"), "_key": st.integers(0, 30),
        "received_at": st.integers(0, 2), "_file": st.sampled_from(("f", "g")), "_row_hash": st.integers(-2, 2),
    }
)  # fmt: skip
LAST = st.sampled_from((None, -200 * 1440, -31, -30, -1))
HISTORIES = st.lists(EVENTS, min_size=1, max_size=30)
EARLIER = st.dictionaries(st.tuples(st.sampled_from(USERS), st.sampled_from(("i", "j"))), LAST)
CONTEXT = st.fixed_dictionaries(dict.fromkeys(USERS, LAST))


def _at(minutes: int | None) -> int | None:
    return None if minutes is None else (1440 * 20_000 - 60 + minutes) * MINUTE


def _table(rows: list[Row]) -> pa.Table:
    text, instant = pa.string(), pa.timestamp("us", "UTC")
    types = {
        "user_id": text, "item_id": text, "event_time": instant, "event_type": text, "event_id": text,
        "_key": pa.int64(), "_id": pa.int64(), "received_at": instant, "_file": text, "_row_hash": pa.int64(),
        "number": pa.int64(), PLACE: pa.int64(), "_earlier_time": instant, "_earlier_id": text,
        "_context_time": instant, "_context_session": text,
    }  # fmt: skip
    return pa.Table.from_pydict(
        {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}, pa.schema(types.items())
    )


def _repeats(rows: list[Row], key: str) -> set[int]:
    first: dict[tuple[str, Any], Row] = {}
    by_receipt = sorted(rows, key=lambda row: (row["received_at"], row["_file"], row["_row_hash"], row["number"]))
    for row in by_receipt:
        first.setdefault((row["user_id"], row[key]), row)
    return {row["number"] for row in rows} - {row["number"] for row in first.values()}


def _returned(row: Row, rows: list[Row]) -> str | None:
    if row["event_type"] != "return":
        return None
    bought = [
        (other["event_time"], other["event_id"])
        for other in rows
        if other["event_type"] == "purchase"
        and (other["user_id"], other["item_id"]) == (row["user_id"], row["item_id"])
        and other["event_time"] <= row["event_time"]
    ]
    when, which = max(bought, default=(row["_earlier_time"], row["_earlier_id"]))
    recent = when is not None and when >= row["event_time"] - RETURN_DAYS * DAY
    return which if recent else None


def _is_bot(row: Row, rows: list[Row]) -> bool:
    day = [
        other["event_time"]
        for other in rows
        if other["user_id"] == row["user_id"]
        and other["event_time"] // DAY == row["event_time"] // DAY
        and other["event_type"] in sessions.BROWSING
    ]
    return len(day) >= MANY and (max(day) - min(day)) / sessions.SECOND / (len(day) - 1) < SECONDS


def _session(row: Row, rows: list[Row]) -> int | str:
    """The instant at which the session began, or the name of the one that goes on."""
    began: int | str = 0
    last, name = row["_context_time"], row["_context_session"]
    for at in sorted(other["event_time"] for other in rows if other["user_id"] == row["user_id"]):
        if last is None or at - last > GAP * MINUTE:
            began = at
        elif name is not None and last == row["_context_time"] and began == 0:
            began = name
        if at == row["event_time"]:
            return began
        last = at
    raise AssertionError("the row is among the rows")


@settings(deadline=None, max_examples=400)
@given(HISTORIES, EARLIER, CONTEXT, st.sampled_from((1, 2, 1000)))
def test_every_row_is_told_as_its_history_says(
    events: list[Row], earlier: dict[tuple[str, str], int | None], context: dict[str, int | None], rows_at_once: int
) -> None:
    events = sorted(events, key=lambda row: row["user_id"])
    rows = []
    for number, event in enumerate(events):
        before, seen = earlier.get((event["user_id"], event["item_id"])), context.get(event["user_id"])
        rows.append(
            event | {"number": number, "event_time": _at(event["event_time"]), "_id": ord(event["event_id"]),
             PLACE: USERS.index(event["user_id"]), "_earlier_time": _at(before),
             "_earlier_id": None if before is None else "earlier", "_context_time": _at(seen),
             "_context_session": None if seen is None else "before"}
        )  # fmt: skip
    again = _repeats(rows, "_key") | _repeats(rows, "event_id")
    fine = [row for row in rows if row["number"] not in again]
    expected = {row["number"]: (_returned(row, fine), _is_bot(row, fine), _session(row, fine)) for row in fine}
    with (
        patch.object(sessions, "BOT_EVENTS_A_DAY", MANY),
        patch.object(sessions, "BOT_SECONDS_BETWEEN", SECONDS),
        patch.object(sessions, "ROWS", rows_at_once),
    ):
        batches = list(kernel(("number",), GAP)(_table(rows).to_batches(max_chunksize=2)))
    told = [row for batch in batches for row in batch.to_pylist()]
    assert {row["number"] for row in told} == set(range(len(rows)))
    assert {row["number"] for row in told if row["is_duplicate"]} == again
    found = {
        row["number"]: (row["returned_event_id"], row["is_bot"], row["_continued"] or row["_opened"])
        for row in told
        if not row["is_duplicate"]
    }
    assert found == expected
