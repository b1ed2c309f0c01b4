"""All that is held about a person, as of a date: what someone who asks "what do you know about me?" is answered.

Reads by Arrow: no Spark, no Java. Every table whose contract has a user_id is looked through, so that none is
forgotten; what the sources' files say word by word (bronze) is not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.dataset as ds
from deltalake import DeltaTable

from features.affinity import HALF_LIFE_DAYS, RECENT_HALF_LIFE_DAYS
from features.consent import PURPOSE
from features.context import CONTEXT_DAYS
from features.demographics import traits
from lake import log
from lake.errors import AttuneError
from lake.settings import Settings
from lake.tables import (
    AFFINITY,
    CONSENTS,
    CONTEXT,
    DUE_AGAIN,
    ENGAGEMENT,
    EVENTS,
    INTENT,
    REJECTED,
    RFM,
    RFM_WINDOWS,
    TABLES,
    USERS,
    VALUE,
    Table,
)
from serving.answer import Answer, check_user_id
from serving.bucket import user_bucket
from serving.pointer import read_log
from serving.reader import SnapshotReader

SHOWN_KEYS, SHOWN_SEARCHES, SHOWN_ITEMS = 5, 5, 5


@dataclass(frozen=True)
class Profile:
    """What is held about one user, from before as_of. None or empty: nothing is.

    stated: the row of silver.users. consent: [granted (None: no word), at, missing: what no word means].
    activity: [events, days, first, last, types, devices, countries, searches: the latest texts]. engagement, buying,
    value: the latest rows of gold.engagement, gold.rfm and gold.value. intent: the row of gold.intent of the night of
    the first. windows: the latest rows of gold.rfm_windows, the shortest first. leanings: by dimension the strongest
    [key, score, share, lift, recent_score, recent_share, evidence]. contexts: the newest rows of gold.context, as
    features.context.standing, the strongest of each situation first. due: the newest rows of gold.due_again, by date.
    who: features.demographics.traits. tonight: the list that readers give. rows: by table, of any date.
    """

    user_id: str
    as_of: date
    stated: dict[str, Any] | None
    who: dict[str, str]
    consent: dict[str, Any]
    activity: dict[str, Any] | None
    engagement: dict[str, Any] | None
    intent: dict[str, Any] | None
    buying: dict[str, Any] | None
    windows: list[dict[str, Any]]
    value: dict[str, Any] | None
    leanings: dict[str, list[dict[str, Any]]]
    contexts: list[dict[str, Any]]
    due: list[dict[str, Any]]
    tonight: Answer | None
    rows: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"tonight": self.tonight.to_dict() if self.tonight else None}


def profile(settings: Settings, user: str, as_of: date | None = None) -> Profile:
    """Look a person up. as_of: by default the day the features are of, else today.

    Raises ServingError for what cannot be an id, AttuneError when no table has a row of the person.
    """
    user_id = check_user_id(user)
    tables = [table for table in TABLES.values() if "user_id" in table.names]
    rows = {table.name: _count(settings, table, user_id) for table in tables}
    rows[REJECTED.name] = _count_rejected(settings, user_id)
    rows = {name: count for name, count in rows.items() if count}
    if not rows:
        looked = ", ".join(sorted(table.name for table in tables))
        raise AttuneError(
            f"nothing is held about {user_id!r} in {settings.lake}: no row of {looked}. "
            "Ids are those of silver.events, as the sources write them"
        )
    end = as_of or log.last_date(settings, ENGAGEMENT.name, "as_of", date.max) or datetime.now(UTC).date()
    stated = _stated(settings, user_id, end)
    return Profile(
        user_id=user_id,
        as_of=end,
        stated=stated,
        who=traits(stated, end),
        consent=_consent(settings, user_id, end),
        activity=_activity(settings, user_id, end),
        engagement=_latest(settings, ENGAGEMENT, user_id, end),
        intent=_intent(settings, user_id, end),
        buying=_latest(settings, RFM, user_id, end),
        windows=_windows(settings, user_id, end),
        value=_latest(settings, VALUE, user_id, end),
        leanings=_leanings(settings, user_id, end),
        contexts=_contexts(settings, user_id, end),
        due=_due(settings, user_id, end),
        tonight=_tonight(settings, user_id, end),
        rows=rows,
    )


def _found(settings: Settings, table: Table, user_id: str) -> tuple[ds.Dataset, ds.Expression] | None:
    """A table and the condition for the user's rows; None where it was never written."""
    if not log.exists(settings, table.name):
        return None
    condition = ds.field("user_id") == user_id
    if "user_bucket" in table.names:
        condition &= ds.field("user_bucket") == user_bucket(user_id)
    return log.dataset_of(DeltaTable(log.address(settings, table.name))), condition


def _count(settings: Settings, table: Table, user_id: str) -> int:
    found = _found(settings, table, user_id)
    return int(found[0].count_rows(filter=found[1])) if found else 0


def _count_rejected(settings: Settings, user_id: str) -> int:
    """Rejected lines are kept as JSON, of whatever columns: those count that hold the id as a text."""
    if not log.exists(settings, REJECTED.name):
        return 0
    dataset, said = log.dataset_of(DeltaTable(log.address(settings, REJECTED.name))), json.dumps(user_id)
    found = 0
    for batch in dataset.to_batches(columns=["row"]):
        found += sum(said in row or json.dumps(user_id, ensure_ascii=False) in row for row in batch["row"].to_pylist())
    return found


def _rows(settings: Settings, table: Table, user_id: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    found = _found(settings, table, user_id)
    if found is None:
        return []
    rows: list[dict[str, Any]] = found[0].to_table(filter=found[1], columns=columns).to_pylist()
    return rows


def _stated(settings: Settings, user_id: str, as_of: date) -> dict[str, Any] | None:
    rows = [row for row in _rows(settings, USERS, user_id) if row["updated_at"].date() < as_of]
    if not rows:
        return None
    maps = {name: dict(rows[0][name] or {}) for name in ("preferences", "attributes")}
    return {name: rows[0][name] for name in ("country", "birth_year", "personalisation_level", "source")} | maps


def _consent(settings: Settings, user_id: str, as_of: date) -> dict[str, Any]:
    """The latest word, a withdrawal before a grant of the same instant: as features/consent.py has it."""
    said = [
        (row["at"], not row["granted"])
        for row in _rows(settings, CONSENTS, user_id)
        if row["purpose"] == PURPOSE and row["at"] is not None and row["at"].date() < as_of
    ]
    at, withdrawn = max(said, default=(None, None))
    return {"granted": None if withdrawn is None else not withdrawn, "at": at, "missing": settings.missing_consent}


def _activity(settings: Settings, user_id: str, as_of: date) -> dict[str, Any] | None:
    columns = ["event_time", "event_date", "event_type", "device", "country", "query"]
    events = [row for row in _rows(settings, EVENTS, user_id, columns) if row["event_date"] < as_of]
    if not events:
        return None
    events.sort(key=lambda row: row["event_time"])
    days = [row["event_date"] for row in events]

    def counts(name: str) -> dict[str, int]:
        return dict(Counter(row[name] for row in events if row[name] is not None).most_common())

    searches = list(dict.fromkeys(row["query"] for row in reversed(events) if row["query"]))[:SHOWN_SEARCHES]
    return {
        "events": len(events), "days": len(set(days)), "first": days[0], "last": days[-1],
        "types": counts("event_type"), "devices": counts("device"), "countries": counts("country"),
        "searches": searches,
    }  # fmt: skip


def _latest(settings: Settings, table: Table, user_id: str, as_of: date) -> dict[str, Any] | None:
    """The user's newest row by then."""
    rows = [row for row in _rows(settings, table, user_id) if row["as_of"] <= as_of]
    return max(rows, key=lambda row: row["as_of"], default=None)


def _windows(settings: Settings, user_id: str, as_of: date) -> list[dict[str, Any]]:
    """Those of the night of the newest row of gold.rfm: in later ones the user may have had no order in any."""
    newest = _latest(settings, RFM, user_id, as_of)
    rows = [row for row in _rows(settings, RFM_WINDOWS, user_id) if newest and row["as_of"] == newest["as_of"]]
    return sorted(rows, key=lambda row: row["window_days"])


def _intent(settings: Settings, user_id: str, as_of: date) -> dict[str, Any] | None:
    """The user's row of the newest night by then: who has none of that night has nothing in mind."""
    night = log.last_date(settings, ENGAGEMENT.name, "as_of", as_of + timedelta(days=1))
    found = _latest(settings, INTENT, user_id, as_of)
    return found if found and found["as_of"] == night else None


def _leanings(settings: Settings, user_id: str, as_of: date) -> dict[str, list[dict[str, Any]]]:
    """As features.affinity.standing: the newest rows by then, faded; the strongest of each dimension."""
    rows = [row for row in _rows(settings, AFFINITY, user_id) if row["as_of"] <= as_of]
    newest = max((row["as_of"] for row in rows), default=as_of)
    fading = {"score": HALF_LIFE_DAYS, "recent_score": RECENT_HALF_LIFE_DAYS}
    faded = {name: 0.5 ** ((as_of - newest).days / half_life) for name, half_life in fading.items()}
    found: dict[str, list[dict[str, Any]]] = {}
    standing = (row for row in rows if row["as_of"] == newest)
    for row in sorted(standing, key=lambda row: (row["dimension"], -row["score"], row["key"])):
        # An Attune before lifts and recent scores has no columns for them.
        entry = {name: row.get(name) for name in ("key", "share", "lift", "recent_share", "evidence")}
        entry |= {name: row[name] * left for name, left in faded.items() if row.get(name) is not None}
        found.setdefault(row["dimension"], []).append(entry)
    return {dimension: entries[:SHOWN_KEYS] for dimension, entries in found.items()}


def _contexts(settings: Settings, user_id: str, as_of: date) -> list[dict[str, Any]]:
    """As features.context.standing: the newest rows by then, none where they are of days too long ago."""
    since = as_of - timedelta(days=CONTEXT_DAYS)
    rows = [row for row in _rows(settings, CONTEXT, user_id) if since < row["as_of"] <= as_of]
    newest = max((row["as_of"] for row in rows), default=as_of)
    told = ("as_of", "context", "situation", "key", "share", "lift", "evidence")
    standing = ({name: row[name] for name in told} for row in rows if row["as_of"] == newest)
    return sorted(standing, key=lambda row: (row["context"], row["situation"], -row["share"], row["key"]))


def _due(settings: Settings, user_id: str, as_of: date) -> list[dict[str, Any]]:
    """As features.due_again.standing: the newest rows by then."""
    rows = [row for row in _rows(settings, DUE_AGAIN, user_id) if row["as_of"] <= as_of]
    newest = max((row["as_of"] for row in rows), default=as_of)
    standing = (row for row in rows if row["as_of"] == newest)
    return sorted(standing, key=lambda row: (row["due"], row["dimension"], row["key"]))


def _tonight(settings: Settings, user_id: str, as_of: date) -> Answer | None:
    """The published list; none where readers have none of their own for the person, or one of a later day."""
    root = str(settings.lake)
    if read_log(root, recent=True).pointer is None:
        return None
    answer = SnapshotReader(root).recommend(user_id, SHOWN_ITEMS)
    return answer if answer.rung == "personal" and answer.as_of <= as_of else None
