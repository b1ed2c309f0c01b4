"""Sums of leanings where a stream of rows is cut."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import leanings


@given(
    runs=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    size=st.integers(1, 7),
    enough=st.integers(1, 12),
)
def test_a_stream_is_cut_between_users_and_loses_nothing(runs: list[int], size: int, enough: int) -> None:
    ids = [f"u{number:02}" for number, length in enumerate(runs) for _ in range(length)]
    table = pa.table({"user_id": ids, "row": list(range(len(ids)))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leanings, "CHUNK_ROWS", enough)
        parts = list(leanings._whole_users(table.to_batches(max_chunksize=size)))
    assert pa.concat_tables(parts).to_pydict() == table.to_pydict()
    seen = [set(part["user_id"].to_pylist()) for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen)), "a user is in two parts"
