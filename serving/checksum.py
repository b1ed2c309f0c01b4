"""The checksum of a snapshot: over the content of both tables, independent of order, files and engine.

serving.digests computes the same in Spark; a test holds the two together. The formula, from the inside out:

- A field is written so that no two values share a text: a string as its UTF-8 length in bytes, ':', itself; a
  whole number as its digits and ';'; a real number as xxhash64 (seed 42) of its eight bytes as a signed number
  and ';' (a bijection for eight bytes, so nothing is lost, and it needs no agreement on how to print reals; -0.0
  counts as 0.0); a missing value as '~'; a list as '[', its length, ';', its elements.
- A column that earlier snapshots lack comes last and adds nothing where it is missing: these keep their checksum.
- A row is the texts of its columns in the order of RECOMMENDATION or FALLBACK, an item those of ITEM. Left out:
  snapshot_id, which is made from the checksum, and user_bucket, which is made from user_id.
- A row's digest is SHA-256 of its text, in hexadecimal. A group's digest is SHA-256 of its rows' digests, sorted
  and joined. Personal lists are grouped by user_bucket; the fallbacks are one group, 0.
- The checksum is SHA-256 of one line a group, '<table>/<group>/<rows>/<digest>\\n', sorted.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import xxhash

from serving.bucket import SEED

RECOMMENDATIONS = "recommendations"
FALLBACKS = "fallbacks"
# Kind of each column, in the order in which it is written.
RECOMMENDATION = {"user_id": "text", "segment": "text", "country": "text", "items": "items", "stage": "added"}
FALLBACK = {"rung": "text", "cohort": "text", "items": "items"}
ITEM = {
    "rank": "whole", "item_id": "text", "title": "text", "score": "real", "source": "text", "reason": "text",
    "slot_kind": "text", "propensity": "real",
}  # fmt: skip


class Group(NamedTuple):
    """Digest of a group of rows: the table, the user_bucket (0 for fallbacks), how many rows, SHA-256."""

    table: str
    group: int
    rows: int
    digest: str


def row_text(row: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """The canonical text of a row with the given columns and kinds."""
    return "".join(_field(row.get(name) if kind == "added" else row[name], kind) for name, kind in columns.items())


def group_of(table: str, group: int, rows: Iterable[Mapping[str, Any]]) -> Group:
    """The digest of a group's rows, in whatever order they come."""
    columns = RECOMMENDATION if table == RECOMMENDATIONS else FALLBACK
    digests = sorted(hashlib.sha256(row_text(row, columns).encode()).hexdigest() for row in rows)
    return Group(table, group, len(digests), hashlib.sha256("".join(digests).encode()).hexdigest())


def checksum_of(groups: Iterable[Group]) -> str:
    """The checksum of a snapshot from the digests of all its groups that hold rows."""
    lines = sorted(f"{item.table}/{item.group}/{item.rows}/{item.digest}\n" for item in groups if item.rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _field(value: Any, kind: str) -> str:
    if value is None:
        return "" if kind == "added" else "~"
    if kind in ("text", "added"):
        return f"{len(value.encode())}:{value}"
    if kind == "whole":
        return f"{value};"
    if kind == "real":
        return f"{_bits(value)};"
    return f"[{len(value)};" + "".join("~" if item is None else row_text(item, ITEM) for item in value)


def _bits(value: float) -> int:
    # Adding zero turns -0.0 into 0.0.
    number = xxhash.xxh64_intdigest(struct.pack("<d", value + 0.0), seed=SEED)
    return number - (1 << 64) if number >= 1 << 63 else number
