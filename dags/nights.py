"""From which night on the scheduler starts runs by itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from lake.window import parse_date

FIRST_NIGHT = "ATTUNE_FIRST_NIGHT"


def first_night() -> datetime | None:
    """Midnight UTC of the date in ATTUNE_FIRST_NIGHT; None, the next midnight that comes, when it is not set.

    Runs that are asked for (by hand, by a backfill) may be of any day. Raises WindowError when it is no date.
    """
    given = os.environ.get(FIRST_NIGHT)
    if not given:
        return None
    day = parse_date(given)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
