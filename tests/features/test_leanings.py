"""Streams of rows that are cut between users, and leanings packed and unpacked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from features import arrow
from features.packing import AMOUNTS, BETWEEN, OF_ITEMS, STORED, Entries, counts, said_of, unpacked

NAMES = st.text(max_size=9)
AMOUNT = st.integers(-(2**63), 2**63 - 1)
LISTS = st.dictionaries(
    st.tuples(st.integers(0, len(STORED) - 1), NAMES), st.tuples(*(AMOUNT for _ in AMOUNTS)), max_size=5
)


@examples(deadline=None)
@given(
    runs=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    size=st.integers(1, 7),
    enough=st.integers(1, 12),
)
def test_a_stream_is_cut_between_users_and_loses_nothing(runs: list[int], size: int, enough: int) -> None:
    """Every other user has the place of the one before."""
    ids = [f"u{number:02}" for number, length in enumerate(runs) for _ in range(length)]
    places = [number // 2 for number, length in enumerate(runs) for _ in range(length)]
    table = pa.table({"user_id": ids, arrow.PLACE: places, "row": list(range(len(ids)))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow, "CHUNK_ROWS", enough)
        parts = list(arrow.whole_users(table.to_batches(max_chunksize=size)))
    assert pa.concat_tables(parts).to_pydict() == table.to_pydict()
    seen = [set(part["user_id"].to_pylist()) for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen)), "a user is in two parts"


@examples(deadline=None)
@given(st.lists(st.tuples(*(st.text(max_size=5).map(lambda name: name.replace(BETWEEN, "")) for _ in OF_ITEMS))))
def test_what_items_say_in_one_text_comes_out_key_by_key(items: list[tuple[str, ...]]) -> None:
    found = said_of(pa.array([BETWEEN.join(keys) for keys in items], pa.string()))
    assert [column.to_pylist() for column in found] == [[keys[at] or None for keys in items] for at in range(3)]


def test_users_are_told_apart_although_their_rows_are_mixed() -> None:
    user, first = arrow.users_of(pa.table({"user_id": ["b", "a", "b", "c", "a"]}))
    assert user.tolist() == [0, 1, 0, 2, 1] and first.tolist() == [0, 1, 3]


def _entries(lists: list[dict[tuple[int, str], tuple[int, ...]]]) -> Entries:
    rows = [(user, *key, *amounts) for user, found in enumerate(lists) for key, amounts in found.items()]
    user, dimension, names, *amounts = zip(*rows, strict=True) if rows else ((),) * (3 + len(AMOUNTS))
    keys, (key,) = arrow.ranked(pa.array(names, pa.string()))
    whole = [np.array(side, np.int64) for side in (user, dimension, *amounts)]
    return Entries(whole[0], whole[1], key, tuple(whole[2:]), keys)


def _lists(entries: Entries, users: int) -> list[dict[tuple[int, str], tuple[int, ...]]]:
    names = entries.keys.take(pa.array(entries.key)).to_pylist()
    found: list[dict[tuple[int, str], tuple[int, ...]]] = [{} for _ in range(users)]
    amounts = zip(*(side.tolist() for side in entries.amounts), strict=True)
    for user, dimension, name, told in zip(entries.user, entries.dimension, names, amounts, strict=True):
        found[user][int(dimension), name] = told
    return found


@examples(deadline=None)
@given(st.lists(LISTS, max_size=6), st.data())
def test_what_is_packed_comes_out_as_it_was(
    lists: list[dict[tuple[int, str], tuple[int, ...]]], data: st.DataObject
) -> None:
    """Any key, any amount, users of nothing, and a part of a column as Arrow cuts it."""
    packed = _entries(lists).together().packed(len(lists))
    something = [{key: amounts for key, amounts in found.items() if any(amounts)} for found in lists]
    assert counts(packed).tolist() == [len(found) for found in something]
    assert _lists(unpacked(packed), len(lists)) == something
    start = data.draw(st.integers(0, len(lists)))
    assert _lists(unpacked(packed.slice(start)), len(lists) - start) == something[start:]


@examples(deadline=None)
@given(LISTS, LISTS)
def test_equal_leanings_are_equal_bytes_in_whatever_order_they_came(
    one: dict[tuple[int, str], tuple[int, ...]], other: dict[tuple[int, str], tuple[int, ...]]
) -> None:
    forward = _entries([other, one]).together().packed(2)
    backward = _entries([other, dict(reversed(one.items()))]).together().packed(2)
    assert forward.equals(backward)


def test_null_is_no_leaning_and_columns_stand_one_after_the_other() -> None:
    packed = _entries([{(0, "tea"): (1, 2, 3, 4)}, {(1, "Ahn"): (5, 6, 7, 8)}]).packed(2)
    left, right = packed.take(pa.array([0, None])), packed.take(pa.array([None, 1]))
    entries = unpacked(left, right)
    assert entries.user.tolist() == [0, 1] and entries.amounts[0].tolist() == [1, 5]
    assert entries.keys.to_pylist() == ["Ahn", "tea"] and entries.key.tolist() == [1, 0]
