"""Which window a Dag run works on. Pure: no clock, no "latest"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from lake.errors import WindowError
from lake.window import Window, parse_date


def resolve(params: Mapping[str, Any], partition_key: str | None, received: Iterable[Mapping[str, Any]]) -> Window:
    """The window of a run: its params, else what the triggering asset events carry, else the day of its partition.

    `received` are the extras of the asset events that started the run. Several events of one partition may
    wait for the same run: then it works on all days from the first to the last of them.
    Raises WindowError when nothing says a window, or two things say different ones.
    """
    start, end = params.get("start"), params.get("end")
    if start or end:
        if not (start and end):
            raise WindowError(f"got start={start}, end={end}; a window needs both, or neither for a run of one day")
        window = Window(parse_date(start), parse_date(end))
        if partition_key and parse_date(partition_key) != parse_date(key_of(window)):
            raise WindowError(
                f"got the window {window} and the partition {partition_key}, which is not its last day; "
                f"leave the partition empty or make it {key_of(window)}"
            )
        return window
    carried = [
        Window(parse_date(extra["start"]), parse_date(extra["end"]))
        for extra in received
        if "start" in extra and "end" in extra
    ]
    if carried:
        return Window(min(window.start for window in carried), max(window.end for window in carried))
    if partition_key:
        return Window.day(parse_date(partition_key))
    raise WindowError("the run has neither a partition nor a window; give it the partition YYYY-MM-DD or start and end")


def key_of(window: Window) -> str:
    """The daily partition that stands for a window: its last day."""
    return (window.end - timedelta(days=1)).isoformat()
