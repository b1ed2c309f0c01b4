"""Reading the published snapshot. Needs neither Spark nor Java.

A reader stays with one snapshot until `refresh`: the Delta versions that one pointer row names. Versions never
change, so every answer is of one snapshot, whatever is being published, rolled back or killed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lake.errors import ServingError
from serving.answer import Answer, check_k, check_user_id
from serving.opened import CACHED_BUCKETS, Opened
from serving.pointer import Snapshot, read_log


def _now() -> datetime:
    return datetime.now(UTC)


class SnapshotReader:
    """Look-ups in the published snapshot of the lake at `uri` (the lake's root: Settings.lake).

    cached_buckets bounds the memory: that many of the 256 buckets of users are kept. clock tells the instant by
    which an answer counts as fresh. May be shared between threads.
    Raises ServingError when nothing has been published.
    """

    def __init__(
        self,
        uri: str | Path,
        *,
        cached_buckets: int = CACHED_BUCKETS,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._root = str(uri)
        self._cached_buckets = cached_buckets
        self._clock = clock
        self._opened = Opened(self._root, self._pointer(), cached_buckets)

    @property
    def snapshot(self) -> Snapshot:
        """The pointer row of the snapshot that is read."""
        return self._opened.snapshot

    @property
    def opened(self) -> Opened:
        """The snapshot itself: for what reads all of it, such as an export."""
        return self._opened

    def refresh(self) -> bool:
        """Move to the snapshot that is published now; whether that is another one.

        Answers that are being made stay with the earlier one. Raises ServingError, and stays, when the new one
        cannot be opened.
        """
        pointer = self._pointer()
        if pointer.sequence == self.snapshot.sequence:
            return False
        self._opened = Opened(self._root, pointer, self._cached_buckets)
        return True

    def recommend(
        self, user_id: str, k: int = 10, *, segment: str | None = None, country: str | None = None,
        stage: str | None = None, season: bool = False,
    ) -> Answer:  # fmt: skip
        """The k best items for a user: their own list, else that of their segment, stage or country, or everyone's.

        segment, stage, country: what the caller knows of a user who has no list; unknown ones are passed over.
        season: rather what was wanted at this time a year ago than what everyone wanted lately.
        A list may hold fewer than k items. Raises ServingError for a malformed id or k.
        """
        checked, wanted = check_user_id(user_id), check_k(k)
        # One reference for the whole answer: a refresh in another thread does not reach into it.
        opened = self._opened
        return opened.answer(checked, wanted, segment, country, self._clock(), stage=stage, season=season)

    def verify(self) -> None:
        """Read the whole snapshot and compare it with its checksum. Raises ServingError when it differs."""
        self._opened.verify()

    def _pointer(self) -> Snapshot:
        pointer = read_log(self._root, recent=True).pointer
        if pointer is None:
            raise ServingError(
                f"no snapshot is published in {self._root}. Publish one: attune nightly --date YYYY-MM-DD; "
                "or point at another home with ATTUNE_HOME"
            )
        return pointer
