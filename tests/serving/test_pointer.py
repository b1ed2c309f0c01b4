"""Compare-and-swap, with real processes. No Spark here."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from serving.pointer import HELD, PUBLISHED, RECENT, LostRace, Snapshot, Superseded, move, read_log
from serving.switch import put

RACERS = 4
ROUNDS = 3


def _snapshot(name: str, as_of: date = date(2018, 1, 1)) -> Snapshot:
    midnight = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    return Snapshot(
        snapshot_id=name, sequence=0, state=PUBLISHED, at=midnight, as_of=as_of, recommendations_version=1,
        fallbacks_version=1, users=1, cohorts=1, checksum=name, model_version="m", valid_until=midnight,
    )  # fmt: skip


def test_a_row_comes_back_as_it_was_written(tmp_path: Path) -> None:
    root = str(tmp_path)
    written = move(root, read_log(root), [_snapshot("a")], "run").rows
    assert read_log(root).rows == written
    assert written[0].sequence == 1


def test_of_two_writers_that_read_the_same_log_the_second_loses(tmp_path: Path) -> None:
    root = str(tmp_path)
    first, second = read_log(root), read_log(root)
    move(root, first, [_snapshot("a")], "run a")
    with pytest.raises(LostRace, match="run it again"):
        move(root, second, [_snapshot("b")], "run b")
    third, fourth = read_log(root), read_log(root)
    move(root, third, [_snapshot("c")], "run c")
    with pytest.raises(LostRace):
        move(root, fourth, [_snapshot("d")], "run d")
    assert [(row.sequence, row.snapshot_id) for row in read_log(root).rows] == [(1, "a"), (2, "c")]


Outcomes = list[tuple[str, str]]


def _race(root: str, racer: int, barrier: Barrier) -> Iterator[tuple[str, str]]:
    """Each round: read the log, wait for the others, try to move."""
    for number in range(ROUNDS):
        barrier.wait()
        log = read_log(root)
        barrier.wait()
        try:
            move(root, log, [_snapshot(f"{number}-{racer}")], f"run {racer}")
            yield f"round {number}", "won"
        except LostRace:
            yield f"round {number}", "lost"


def _put_same_date(root: str, racer: int, barrier: Barrier) -> Iterator[tuple[str, str]]:
    """All began before any was published."""
    start = read_log(root)
    barrier.wait()
    try:
        yield "same date", put(root, start, _snapshot(f"s{racer}"), f"run {racer}").snapshot_id
    except Superseded:
        yield "same date", "superseded"


def _put_own_dates(root: str, racer: int, barrier: Barrier) -> Iterator[tuple[str, str]]:
    """Each publishes its own dates, upwards."""
    barrier.wait()
    for number in range(ROUNDS):
        as_of = date(2018, 1, 1) + timedelta(days=number * RACERS + racer)
        try:
            put(root, read_log(root), _snapshot(f"{as_of}", as_of), f"run {racer}")
            yield "own dates", "won"
        except Superseded:
            yield "own dates", "superseded"


RACES = {"race": _race, "same": _put_same_date, "own": _put_own_dates}


def _racer(root: str, racer: int, barrier: Barrier, results: Any) -> None:
    """One process: all races, each in a lake of its own that nobody has written to."""
    for name, race in RACES.items():
        for outcome in race(f"{root}/{name}", racer, barrier):
            results.put(outcome)


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcomes]:
    """The lakes after the races, and what each racer said."""
    root = tmp_path_factory.mktemp("raced")
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(RACERS), context.Queue()
    racers = [context.Process(target=_racer, args=(str(root), racer, barrier, results)) for racer in range(RACERS)]
    for racer in racers:
        racer.start()
    outcomes = [results.get(timeout=240) for _ in range(RACERS * (2 * ROUNDS + 1))]
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    return root, outcomes


def test_racing_processes_get_one_winner_a_round_even_for_the_first_row(raced: tuple[Path, Outcomes]) -> None:
    root, outcomes = raced
    for number in range(ROUNDS):
        assert sorted(outcome for race, outcome in outcomes if race == f"round {number}") == [
            *["lost"] * (RACERS - 1), "won",
        ]  # fmt: skip
    assert [row.sequence for row in read_log(f"{root}/race").rows] == list(range(1, ROUNDS + 1))


def test_racing_publishes_of_one_date_give_one_pointer(raced: tuple[Path, Outcomes]) -> None:
    root, outcomes = raced
    rows = read_log(f"{root}/same").rows
    assert len(rows) == 1
    found = [outcome for race, outcome in outcomes if race == "same date"]
    assert sorted(found) == sorted([rows[0].snapshot_id, *["superseded"] * (RACERS - 1)])


def test_racing_publishes_of_several_dates_end_at_the_newest_and_never_go_back(raced: tuple[Path, Outcomes]) -> None:
    root, outcomes = raced
    rows = read_log(f"{root}/own").rows
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == outcomes.count(("own dates", "won"))
    dates = [row.as_of for row in rows]
    assert dates == sorted(dates)
    assert dates[-1] == date(2018, 1, 1) + timedelta(days=ROUNDS * RACERS - 1)


def test_the_pointer_is_found_in_a_long_log(tmp_path: Path) -> None:
    root = str(tmp_path)
    move(root, read_log(root), [_snapshot("good")], "run")
    for _ in range(RECENT + 5):
        move(root, read_log(root), [replace(_snapshot("held"), state=HELD)], "run")
    found = read_log(root, recent=True).pointer
    assert found is not None
    assert found.snapshot_id == "good"
