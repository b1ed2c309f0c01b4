"""Landing files as frames of text: one reader a format, each giving the same columns for the same data.

A frame has the file's columns under their names in bronze, all strings, then `_corrupt_record` (the line as received
when it could not be parsed) and `_file` (below the landing folder).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructField, StructType

from lake.sources.inspection import Inspected, with_columns
from lake.sources.sections import Section

CORRUPT = "_corrupt_record"
MOST_KEYS = 2_000

_CORRUPT_READ = "\u0001corrupt"  # while reading; no column of a file is called so
_URI = "_metadata.file_path"
_NANOS = "spark.sql.legacy.parquet.nanosAsLong"


def read_text_rows(spark: SparkSession, landing: Path, section: Section, files: list[Inspected]) -> DataFrame:
    """The rows of files of one kind that passed inspection; a column that a file lacks is null in its rows."""
    if section.format == "csv":
        frames = [_csv(spark, landing, section, group) for group in _alike(files)]
    elif section.format == "jsonl":
        frames = [_jsonl(spark, landing, group) for group in _compatible(files)]
    else:
        frames = [_parquet(spark, landing, group) for group in _alike(files)]
    return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)


def with_json_keys(spark: SparkSession, landing: Path, section: Section, files: list[Inspected]) -> list[Inspected]:
    """JSON lines files with the keys of their objects as columns, or refused: one pass over all of them."""
    lines = spark.read.text(_paths(files)).select(F.col(_URI).alias("uri"), F.json_object_keys("value").alias("keys"))
    # Most lines of a file have the same keys in the same order: few lists are left, and few paths to decode.
    told = lines.distinct().select(_file(landing, files, "uri"), F.explode("keys").alias("key")).groupBy("_file")
    found_keys = told.agg(F.slice(F.collect_set("key"), 1, MOST_KEYS + 1).alias("keys"))
    keys = {row["_file"]: sorted(row["keys"]) for row in found_keys.collect()}
    found = []
    for file in files:
        names = keys.get(file.path.relative_to(landing).as_posix())
        if names is None:
            found.append(file.refused("no line of it holds a JSON object"))
        else:
            found.append(with_columns(file, section, names))
    return found


@contextmanager
def nanoseconds_readable(spark: SparkSession) -> Iterator[None]:
    """Spark cannot read Parquet's nanosecond timestamps, which pandas writes, but as numbers."""
    before = spark.conf.get(_NANOS, "false")
    spark.conf.set(_NANOS, "true")
    try:
        yield
    finally:
        spark.conf.set(_NANOS, before or "false")


def _alike(files: list[Inspected]) -> list[list[Inspected]]:
    """Files with the very same columns in the same order."""
    groups: dict[object, list[Inspected]] = defaultdict(list)
    for file in files:
        groups[(file.columns, file.types)].append(file)
    return list(groups.values())


def _compatible(files: list[Inspected]) -> list[list[Inspected]]:
    """JSON files whose keys can stand in one schema: no two names for one column."""
    groups: list[tuple[dict[str, str], list[Inspected]]] = []
    for file in files:
        names = {plain: name for name, plain in file.columns}
        for known, group in groups:
            if all(known.get(plain, name) == name for plain, name in names.items()):
                known.update(names)
                group.append(file)
                break
        else:
            groups.append((dict(names), [file]))
    return [group for _, group in groups]


def _csv(spark: SparkSession, landing: Path, section: Section, files: list[Inspected]) -> DataFrame:
    plain = [name for _, name in files[0].columns]
    frame = (
        spark.read.schema(_strings([*plain, _CORRUPT_READ]))
        .option("header", "true")
        .option("sep", section.delimiter)
        .option("encoding", section.encoding)
        .option("multiLine", section.multiline)
        .option("quote", '"')
        .option("escape", '"')
        .option("maxColumns", len(plain) + 1_000)
        .option("mode", "PERMISSIVE")
        .option("columnNameOfCorruptRecord", _CORRUPT_READ)
        .csv(_paths(files))
    )
    return frame.select(*(_named(name) for name in plain), _named(_CORRUPT_READ).alias(CORRUPT), _file(landing, files))


def _jsonl(spark: SparkSession, landing: Path, files: list[Inspected]) -> DataFrame:
    columns = {plain: name for file in files for name, plain in file.columns}
    frame = (
        spark.read.schema(_strings([*columns.values(), _CORRUPT_READ]))
        .option("mode", "PERMISSIVE")
        .option("columnNameOfCorruptRecord", _CORRUPT_READ)
        .json(_paths(files))
    )
    values = (_named(name).alias(plain) for plain, name in columns.items())
    return frame.select(*values, _named(_CORRUPT_READ).alias(CORRUPT), _file(landing, files))


def _parquet(spark: SparkSession, landing: Path, files: list[Inspected]) -> DataFrame:
    """Expects to be planned and run within `nanoseconds_readable`."""
    frame = spark.read.parquet(*_paths(files))
    types = {field.name: field.dataType for field in frame.schema.fields}
    values = (
        _as_text(_named(name), types[name], arrow).alias(plain)
        for (name, plain), arrow in zip(files[0].columns, files[0].types, strict=True)
    )
    return frame.select(*values, F.lit(None).cast("string").alias(CORRUPT), _file(landing, files))


def _as_text(value: Column, type: DataType, arrow: str) -> Column:
    """A typed value as text: times in ISO 8601, with Z where the type says an instant; nested values as JSON."""
    kind = type.typeName()
    if arrow.startswith("timestamp[ns") and kind == "long":
        value = F.timestamp_micros(F.call_function("div", value, F.lit(1000)))
        kind = "timestamp" if "tz=" in arrow else "timestamp_ntz"
    if kind in ("timestamp", "timestamp_ntz"):
        text = F.translate(value.cast("string"), " ", "T")
        return F.concat(text, F.lit("Z")) if kind == "timestamp" else text
    if kind in ("struct", "array", "map", "variant"):
        return F.to_json(value)
    return value.cast("string")


def _strings(names: list[str]) -> StructType:
    return StructType([StructField(name, StringType()) for name in names])


def _named(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _paths(files: list[Inspected]) -> list[str]:
    """Paths for Spark, which would take some letters of a name for a pattern."""
    return [re.sub(r"([\\*?\[\]{}])", r"\\\1", str(file.path)) for file in files]


def _file(landing: Path, files: list[Inspected], uri: str = _URI) -> Column:
    """The file of a row, below the landing folder, as `_file`."""
    if len(files) == 1:
        return F.lit(files[0].path.relative_to(landing).as_posix()).alias("_file")
    # Spark gives an encoded URI, in which + is a plain plus sign; where it has no %, decoding it row by row is spared.
    decoded = F.url_decode(F.replace(F.col(uri), F.lit("+"), F.lit("%2B")))
    path = F.when(F.contains(F.col(uri), F.lit("%")), decoded).otherwise(F.col(uri))
    # file:/landing/... or file:///landing/...
    return F.substr(path, F.locate(str(landing), path) + F.lit(len(str(landing)) + 1)).alias("_file")
