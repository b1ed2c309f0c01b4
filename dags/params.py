"""What a person may give to a run of any of the Dags."""

from __future__ import annotations

from airflow.sdk import Param

# The schema refuses what is no date when the run is asked for; windows.resolve() the rest, when it starts.
PARAMS = {
    name: Param(
        default=None,
        type=["null", "string"],
        format="date",
        title=title,
        description=f"{what}; leave both empty for the day of the run's partition",
    )
    for name, title, what in (
        ("start", "First day", "first event date (UTC) of a longer window, for a backfill in one job"),
        ("end", "Day after the last", "the event date (UTC) at which that window stops, itself not included"),
    )
}
