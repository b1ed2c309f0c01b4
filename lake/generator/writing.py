"""A generated log as files: all of it under its name, or nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from lake.console import step
from lake.errors import SourceError
from lake.generator import events, people
from lake.generator.catalogue import items
from lake.generator.lines import lines, texts_of, truth_of
from lake.generator.params import Params

MAPPING = Path(__file__).parent / "generated.toml"
LINES_A_FILE = 1_000_000
ITEM_COLUMNS = {"item_id": "item", "title": "title", "department": "department", "range": "range", "type": "type",
                "brand": "brand", "price": "price"}  # fmt: skip
USER_COLUMNS = {"user_id": "user", "country": "country", "born": "born", "level": "level", "favourite": "favourite"}
ITEM_TRUTH = ("item_id", "category", "department", "range", "type", "price_position", "appeal")
USER_TRUTH = ("user_id", "is_bot", "activity", "categories", "weights", "price_level", "devices", "consent")


@dataclass(frozen=True)
class Generated:
    """What was written: files and rows by kind, and the lines of each kind of defect (bots' events among them)."""

    folder: Path
    params: Params
    files: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    defects: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def write_log(spark: SparkSession, params: Params, out: Path) -> Generated:
    """Write events/, items/, users/, consents/ (JSON lines), truth/ (Parquet), generated.toml and generated.json.

    Expects a session in UTC. Raises SettingError for parameters out of bounds, SourceError when `out` holds anything.
    """
    params.check()
    check_folder(out)
    with _new_folder(out) as folder:
        found = Generated(out, params)
        frame = log_lines(spark, params)
        with step(f"generating {params.events:,} events of {params.users:,} users on {params.days:,} days"):
            found.rows["events"], found.files["events"] = _events(frame, params, folder / "events")
        with step("the truth about defects"):
            truth_of(frame).write.parquet(str(folder / "truth" / "defects"))
            kinds = spark.read.parquet(str(folder / "truth" / "defects")).groupBy("kind").count().collect()
            found.defects.update(sorted((row["kind"], row["count"]) for row in kinds))
        with step(f"{params.items:,} items, {params.users:,} users, consents"):
            catalogue, users = items(spark, params), people.users(spark, params)
            catalogue.select(*ITEM_TRUTH).write.parquet(str(folder / "truth" / "items"))
            users.select(*USER_TRUTH).write.parquet(str(folder / "truth" / "users"))
            decisions = people.decisions(users).withColumn("at", F.date_format("at", "yyyy-MM-dd'T'HH:mm:ss'Z'"))
            for kind, rows in {
                "items": _renamed(catalogue, ITEM_COLUMNS),
                "users": _renamed(users, USER_COLUMNS),
                "consents": _renamed(decisions, {"user_id": "user", "at": "at", "granted": "granted"}),
            }.items():
                found.rows[kind], found.files[kind] = _json_lines(rows, folder / kind)
        shutil.copyfile(MAPPING, folder / MAPPING.name)
        text = json.dumps(found.as_dict() | {"folder": None}, default=str, indent=2)
        (folder / "generated.json").write_text(text + "\n", encoding="utf-8")
    return found


def log_lines(spark: SparkSession, params: Params, rows_a_task: int = events.ROWS_A_TASK) -> DataFrame:
    """All lines of the log with their truth, as `lines` describes them. rows_a_task decides nothing but the tasks."""
    return lines(params, events.of_people(spark, params, rows_a_task), events.of_bots(spark, params))


def _events(frame: DataFrame, params: Params, folder: Path) -> tuple[int, int]:
    """One set of files a day, each in the order of time; how many lines and files."""
    seen = Observation("lines")
    tasks = max(min(params.days, 8), params.events // LINES_A_FILE)
    (
        texts_of(frame)
        .observe(seen, F.count("*").alias("lines"))
        # As text already here: a sort by anything but the very column of the folders would not survive the writer's.
        .withColumn("day", F.col("landed").cast("string"))
        .repartition(tasks, "day")
        .sortWithinPartitions("day", "at", "value")
        .select("value", "day")
        .write.partitionBy("day")
        .option("maxRecordsPerFile", LINES_A_FILE)
        .text(str(folder / "parts"))
    )
    return int(seen.get["lines"]), _flattened(folder)


def _json_lines(frame: DataFrame, folder: Path) -> tuple[int, int]:
    seen = Observation("lines")
    counted = frame.observe(seen, F.count("*").alias("lines"))
    counted.select(F.to_json(F.struct(*frame.columns)).alias("value")).write.text(str(folder / "parts" / "day=all"))
    return int(seen.get["lines"]), _flattened(folder)


def _flattened(folder: Path) -> int:
    """Move Spark's parts to <day>-<number>.jsonl: `attune load` takes the files of one folder. How many there are."""
    count = 0
    for day in sorted((folder / "parts").glob("day=*")):
        whole = [part for part in sorted(day.glob("part-*")) if part.stat().st_size]
        for number, part in enumerate(whole):
            part.rename(folder / f"{day.name.removeprefix('day=')}-{number:04}.jsonl")
        count += len(whole)
    shutil.rmtree(folder / "parts")
    return count


def _renamed(frame: DataFrame, columns: dict[str, str]) -> DataFrame:
    return frame.select(*(F.col(name).alias(new) for name, new in columns.items()))


def check_folder(out: Path) -> Path:
    """The path itself. Raises SourceError when it is a file, or a folder that holds anything."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise SourceError(f"got --out {out}, which {what}; allowed: a new or an empty folder")
    return out


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes it when the block ends well, and is gone otherwise."""
    partial = out.with_name(f".{os.getpid()}-{out.name}")
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
