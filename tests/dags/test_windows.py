"""Which window a Dag run works on."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.windows import key_of, resolve
from lake.errors import WindowError
from lake.window import Window

NOTHING: dict[str, str | None] = {"start": None, "end": None}


def test_a_partition_is_the_window_of_its_day() -> None:
    assert resolve(NOTHING, "2017-12-31", []) == Window(date(2017, 12, 31), date(2018, 1, 1))


def test_params_override_the_day() -> None:
    params = {"start": "2017-01-01", "end": "2017-12-01"}
    assert resolve(params, None, []) == Window(date(2017, 1, 1), date(2017, 12, 1))
    assert resolve(params, "2017-11-30", []) == Window(date(2017, 1, 1), date(2017, 12, 1))


def test_a_triggering_event_hands_its_window_on() -> None:
    received = [{"start": "2017-01-01", "end": "2017-12-01"}]
    assert resolve(NOTHING, "2017-11-30", received) == Window(date(2017, 1, 1), date(2017, 12, 1))


def test_events_that_waited_for_the_same_run_are_worked_on_together() -> None:
    received = [{"start": "2017-03-01", "end": "2017-03-02"}, {"start": "2017-01-01", "end": "2017-03-02"}, {}]
    assert resolve(NOTHING, "2017-03-01", received) == Window(date(2017, 1, 1), date(2017, 3, 2))


@given(st.dates(date(1970, 1, 1), date(2999, 1, 1)), st.integers(1, 5000))
def test_the_key_of_a_window_is_a_day_that_agrees_with_it(start: date, days: int) -> None:
    window = Window(start, start + timedelta(days=days))
    params = {"start": window.start.isoformat(), "end": window.end.isoformat()}
    assert resolve(params, key_of(window), []) == window
    assert Window.day(date.fromisoformat(key_of(window))).end == window.end


@pytest.mark.parametrize(
    ("params", "key", "says"),
    [
        ({"start": "2017-01-02", "end": "2017-01-02"}, None, "holds no day"),
        ({"start": "2017-01-02", "end": "2017-01-01"}, None, "holds no day"),
        ({"start": "2017-01-02", "end": None}, "2017-01-02", "needs both"),
        ({"start": None, "end": "2017-01-02"}, None, "needs both"),
        ({"start": "2017-01-01", "end": "2017-01-05"}, "2017-01-05", "not its last day"),
        ({"start": "1969-12-31", "end": "1970-01-05"}, None, "earliest date allowed"),
        (NOTHING, None, "neither a partition nor a window"),
        (NOTHING, "last tuesday", "YYYY-MM-DD"),
    ],
)
def test_a_bad_window_is_refused_with_what_to_do(params: dict[str, str | None], key: str | None, says: str) -> None:
    with pytest.raises(WindowError, match=says):
        resolve(params, key, [])
