"""Deciding what the pointer may do next: publish, roll back, release. No Spark, so a rollback takes a second."""

from __future__ import annotations

import uuid
from dataclasses import replace

from lake.errors import PublishError, ServingError
from lake.settings import Settings
from serving.opened import Opened
from serving.pointer import HELD, PUBLISHED, ROLLED_BACK, Log, LostRace, Snapshot, Superseded, move, read_log

ATTEMPTS = 20


def standing(log: Log, snapshot: Snapshot) -> Snapshot | None:
    """The row by which the snapshot already stands as published or held, or None when it is new to the log.

    Raises Superseded when the pointer is of a later date or the snapshot was published and followed by another;
    PublishError when it was rolled back: a snapshot id works once.
    """
    pointer, known = log.pointer, log.latest(snapshot.snapshot_id)
    if pointer is not None and pointer.snapshot_id == snapshot.snapshot_id:
        return pointer
    if known is not None and known.state == ROLLED_BACK:
        raise PublishError(
            f"snapshot {known.snapshot_id} was rolled back at {known.at:%Y-%m-%d %H:%M} ({known.reason}); the same "
            "content is not published again. Mend the cause, or bring it back: "
            f"attune rollback --to {known.snapshot_id}"
        )
    if known is not None and known.state == HELD and (pointer is None or pointer.sequence < known.sequence):
        return known
    if pointer is not None and (known is not None or snapshot.as_of < pointer.as_of):
        if known is None:
            what = "is older than what is published"
        elif known.state == HELD:
            what = "was held, and another one has been released since"
        else:
            what = "was published before and has been followed by another"
        raise Superseded(
            f"snapshot {snapshot.snapshot_id} as of {snapshot.as_of} {what}: the pointer is at {pointer.snapshot_id} "
            f"as of {pointer.as_of}. Nothing was changed; only a rollback goes back: attune rollback --to ..."
        )
    return None


def put(root: str, start: Log, snapshot: Snapshot, run_id: str) -> Snapshot:
    """Publish a validated snapshot, or hold it when a rollback awaits release; the row by which it now stands.

    start: the log as it was when the publish began. Whoever moved the pointer since then to a snapshot of the
    same date or a later one was started later or was quicker, and stays. Raises as `standing` does.
    """
    for _ in range(ATTEMPTS):
        log = read_log(root)
        known = standing(log, snapshot)
        if known is not None:
            return known
        pointer, before = log.pointer, start.pointer
        moved = pointer is not None and (before is None or pointer.snapshot_id != before.snapshot_id)
        if moved and pointer is not None and log.on_hold is None and pointer.as_of >= snapshot.as_of:
            raise Superseded(
                f"while snapshot {snapshot.snapshot_id} was being written, {pointer.snapshot_id} was published for "
                f"the same date {pointer.as_of}; the pointer stays there. Run the publish again to replace it"
            )
        bad = log.on_hold
        reason = f"held since the rollback of {bad.snapshot_id} ({bad.reason})" if bad else None
        row = replace(snapshot, state=HELD if bad else PUBLISHED, reason=reason)
        try:
            return move(root, log, [row], run_id).rows[-1]
        except LostRace:
            continue
    raise LostRace(f"the pointer moved {ATTEMPTS} times while {snapshot.snapshot_id} was to be published; run it again")


def rollback(settings: Settings, to: str | None = None, *, reason: str, verify: bool = True) -> Snapshot:
    """Point at an earlier snapshot again, the last good one unless `to` names another; the new pointer row.

    The one that was published becomes rolled_back and the next publish is held until `release`. Both rows are
    one commit. The target is opened first and compared with its checksum (about 0.2 ms a user); with verify=False
    only its files are opened and its lists counted.
    Raises PublishError when there is no such snapshot or another writer was quicker.
    """
    root = str(settings.lake)
    log = read_log(root)
    pointer = log.pointer
    if pointer is None:
        raise PublishError(f"nothing is published in {root}, so there is nothing to roll back")
    target = _target(log, pointer, to)
    _verify(root, target, whole=verify)
    rows = [
        replace(pointer, state=ROLLED_BACK, reason=_reason(reason)),
        replace(target, state=PUBLISHED, reason=f"rollback of {pointer.snapshot_id}: {reason.strip()}"),
    ]
    return move(root, log, rows, _run_id()).rows[-1]


def release(settings: Settings, snapshot_id: str | None = None, *, reason: str) -> Snapshot:
    """End the hold that a rollback began: publish the newest held snapshot, or the named one; the new pointer row.

    When nothing has been held yet, the pointer stays where it is and the next publish goes through.
    Raises PublishError when no hold is on, the named snapshot is not held, or another writer was quicker.
    """
    root = str(settings.lake)
    log = read_log(root)
    pointer = log.pointer
    if pointer is None or log.on_hold is None:
        raise PublishError("no hold is on: snapshots are held only after a rollback. Nothing to release")
    held = [row for row in log.rows if row.state == HELD and row.sequence > pointer.sequence]
    if snapshot_id is not None:
        named = [row for row in held if row.snapshot_id == snapshot_id]
        if not named:
            known = ", ".join(row.snapshot_id for row in held) or "none"
            raise PublishError(f"snapshot {snapshot_id[:80]!r} is not held; held: {known}")
        held = named
    chosen = max(held, key=lambda row: (row.as_of, row.sequence), default=pointer)
    _verify(root, chosen, whole=True)
    row = replace(chosen, state=PUBLISHED, reason=f"released: {_reason(reason)}")
    return move(root, log, [row], _run_id()).rows[-1]


def _target(log: Log, pointer: Snapshot, to: str | None) -> Snapshot:
    """The published row to go back to. By default the last one that is neither current nor rolled back."""
    published = {row.snapshot_id: row for row in log.rows if row.state == PUBLISHED}
    if to is None:
        candidates = [
            row
            for row in sorted(published.values(), key=lambda row: row.sequence)
            if row.snapshot_id != pointer.snapshot_id and _state(log, row) != ROLLED_BACK
        ]
        if not candidates:
            raise PublishError(f"{pointer.snapshot_id} is the only good snapshot, so there is none to roll back to")
        return candidates[-1]
    if to == pointer.snapshot_id:
        raise PublishError(f"{to} is the published snapshot already")
    if to not in published:
        known = ", ".join(name for name in published if name != pointer.snapshot_id) or "none"
        raise PublishError(f"there is no snapshot {to[:80]!r} that was published; to go back to: {known}")
    return published[to]


def _state(log: Log, row: Snapshot) -> str | None:
    latest = log.latest(row.snapshot_id)
    return latest.state if latest else None


def _verify(root: str, snapshot: Snapshot, *, whole: bool) -> None:
    try:
        opened = Opened(root, snapshot)
        if whole:
            opened.verify()
        elif (users := opened.count_users()) != snapshot.users:
            raise ServingError(f"{snapshot.snapshot_id} has {users} personal lists, {snapshot.users} were published")
    except ServingError as error:
        raise PublishError(f"the pointer was not moved: {error}") from error


def _reason(reason: str) -> str:
    text = " ".join(reason.split())
    if not text:
        raise PublishError("say why: the reason is kept in gold.snapshots. Pass --reason TEXT")
    return text


def _run_id() -> str:
    return uuid.uuid4().hex
