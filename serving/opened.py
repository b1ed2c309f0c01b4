"""One snapshot, opened for look-ups: the Delta versions its pointer row names, and nothing else. No Spark.

Personal lists are read a bucket at a time and kept in a bounded cache; the fallbacks are held whole.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lake.errors import ServingError
from lake.log import dataset_of, table_uri
from lake.tables import FALLBACKS, RECOMMENDATIONS
from serving import checksum
from serving.answer import Answer, Item, Rung
from serving.bucket import USER_BUCKETS, user_bucket
from serving.pointer import Snapshot

CACHED_BUCKETS = 32
LISTS_AT_ONCE = 4000
# The one cohort of the rungs season and global.
EVERYONE = "all"


@dataclass(frozen=True)
class Bucket:
    """The personal lists of one user_bucket, and the row of each of its users."""

    rows: pa.Table
    index: Mapping[str, int]


class Opened:
    """A snapshot's two tables at their versions. Safe to share between threads.

    Raises ServingError when a version cannot be opened, or holds rows of another snapshot.
    """

    def __init__(self, root: str, snapshot: Snapshot, cached_buckets: int = CACHED_BUCKETS) -> None:
        self.snapshot = snapshot
        self._cached_buckets = cached_buckets
        self._buckets: OrderedDict[int, Bucket] = OrderedDict()
        self._lock = threading.Lock()
        self._lists = self._dataset(root, RECOMMENDATIONS.name, snapshot.recommendations_version)
        fallbacks = self._dataset(root, FALLBACKS.name, snapshot.fallbacks_version)
        self.fallbacks = self._read(fallbacks, FALLBACKS.name, None)
        rows = self.fallbacks.to_pylist()
        self._cohorts = {(row["rung"], row["cohort"]): row["items"] for row in rows if row["items"]}

    def answer(
        self, user_id: str, k: int, segment: str | None, country: str | None, now: datetime, *,
        stage: str | None = None, season: bool = False,
    ) -> Answer:  # fmt: skip
        """The first of the user's rungs that has a list: personal, segment, stage, country, season where it is asked
        for, global.
        """
        rung, cohort, items = self._find(user_id, segment, stage, country, EVERYONE if season else None)
        chosen = sorted(items, key=lambda item: item["rank"])[:k]
        return Answer(
            user_id=user_id,
            snapshot_id=self.snapshot.snapshot_id,
            as_of=self.snapshot.as_of,
            model_version=self.snapshot.model_version,
            valid_until=self.snapshot.valid_until,
            fresh=now < self.snapshot.valid_until,
            rung=rung,
            cohort=cohort,
            items=tuple(Item(**item) for item in chosen),
        )

    def count_users(self) -> int:
        """How many personal lists the files hold."""
        return int(self._guarded(RECOMMENDATIONS.name, self._lists.count_rows))

    def bucket(self, number: int) -> Bucket:
        """A bucket, from the cache if it is there."""
        with self._lock:
            if number in self._buckets:
                self._buckets.move_to_end(number)
                return self._buckets[number]
        rows = self._read(self._lists, RECOMMENDATIONS.name, ds.field("user_bucket") == number)
        found = Bucket(rows, {user: row for row, user in enumerate(rows["user_id"].to_pylist())})
        with self._lock:
            self._buckets[number] = found
            while len(self._buckets) > self._cached_buckets:
                self._buckets.popitem(last=False)
        return found

    def groups(self, first: int, end: int) -> list[checksum.Group]:
        """The digests of the buckets from first to before end, as they are in the files now."""
        bucket = ds.field("user_bucket")
        rows = self._read(self._lists, RECOMMENDATIONS.name, (bucket >= first) & (bucket < end)).to_pylist()
        return [
            checksum.group_of(checksum.RECOMMENDATIONS, number, (row for row in rows if row["user_bucket"] == number))
            for number in sorted({row["user_bucket"] for row in rows})
        ]

    def fallback_group(self) -> checksum.Group:
        """The digest of the fallbacks."""
        return checksum.group_of(checksum.FALLBACKS, 0, self.fallbacks.to_pylist())

    def verify(self) -> None:
        """Read every row and compare counts and checksum with the pointer's; some thousand lists at a time.

        Raises ServingError when they differ: a file is not what was published.
        """
        step = max(1, USER_BUCKETS * LISTS_AT_ONCE // max(1, self.snapshot.users))
        groups = [item for first in range(0, USER_BUCKETS, step) for item in self.groups(first, first + step)]
        fallbacks = self.fallback_group()
        users = sum(item.rows for item in groups)
        found = (users, fallbacks.rows, checksum.checksum_of([*groups, fallbacks]))
        expected = (self.snapshot.users, self.snapshot.cohorts, self.snapshot.checksum)
        if found != expected:
            raise ServingError(
                f"snapshot {self.snapshot.snapshot_id} is not what was published: (lists, fallbacks, checksum) are "
                f"{found}, the pointer says {expected}. Roll back to an earlier snapshot: attune rollback"
            )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All personal lists, batch by batch."""
        there = set(self._lists.schema.names)
        for batch in self._lists.to_batches(columns=[name for name in RECOMMENDATIONS.names if name in there]):
            if batch.num_rows:
                self._check_owner(pa.Table.from_batches([batch]), RECOMMENDATIONS.name)
                yield batch

    def _find(
        self, user_id: str, segment: str | None, stage: str | None, country: str | None, season: str | None
    ) -> tuple[Rung, str | None, list[dict[str, Any]]]:
        bucket = self.bucket(user_bucket(user_id))
        row = bucket.index.get(user_id)
        if row is not None:
            own = bucket.rows.slice(row, 1).to_pylist()[0]
            if own["items"]:
                return "personal", None, own["items"]
            segment, country = own["segment"] or segment, own["country"] or country
            # A snapshot of before the stages has none.
            stage = own.get("stage") or stage
        ladder: tuple[tuple[Rung, str | None], ...] = (
            ("segment", segment), ("stage", stage), ("country", country), ("season", season), ("global", EVERYONE),
        )  # fmt: skip
        for rung, cohort in ladder:
            if cohort is not None and (rung, cohort) in self._cohorts:
                return rung, cohort, self._cohorts[rung, cohort]
        raise ServingError(
            f"snapshot {self.snapshot.snapshot_id} has no global list, so there is no answer for a user without "
            "a list of their own. Roll back to an earlier snapshot: attune rollback"
        )

    def _dataset(self, root: str, name: str, version: int) -> ds.Dataset:
        return self._guarded(name, lambda: dataset_of(DeltaTable(table_uri(root, name), version=version)))

    def _read(self, dataset: ds.Dataset, name: str, rows: pc.Expression | None) -> pa.Table:
        table = self._guarded(name, lambda: dataset.to_table(filter=rows))
        self._check_owner(table, name)
        return table

    def _check_owner(self, table: pa.Table, name: str) -> None:
        owners = [owner for owner in pc.unique(table["snapshot_id"]).to_pylist() if owner != self.snapshot.snapshot_id]
        if owners:
            raise ServingError(
                f"{name} holds rows of {owners[:3]} at the version that was published as "
                f"{self.snapshot.snapshot_id}. Roll back to an earlier snapshot: attune rollback"
            )

    def _guarded(self, name: str, read: Any) -> Any:
        try:
            return read()
        except (DeltaError, OSError, pa.ArrowException) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ServingError(
                f"{name} of snapshot {self.snapshot.snapshot_id} cannot be read ({first}). If a newer snapshot was "
                "published and old files were vacuumed, refresh(); otherwise roll back: attune rollback"
            ) from error
