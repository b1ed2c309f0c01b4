"""Compare-and-swap, with real processes. No Spark here."""

from __future__ import annotations

import multiprocessing
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


def _race(root: str, racer: int, barrier: Barrier, results: Any) -> None:
    """Each round: read the log, wait for the others, try to move."""
    for number in range(ROUNDS):
        barrier.wait()
        log = read_log(root)
        barrier.wait()
        try:
            move(root, log, [_snapshot(f"{number}-{racer}")], f"run {racer}")
            results.put((number, racer, "won"))
        except LostRace:
            results.put((number, racer, "lost"))


def _put_same_date(root: str, racer: int, barrier: Barrier, results: Any) -> None:
    start = read_log(root)
    barrier.wait()
    try:
        results.put((0, racer, put(root, start, _snapshot(f"s{racer}"), f"run {racer}").snapshot_id))
    except Superseded:
        results.put((0, racer, "superseded"))


def _put_own_dates(root: str, racer: int, barrier: Barrier, results: Any) -> None:
    barrier.wait()
    for number in range(ROUNDS):
        as_of = date(2018, 1, 1) + timedelta(days=number * RACERS + racer)
        try:
            put(root, read_log(root), _snapshot(f"{as_of}", as_of), f"run {racer}")
            results.put((number, racer, "won"))
        except Superseded:
            results.put((number, racer, "superseded"))


def _run(target: Any, root: str) -> list[tuple[int, int, str]]:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(RACERS), context.Queue()
    racers = [context.Process(target=target, args=(root, racer, barrier, results)) for racer in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    found = []
    while not results.empty():
        found.append(results.get(timeout=10))
    return found


def test_racing_processes_get_one_winner_a_round_even_for_the_first_row(tmp_path: Path) -> None:
    found = _run(_race, str(tmp_path))
    for number in range(ROUNDS):
        outcomes = sorted(outcome for round_, _, outcome in found if round_ == number)
        assert outcomes == ["lost"] * (RACERS - 1) + ["won"]
    assert [row.sequence for row in read_log(str(tmp_path)).rows] == list(range(1, ROUNDS + 1))


def test_racing_publishes_of_one_date_give_one_pointer(tmp_path: Path) -> None:
    found = _run(_put_same_date, str(tmp_path))
    rows = read_log(str(tmp_path)).rows
    assert len(rows) == 1
    assert sorted(outcome for *_, outcome in found) == sorted([rows[0].snapshot_id] + ["superseded"] * (RACERS - 1))


def test_racing_publishes_of_several_dates_end_at_the_newest_and_never_go_back(tmp_path: Path) -> None:
    found = _run(_put_own_dates, str(tmp_path))
    rows = read_log(str(tmp_path)).rows
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == sum(outcome == "won" for *_, outcome in found)
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
