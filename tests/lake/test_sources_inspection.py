"""Landing files that cannot be ingested are refused with a reason; nothing is raised."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.sources.inspection import CHUNK, Inspected, damaged, inspect
from lake.sources.mapping import Mapping
from lake.sources.sections import Section

GOOD = b"user,item,at,price\nu1,i1,2024-01-01,1\n"


def section(format: str = "csv", more: str = "") -> Section:
    return Mapping.parse(
        f'name = "s"\n[events]\nformat = "{format}"\n{more}\n[events.columns]\nuser_id = "user"\nitem_id = "item"\n'
        'event_time = "at"\nunit_price = "price"\n[events.constants]\nevent_type = "view"\n',
        "s.toml",
    ).events


def look(tmp_path: Path, content: bytes, name: str = "f.csv", format: str = "csv", more: str = "") -> Inspected:
    path = tmp_path / name
    path.write_bytes(content)
    return inspect(path, section(format, more))


def test_a_good_file_has_its_columns_under_the_mappings_names(tmp_path: Path) -> None:
    found = look(tmp_path, b"\xef\xbb\xbfUSER,item,at,Extra Thing\nu1,i1,2024-01-01,x\n")
    assert found.refusal is None
    assert found.columns == (("USER", "user"), ("item", "item"), ("at", "at"), ("Extra Thing", "Extra_Thing"))
    assert (found.new, found.absent) == (("Extra Thing",), ("price",))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.csv", b"", "it is empty"),
        ("empty.csv.gz", gzip.compress(b""), "holds no header"),
        ("blank.csv", b"\n\n  \n", "holds no header"),
        ("header.csv", b"user,item,at\n", "a header and no row"),
        ("header-only.csv", b"user,item,at", "a header and no row"),
        ("header.csv.gz", gzip.compress(b"user,item,at\n\n"), "a header and no row"),
        ("truncated.csv.gz", gzip.compress(GOOD * 1000)[:-20], "cut off"),
        ("damaged.csv.gz", gzip.compress(GOOD)[:-8] + b"\xff" * 8, "gzip is damaged"),
        ("plain.csv.gz", GOOD, "called .gz but is no gzip"),
        ("packed.csv", gzip.compress(GOOD), "is gzip but is not called .gz"),
        ("binary.csv", b"user,item,at\nu\0,i,2024\n", "NUL bytes"),
        ("utf16.csv", GOOD.decode().encode("utf-16"), "it is"),
        ("latin.csv", GOOD + "ü,i,x,1\n".encode("latin-1"), "not utf-8 text: near byte 38"),
        ("half.csv", GOOD + "ü".encode()[:1], "middle of a character"),
        ("missing.csv", b"user,at\nu,2024\n", "required columns are missing: item; it has: 'user', 'at'"),
        ("twice.csv", b"user,item,at,At\nu,i,1,2\n", "'at' and 'At' cannot be told apart"),
        ("zipped.csv.bz2", GOOD, ".bz2 is not read"),
        ("long.csv", b"u" * (3 * CHUNK), "first line is longer"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)
def test_a_bad_csv_is_refused_with_its_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    assert reason in (look(tmp_path, content, name).refusal or "not refused")


@pytest.mark.parametrize(
    "content", [gzip.compress(GOOD), gzip.compress(GOOD[:19]) + gzip.compress(GOOD[19:])], ids=["one", "two"]
)
def test_a_gzip_of_one_or_more_members_is_whole(tmp_path: Path, content: bytes) -> None:
    assert look(tmp_path, content, "f.csv.gz").refusal is None


def test_letters_that_lie_across_chunks_are_text(tmp_path: Path) -> None:
    filler = b"u," + b"x" * (CHUNK - len(GOOD) - 3)
    assert look(tmp_path, GOOD + filler + "ü,2024,1\n".encode()).refusal is None


def test_another_delimiter_and_encoding_are_read_as_the_mapping_says(tmp_path: Path) -> None:
    content = "user;item;at;größe\nä;b;2024;1\n".encode("iso-8859-1")
    found = look(tmp_path, content, more='delimiter = ";"\nencoding = "iso-8859-1"')
    assert (found.refusal, found.new) == (None, ("größe",))


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\n \n", "holds no line"), (b'{"user": "\0"}\n', "NUL bytes"), (b"", "it is empty")]
)
def test_a_bad_json_lines_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in (look(tmp_path, content, "f.jsonl", "jsonl").refusal or "not refused")


def test_one_json_line_without_an_end_is_enough(tmp_path: Path) -> None:
    assert look(tmp_path, b'{"user": 1}', "f.jsonl", "jsonl").refusal is None


def test_parquet_is_judged_by_its_footer(tmp_path: Path) -> None:
    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"user": ["u"], "item": ["i"], "at": [1], "new": [1.5]}), good)
    found = inspect(good, section("parquet"))
    assert (found.refusal, found.rows, found.new) == (None, 1, ("new",))
    assert found.types == ("string", "string", "int64", "double")
    for content, reason in (
        (b"PAR1", "footer cannot be read"),
        (good.read_bytes()[:-30], "footer cannot be read"),
        (GOOD, "no Parquet file"),
    ):
        assert reason in (look(tmp_path, content, "bad.parquet", "parquet").refusal or "not refused")
    pq.write_table(pa.table({"user": pa.array([], pa.string())}), tmp_path / "none.parquet")
    assert inspect(tmp_path / "none.parquet", section("parquet")).refusal == "it holds no row"


def test_damage_within_parquet_pages_is_found_by_reading_them(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"user": [f"user {n}" for n in range(1000)]}), path, compression="gzip")
    assert damaged(path) is None
    content = bytearray(path.read_bytes())
    content[60:400] = b"\xaa" * 340
    path.write_bytes(content)
    assert "damaged" in (damaged(path) or "sound")


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in (inspect(tmp_path / "gone.csv", section()).refusal or "not refused")
