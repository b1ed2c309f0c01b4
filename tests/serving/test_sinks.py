"""One file for a key-value store."""

from __future__ import annotations

import json
from pathlib import Path

import polars
import pytest

from lake.errors import ServingError
from serving.reader import SnapshotReader
from serving.sinks import export
from tests.serving.conftest import Published
from tests.serving.lists import USERS


def test_both_formats_hold_every_key_once(published_once: Published, tmp_path: Path) -> None:
    reader = SnapshotReader(published_once.settings.lake)
    assert export(reader, tmp_path / "a.jsonl") == len(USERS) + 1 + 3
    assert export(reader, tmp_path / "a.parquet") == len(USERS) + 1 + 3
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    rows = polars.read_parquet(tmp_path / "a.parquet").to_dicts()
    assert lines == rows
    keys = {(row["rung"], row["key"]) for row in rows}
    assert keys == {
        *(("personal", user) for user in (*USERS, "listless")),
        ("segment", "loyal"), ("country", "FR"), ("global", "all"),
    }  # fmt: skip
    assert {row["snapshot_id"] for row in rows} == {published_once.second}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.parquet"]


def test_a_wrong_destination_is_refused(published_once: Published, tmp_path: Path) -> None:
    reader = SnapshotReader(published_once.settings.lake)
    with pytest.raises(ServingError, match="allowed suffixes"):
        export(reader, tmp_path / "a.csv")
    with pytest.raises(ServingError, match="there is no folder"):
        export(reader, tmp_path / "nowhere" / "a.jsonl")
