"""What the serving layer answers, and what it may be asked."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

from lake.errors import ServingError

Rung = Literal["personal", "segment", "stage", "country", "season", "global"]

# Rungs that cohorts have a list for, from the most to the least specific.
COHORTS = ("segment", "stage", "country", "season", "global")

MAX_ID = 256
# The longest list that the settings allow.
MAX_ITEMS = 200


@dataclass(frozen=True)
class Item:
    """One recommended item; `propensity` is the probability with which the policy chose it for this slot."""

    rank: int
    item_id: str
    title: str | None
    score: float | None
    source: str | None
    reason: str | None
    slot_kind: str | None
    propensity: float | None


@dataclass(frozen=True)
class Answer:
    """The list for one user. `rung` says where it came from: personal, or a cohort's list, named by `cohort`.

    `fresh` is whether `valid_until` was still to come when the question was asked.
    """

    user_id: str
    snapshot_id: str
    as_of: date
    model_version: str
    valid_until: datetime
    fresh: bool
    rung: Rung
    cohort: str | None
    items: tuple[Item, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values only: dates as ISO text, items as dictionaries."""
        plain = asdict(self)
        plain["as_of"] = self.as_of.isoformat()
        plain["valid_until"] = self.valid_until.isoformat()
        plain["items"] = [asdict(item) for item in self.items]
        return plain

    def to_json(self) -> str:
        """The answer as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


def check_user_id(user_id: object) -> str:
    """The id, if it can be one: text of 1 to 256 characters without control characters.

    Quotes, path separators and letters of any script are fine. Raises ServingError that shows what was got.
    """
    allowed = f"allowed is text of 1 to {MAX_ID} characters without control characters"
    if not isinstance(user_id, str):
        raise ServingError(f"got a user id of type {type(user_id).__name__}; {allowed}. Pass it as text")
    if not user_id:
        raise ServingError(f"got an empty user id; {allowed}")
    if len(user_id) > MAX_ID:
        raise ServingError(f"got a user id of {len(user_id):,} characters, {user_id[:24]!a}...; {allowed}")
    wrong = next((sign for sign in user_id if unicodedata.category(sign) in ("Cc", "Cs")), None)
    if wrong is not None:
        raise ServingError(f"got the user id {user_id[:24]!a} with the character U+{ord(wrong):04X}; {allowed}")
    return user_id


def check_k(k: object) -> int:
    """How many items are wanted: 1 to 200. Raises ServingError for anything else."""
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_ITEMS:
        raise ServingError(f"got k = {ascii(k)[:40]}; allowed is a whole number from 1 to {MAX_ITEMS}")
    return k
