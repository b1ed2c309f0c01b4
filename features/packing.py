"""Leanings of a user in one binary value, and of a batch of users as arrays.

A nested column costs Spark a call for every field of every entry, wherever its rows are only handed on: read, joined,
merged, written. A binary value is handed on as it is. It holds, in whole numbers of 64 bits, lowest byte first:

    n | n x (place of the dimension in STORED + 256 x bytes of the key) | n x each of AMOUNTS | keys in UTF-8, padded

in the order of dimensions and keys; no entry is no byte. A batch is packed and unpacked without a loop over its users.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.arrow import ranked, starts, sums

AMOUNTS = ("units", "evidence", "recent", "before")

# What an item says of who wants it. Of the path of its categories all levels are told when leanings are read.
PATH = "path"
OF_ITEMS = (PATH, "brand", "price_band")
# What their days say of users.
OF_DAYS = ("daypart", "weekday", "device", "place")
STORED = (*OF_ITEMS, *OF_DAYS)
# What no key holds: between the keys of an item in one text.
BETWEEN = "\u001f"

_WORD = np.dtype("<i8")
_SECTIONS = 1 + len(AMOUNTS)


@dataclass(frozen=True)
class Entries:
    """Entries of lists, one of each array a place. user: which list it belongs to. dimension: its place in dimensions.
    key: its place in keys, which are in order. All int64; so are the amounts, in the order of AMOUNTS.
    """

    user: np.ndarray
    dimension: np.ndarray
    key: np.ndarray
    amounts: tuple[np.ndarray, ...]
    keys: pa.Array
    dimensions: tuple[str, ...] = STORED

    @property
    def group(self) -> np.ndarray:
        """A number for each user and dimension, in their order."""
        return self.user * len(self.dimensions) + self.dimension

    def take(self, rows: np.ndarray) -> Entries:
        """Those at the places."""
        amounts = tuple(amount[rows] for amount in self.amounts)
        return replace(self, user=self.user[rows], dimension=self.dimension[rows], key=self.key[rows], amounts=amounts)

    def together(self) -> Entries:
        """One entry for each user, dimension and key, in their order; none of what adds up to nothing."""
        place = self.group * max(1, len(self.keys)) + self.key
        order = np.argsort(place, kind="stable")
        first = starts(place[order])
        amounts = tuple(sums(amount[order], first) for amount in self.amounts)
        left = np.any([amount != 0 for amount in amounts], axis=0)
        found = self.take(order[first][left])
        return replace(found, amounts=tuple(amount[left] for amount in amounts))

    def packed(self, users: int) -> pa.Array:
        """A binary value for each of the users. Entries are in the order of users, dimensions and keys."""
        count = np.bincount(self.user, minlength=users)
        bounds = np.concatenate([[0], np.cumsum(count)])
        names = self.keys.take(pa.array(self.key))
        ends, text = _bytes(names)
        written = np.diff(ends[bounds])
        words = np.where(count, 1 + _SECTIONS * count + (written + 7) // 8, 0)
        begin = np.concatenate([[0], np.cumsum(words)])
        out = np.zeros(begin[-1], _WORD)
        some = np.flatnonzero(count)
        out[begin[some]] = count[some]
        place = np.repeat(begin[:-1] + 1 - bounds[:-1], count) + np.arange(len(self.user))
        stride = np.repeat(count, count)
        for section, values in enumerate((self.dimension + (np.diff(ends) << 8), *self.amounts)):
            out[place + section * stride] = values
        behind = 8 * (begin[:-1] + 1 + _SECTIONS * count) - ends[bounds[:-1]]
        out.view(np.uint8)[np.repeat(behind, written) + np.arange(len(text))] = text
        if begin[-1] * 8 > np.iinfo(np.int32).max:
            raise ValueError(f"leanings of {users:,} users take {begin[-1] * 8:,} bytes; a batch has room for 2^31")
        offsets = pa.py_buffer((begin * 8).astype(np.int32))
        return pa.Array.from_buffers(pa.binary(), users, [None, offsets, pa.py_buffer(out)])


def unpacked(*columns: pa.Array) -> Entries:
    """The entries of columns of packed leanings with the same rows, one column after the other; null is none."""
    parts = [_unpacked(column) for column in columns]
    keys, codes = ranked(*(names for *_, names in parts))
    user, dimension, amounts = (list(side) for side in zip(*(part[:3] for part in parts), strict=True))
    return Entries(
        np.concatenate(user), np.concatenate(dimension), np.concatenate(codes),
        tuple(np.concatenate(side) for side in zip(*amounts, strict=True)), keys,
    )  # fmt: skip


def said_of(texts: pa.Array) -> list[pa.Array]:
    """The key of each of OF_ITEMS that texts say, null where none: one text has all, with BETWEEN between them."""
    keys = pc.list_flatten(pc.split_pattern(texts, BETWEEN))
    places = np.arange(0, len(keys), len(OF_ITEMS))
    found = [keys.take(pa.array(places + number)) for number in range(len(OF_ITEMS))]
    return [pc.if_else(pc.equal(key, ""), pa.scalar(None, pa.string()), key) for key in found]


def counts(column: pa.Array) -> np.ndarray:
    """How many entries each value holds, int64."""
    begin, words = _words(column)
    return _counts(begin, words)


def _unpacked(column: pa.Array) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], pa.Array]:
    """user, dimension, amounts and names of the keys."""
    begin, words = _words(column)
    count = _counts(begin, words)
    bounds = np.concatenate([[0], np.cumsum(count)])
    place = np.repeat(begin[:-1] + 1 - bounds[:-1], count) + np.arange(bounds[-1])
    stride = np.repeat(count, count)
    head, *amounts = (words[place + section * stride] for section in range(_SECTIONS))
    sizes = head >> 8
    ends = np.concatenate([[0], np.cumsum(sizes)])
    first = np.repeat(8 * (begin[:-1] + 1 + _SECTIONS * count) - ends[bounds[:-1]], count) + ends[:-1]
    # Keys where they lie, and between them what is none: taking every second copies no byte by its place.
    offsets = np.empty(2 * len(head) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2], offsets[-1] = first, first + sizes, 8 * len(words)
    held = pa.Array.from_buffers(pa.binary(), 2 * len(head), [None, pa.py_buffer(offsets), pa.py_buffer(words)])
    names = held.take(pa.array(np.arange(0, 2 * len(head), 2))).cast(pa.string())
    return np.repeat(np.arange(len(column)), count), head & 255, tuple(amounts), names


def _words(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Where the words of each value begin and, last, where they all end; and the words."""
    ends, held = _bytes(pc.fill_null(column, b""))
    # A copy begins on a word.
    return ends // 8, held.copy().view(_WORD)


def _counts(begin: np.ndarray, words: np.ndarray) -> np.ndarray:
    found = np.zeros(len(begin) - 1, np.int64)
    some = np.flatnonzero(np.diff(begin))
    found[some] = words[begin[some]]
    return found


def _bytes(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Where the bytes of each string, or binary value, begin and, last, where they all end; and the bytes."""
    if not len(values):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return ends - ends[0], held[ends[0] : ends[-1]]
