"""Rollback, hold and release; and what a reader sees while the pointer moves."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from pyspark.sql import SparkSession

from lake.errors import PublishError
from lake.settings import Settings
from serving.pointer import HELD, PUBLISHED, ROLLED_BACK, Superseded, read_log
from serving.reader import SnapshotReader
from serving.switch import release, rollback
from tests.serving.conftest import Published
from tests.serving.lists import DAY, publish_marked
from tests.serving.test_publish import _tamper


def _states(settings: Settings) -> list[tuple[int, str, str]]:
    return [(row.sequence, row.snapshot_id, row.state) for row in read_log(str(settings.lake)).rows]


def test_a_rollback_points_at_the_one_before_in_one_commit(published: Published) -> None:
    reader = SnapshotReader(published.settings.lake)
    row = rollback(published.settings, reason="prices are wrong")
    assert (row.snapshot_id, row.state, row.sequence) == (published.first, PUBLISHED, 4)
    assert _states(published.settings)[2:] == [(3, published.second, ROLLED_BACK), (4, published.first, PUBLISHED)]
    assert reader.recommend("ada", 1).items[0].title == "second ada 1"
    assert reader.refresh()
    assert reader.recommend("ada", 1).items[0].title == "first ada 1"
    reader.verify()


def test_a_rollback_to_a_named_snapshot_may_go_forward_again(published: Published) -> None:
    rollback(published.settings, reason="a mistake")
    row = rollback(published.settings, published.second, reason="it was not")
    assert row.snapshot_id == published.second
    assert SnapshotReader(published.settings.lake).snapshot.snapshot_id == published.second


@pytest.mark.parametrize(
    ("to", "message"),
    [("no such", "there is no snapshot 'no such'"), ("second", "published snapshot already")],
)
def test_a_rollback_to_what_cannot_be_is_refused(published: Published, to: str, message: str) -> None:
    before = _states(published.settings)
    with pytest.raises(PublishError, match=message):
        rollback(published.settings, published.second if to == "second" else to, reason="x")
    assert _states(published.settings) == before


def test_a_rollback_needs_a_good_earlier_snapshot_and_a_reason(published: Published, settings: Settings) -> None:
    with pytest.raises(PublishError, match="say why"):
        rollback(published.settings, reason="  ")
    rollback(published.settings, reason="x")
    with pytest.raises(PublishError, match="the only good snapshot"):
        rollback(published.settings, reason="again")


def test_a_rollback_of_nothing_says_so(settings: Settings) -> None:
    with pytest.raises(PublishError, match="nothing is published"):
        rollback(settings.model_copy(update={"home": settings.home / "empty"}), reason="x")


def test_a_rollback_to_a_damaged_snapshot_is_refused(published: Published) -> None:
    _tamper(published.settings, 1)
    with pytest.raises(PublishError, match="the pointer was not moved"):
        rollback(published.settings, reason="x")
    assert SnapshotReader(published.settings.lake).snapshot.snapshot_id == published.second


def test_a_quick_rollback_still_needs_every_file(published: Published) -> None:
    row = rollback(published.settings, reason="x", verify=False)
    assert row.snapshot_id == published.first
    for file in (published.settings.lake / "gold" / "recommendations").glob("*.parquet"):
        file.unlink()
    with pytest.raises(PublishError, match="the pointer was not moved"):
        rollback(published.settings, published.second, reason="x", verify=False)


def test_the_next_publish_is_held_until_a_person_releases_it(
    spark: SparkSession, published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, day = published.settings, DAY + timedelta(days=2)
    rollback(settings, reason="prices are wrong")
    # The very content that was rolled back does not come back by itself.
    with pytest.raises(PublishError, match="was rolled back at"):
        publish_marked(spark, settings, "second", DAY + timedelta(days=1))
    third = publish_marked(spark, settings, "third", day)
    assert _states(settings)[-1] == (5, third, HELD)
    assert "attune release" in capsys.readouterr().err
    assert SnapshotReader(settings.lake).snapshot.snapshot_id == published.first
    # The same again stays held and adds no row.
    assert publish_marked(spark, settings, "third", day) == third
    assert len(_states(settings)) == 5
    with pytest.raises(PublishError, match="is not held"):
        release(settings, "no such", reason="x")
    assert release(settings, reason="prices are right").snapshot_id == third
    assert _states(settings)[-1] == (6, third, PUBLISHED)
    reader = SnapshotReader(settings.lake)
    reader.verify()
    assert reader.recommend("ada", 1).items[0].title == "third ada 1"
    with pytest.raises(PublishError, match="no hold is on"):
        release(settings, reason="again")
    with pytest.raises(Superseded):
        publish_marked(spark, settings, "late", DAY)


def test_a_release_before_anything_is_held_lets_the_next_publish_through(
    spark: SparkSession, published: Published
) -> None:
    rollback(published.settings, reason="x")
    row = release(published.settings, reason="fixed")
    assert (row.snapshot_id, row.state) == (published.first, PUBLISHED)
    third = publish_marked(spark, published.settings, "third", DAY + timedelta(days=2))
    assert SnapshotReader(published.settings.lake).snapshot.snapshot_id == third


def test_a_reader_that_polls_never_sees_a_mix(spark: SparkSession, published: Published) -> None:
    """Every answer, personal or fallback, carries the marker of the snapshot it names, whatever happens meanwhile."""
    settings = published.settings
    reader = SnapshotReader(settings.lake)
    seen: set[tuple[str, str]] = set()
    stop = threading.Event()
    problems: list[Exception] = []

    def poll() -> None:
        while not stop.is_set():
            try:
                reader.refresh()
                for user in ("ada", "o'brien", "nobody"):
                    answer = reader.recommend(user, segment="loyal")
                    seen.update((answer.snapshot_id, item.title.split()[0]) for item in answer.items if item.title)
            except Exception as error:
                problems.append(error)
                return

    threads = [threading.Thread(target=poll) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        third = publish_marked(spark, settings, "third", DAY + timedelta(days=2))
        rollback(settings, reason="x")
        fourth = publish_marked(spark, settings, "fourth", DAY + timedelta(days=3))
        release(settings, reason="y")
        rollback(settings, published.first, reason="z")
    finally:
        stop.wait(0.5)
        stop.set()
        for thread in threads:
            thread.join()
    assert not problems
    markers = {published.first: "first", published.second: "second", third: "third", fourth: "fourth"}
    assert seen <= set(markers.items())
    assert {published.second, published.first} <= {snapshot for snapshot, _ in seen}
