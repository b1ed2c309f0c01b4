"""What is wrong with a landing file, found before Spark reads it, in bounded memory. A file is refused, not a run."""

from __future__ import annotations

import codecs
import csv
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake.sources.fields import bronze_name
from lake.sources.sections import Section

CHUNK = 1 << 20
LONGEST_HEADER = 1 << 20
MOST_COLUMNS = 2_000
GZIP = b"\x1f\x8b"
COMPRESSED = (".bz2", ".zst", ".xz", ".zip", ".7z", ".lz4", ".snappy", ".deflate")


@dataclass(frozen=True)
class Inspected:
    """A landing file and what was found.

    columns: (name in the file, name in bronze) in the file's order; empty for JSON lines, whose keys Spark collects.
    types: Arrow types of the columns, for Parquet. rows: how many, for Parquet, which says so.
    new: names in the file that the mapping does not know. absent: optional columns of the mapping that it lacks.
    refusal: why it cannot be ingested.
    """

    path: Path
    bytes: int
    columns: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    rows: int | None = None
    refusal: str | None = None

    def refused(self, reason: str) -> Inspected:
        """The file, refused."""
        return replace(self, refusal=reason)


class _Refused(Exception):
    """Carries the reason within this module."""


def inspect(path: Path, section: Section) -> Inspected:
    """Look at a file as its section describes it. Never raises for what is in the file."""
    found = Inspected(path, 0)
    try:
        found = replace(found, bytes=path.stat().st_size)
        if not found.bytes:
            raise _Refused("it is empty")
        if section.format == "parquet":
            names, types, rows = _parquet(path)
            return with_columns(replace(found, types=types, rows=rows), section, names)
        header = _text(path, section)
        return with_columns(found, section, header) if section.format == "csv" else found
    except _Refused as reason:
        return replace(found, refusal=str(reason))
    except OSError as error:
        return replace(found, refusal=f"it cannot be read: {error.strerror or error}")


def with_columns(found: Inspected, section: Section, names: list[str]) -> Inspected:
    """The file with its columns matched to the section's, or refused because they do not fit.

    A column is matched by its name in bronze, whatever the case.
    """
    mapped = {bronze_name(column).lower(): column for column in section.source_columns}
    seen: dict[str, str] = {}
    columns, new = [], []
    for position, name in enumerate(names, start=1):
        plain = bronze_name(name) or f"column_{position}"
        if plain.lower() in seen:
            return replace(found, refusal=f"the columns {seen[plain.lower()]!r} and {name!r} cannot be told apart")
        seen[plain.lower()] = name
        known = mapped.get(plain.lower())
        columns.append((name, bronze_name(known) if known else plain))
        if known is None:
            new.append(name.strip() or plain)
    absent = [column for key, column in mapped.items() if key not in seen]
    missing = [column for column in absent if column in section.required_columns]
    if missing:
        there = ", ".join(repr(name) for name in names[:50])
        return replace(found, refusal=f"required columns are missing: {', '.join(missing)}; it has: {there or 'none'}")
    if len(names) > MOST_COLUMNS:
        return replace(found, refusal=f"it has {len(names):,} columns; at most {MOST_COLUMNS:,} are taken")
    return replace(found, columns=tuple(columns), new=tuple(new), absent=tuple(absent))


def _text(path: Path, section: Section) -> list[str]:
    """Check every byte of a text file; the header's names for CSV, nothing for JSON lines."""
    if path.suffix.lower() in COMPRESSED:
        raise _Refused(f"{path.suffix} is not read; send it plain or as .gz")
    header: list[str] | None = [] if section.format == "jsonl" else None
    head, rows = "", False
    for text in _decoded(path, section.encoding):
        if header is None:
            head += text
            header, text = _header(head, section.delimiter)
            if header is None and len(head) > LONGEST_HEADER:
                raise _Refused(f"its first line is longer than {LONGEST_HEADER:,} characters")
        rows = rows or bool(text.strip())
    if header is None:
        header, _ = _header(head + "\n", section.delimiter)
    if section.format == "csv" and not any(name.strip() for name in header or []):
        raise _Refused("it holds no header")
    if not rows:
        raise _Refused("it holds no line" if section.format == "jsonl" else "it holds a header and no row")
    return header or []


def _header(text: str, delimiter: str) -> tuple[list[str] | None, str]:
    """The fields of the first line that is not blank, and the text after it; None while that line is incomplete."""
    lines = text.removeprefix("\ufeff").lstrip("\r\n").splitlines(keepends=True)
    if not lines or not lines[0].endswith(("\n", "\r")):
        return None, ""
    # A quoted name may hold a line break; the reader takes as many lines as the row needs.
    reader = csv.reader(iter(lines), delimiter=delimiter)
    try:
        fields = next(reader)
    except csv.Error as error:
        raise _Refused(f"its header cannot be parsed: {error}") from None
    return fields, "".join(lines[reader.line_num :])


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    """The text of a file; refuses NUL bytes and what is not in the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    position = 0
    for chunk in _chunks(path):
        if b"\0" in chunk:
            raise _Refused("it is binary: it holds NUL bytes")
        try:
            yield decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise _Refused(f"it is not {encoding} text: near byte {position + error.start:,}") from None
        position += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _Refused("it ends in the middle of a character: it is cut off") from None


def _chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, unpacked if its name says gzip; refuses what is cut off or not what its name says."""
    packed = path.suffix.lower() == ".gz"
    with path.open("rb") as file:
        first = file.read(len(GZIP))
        file.seek(0)
        if packed != (first == GZIP):
            raise _Refused("it is called .gz but is no gzip" if packed else "it is gzip but is not called .gz")
        if packed:
            yield from _unpacked(file)
        else:
            yield from iter(lambda: file.read(CHUNK), b"")


def _unpacked(file: object) -> Iterator[bytes]:
    """A gzip of one or more members, in pieces of bounded size."""
    unpacker = zlib.decompressobj(wbits=31)
    done = True
    try:
        for chunk in iter(lambda: file.read(CHUNK), b""):  # type: ignore[attr-defined]
            while chunk:
                if done:
                    unpacker, done = zlib.decompressobj(wbits=31), False
                yield unpacker.decompress(chunk, CHUNK)
                while unpacker.unconsumed_tail:
                    yield unpacker.decompress(unpacker.unconsumed_tail, CHUNK)
                chunk, done = unpacker.unused_data, unpacker.eof
    except zlib.error as error:
        raise _Refused(f"its gzip is damaged: {error}") from None
    if not done:
        raise _Refused("its gzip is cut off: the end is missing")


def _parquet(path: Path) -> tuple[list[str], tuple[str, ...], int]:
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise _Refused("it is no Parquet file")
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _Refused(f"its Parquet footer cannot be read, it is damaged or cut off: {_line(error)}") from None
    if not rows:
        raise _Refused("it holds no row")
    return schema.names, tuple(str(field.type) for field in schema), rows


def damaged(path: Path) -> str | None:
    """Why the pages of a Parquet file cannot be read, or None; reads all of it, a batch at a time."""
    try:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches():
                pass
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"its Parquet pages are damaged: {_line(error)}"
    return None


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
