"""Landing to bronze: exactly once a file, every bad file told, every good row kept as received."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import ingest_events
from jobs.job import Context, Report
from lake import delta
from lake.errors import SourceError
from lake.settings import Settings
from lake.sources import load
from lake.sources.landing import register
from lake.sources.mapping import Mapping
from lake.window import Window
from tests.frames import assert_same_rows

WINDOW = Window(date(2024, 1, 1), date(2024, 3, 1))
HEADER = "user,item,at,price\n"
ROWS = [("u1", "i1", "2024-01-05 10:00:00", "1.5"), ("u2", "i2", "2024-02-06 11:00:00", "2")]


def shop(name: str = "shop", format: str = "csv", more: str = "") -> str:
    return (
        f'name = "{name}"\n[events]\nformat = "{format}"\n[events.columns]\nuser_id = "user"\nitem_id = "item"\n'
        f'event_time = "at"\nunit_price = "price"\n[events.constants]\nevent_type = "purchase"\n{more}'
    )


def known(settings: Settings, text: str) -> None:
    register(settings, Mapping.parse(text, "test"), text)


def land(settings: Settings, name: str, content: bytes | str, source: str = "shop", kind: str = "events") -> Path:
    path = settings.landing / source / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def csv_of(rows: Iterable[tuple[str, ...]]) -> str:
    return HEADER + "".join(",".join(row) + "\n" for row in rows)


def ingest(settings: Settings, window: Window = WINDOW) -> Report:
    return ingest_events.run(Context("ingest_events", window, settings))


def bronze(spark: SparkSession, settings: Settings, name: str = "shop") -> DataFrame:
    return delta.read(spark, settings, f"bronze.{name}")


def noted(spark: SparkSession, settings: Settings) -> dict[str, tuple[str, str | None, int | None]]:
    """path -> (status, reason, rows); fails when a path is noted twice."""
    rows = delta.read(spark, settings, "ops.files").collect()
    assert len({row.path for row in rows}) == len(rows)
    return {row.path: (row.status, row.reason, row["rows"]) for row in rows}


def test_rows_arrive_as_received_with_their_file_and_date(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop())
    future, old, none = ("u", "i", "2030-01-01", "1"), ("u", "i", "1969-12-31", "1"), ("u", "i", "soon", "")
    land(settings, "a b+c%41[1]*.csv", csv_of([ROWS[0], future, old, none]))
    land(settings, "ü/second.csv", csv_of([ROWS[1]]))
    report = ingest(settings)
    assert (report.rows_read, report.details["files_ingested"], report.details["files_refused"]) == (5, 2, 0)
    rows = bronze(spark, settings)
    columns = "user item at price _corrupt_record _file _kind _received_at _logical_date _window_date"
    assert rows.columns == columns.split()
    assert {type.simpleString() for name, type in ((f.name, f.dataType) for f in rows.schema) if name[0] != "_"} == {
        "string"
    }
    first = "shop/events/a b+c%41[1]*.csv"
    got = {(row.at, row._file, row._window_date.isoformat()) for row in rows.collect()}
    assert got == {
        ("2024-01-05 10:00:00", first, "2024-01-05"),
        ("2030-01-01", first, "2024-02-29"),
        ("1969-12-31", first, "2024-02-29"),
        ("soon", first, "2024-02-29"),
        ("2024-02-06 11:00:00", "shop/events/ü/second.csv", "2024-02-06"),
    }
    assert rows.where("price IS NULL").count() == 1
    assert rows.select("_kind", "_logical_date").distinct().collect() == [("events", date(2024, 2, 29))]
    assert {name: row[2] for name, row in noted(spark, settings).items()} == {first: 4, "shop/events/ü/second.csv": 1}


def test_ids_with_anything_in_them_are_kept_as_they_are(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop())
    ids = ["../../etc", "a'b", 'say ""hi""', "line; DROP TABLE x --", "日本語 ü", "x" * 10_000, "back\\slash", " pad "]
    land(settings, "ids.csv", HEADER + "".join(f'"{id}",i1,2024-01-05,1\n' for id in ids))
    assert ingest(settings).details["lines_unparsable"] == 0
    assert {row.user for row in bronze(spark, settings).collect()} == {id.replace('""', '"') for id in ids}


def test_a_second_run_takes_only_what_is_new(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop())
    land(settings, "one.csv", csv_of([ROWS[0]]))
    land(settings, ".partial.csv", csv_of([ROWS[1]]))
    land(settings, "_hidden/two.csv", csv_of([ROWS[1]]))
    assert ingest(settings).rows_read == 1
    version = delta.version(spark, settings, "bronze.shop")
    assert ingest(settings).skipped == "no new file"
    assert delta.version(spark, settings, "bronze.shop") == version
    late = land(settings, "two.csv", csv_of(ROWS))
    # A file that was put there with the time of long ago is new all the same.
    shutil.copystat(__file__, late)
    assert ingest(settings).rows_read == 2
    assert bronze(spark, settings).count() == 3
    assert set(noted(spark, settings)) == {"shop/events/one.csv", "shop/events/two.csv"}


def test_every_bad_file_is_refused_with_a_reason_and_no_good_row_is_lost(
    spark: SparkSession, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    known(settings, shop())
    good = csv_of(ROWS)
    bad = {
        "empty.csv": (b"", "it is empty"),
        "header.csv": (HEADER, "a header and no row"),
        "truncated.csv.gz": (gzip.compress(good.encode() * 999)[:-9], "gzip is cut off"),
        "binary.csv": (b"user,item,at\n\x00\x01\x02", "NUL bytes"),
        "missing.csv": ("user,at\nu,2024-01-01\n", "required columns are missing: item"),
    }
    for name, (content, _) in bad.items():
        land(settings, name, content)
    land(settings, "items.csv", "id\n1\n", kind="items")
    land(settings, "../stray.csv", "x\n1\n")
    land(settings, "good.csv", good)
    land(settings, "good.csv.gz", gzip.compress(good.encode()))
    land(settings, "lines.csv", HEADER + "u3,i3,2024-01-07 10:00:00,1\nonly-one-field\nu4,i4,2024-01-07,1,too,many\n")
    report = ingest(settings)
    assert (report.rows_read, report.details["files_refused"], report.details["lines_unparsable"]) == (7, 7, 2)
    report.check_books()
    files = noted(spark, settings)
    for name, (_, reason) in bad.items():
        status, why, rows = files[f"shop/events/{name}"]
        assert (status, rows) == ("refused", None) and reason in (why or "")
    assert "the mapping has no [items]" in (files["shop/items/items.csv"][1] or "")
    assert "no folder of shop that is read" in (files["shop/stray.csv"][1] or "")
    told = capsys.readouterr().err
    assert "refused shop/events/empty.csv: it is empty; it stays refused until it lands under a new name" in told
    assert "shop/events/lines.csv: 2 of 3 lines cannot be parsed" in told
    rows = bronze(spark, settings)
    assert rows.where(F.col("_corrupt_record").isNull()).count() == 5
    corrupt = {row._corrupt_record for row in rows.where(F.col("_corrupt_record").isNotNull()).collect()}
    assert corrupt == {"only-one-field", "u4,i4,2024-01-07,1,too,many"}
    # Mended in place it stays refused; under a new name it comes in.
    land(settings, "empty.csv", good)
    assert ingest(settings).skipped
    land(settings, "empty-2.csv", good)
    assert ingest(settings).rows_read == 2


def test_a_new_column_is_kept_and_told_and_a_lacking_one_is_null(
    spark: SparkSession, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    known(settings, shop())
    land(settings, "1.csv", csv_of(ROWS))
    ingest(settings)
    land(settings, "2.csv", "user,item,at,Gift Wrap\nu9,i9,2024-01-09,yes\n")
    report = ingest(settings)
    assert report.details["new columns shop/events"] == "Gift Wrap"
    assert report.details["absent columns shop/events"] == "price"
    told = capsys.readouterr().err
    assert "shop/events: columns the mapping does not name, kept in bronze: Gift Wrap" in told
    rows = {row.user: (row.Gift_Wrap, row.price) for row in bronze(spark, settings).collect()}
    assert rows == {"u1": (None, "1.5"), "u2": (None, "2"), "u9": ("yes", None)}
    file = delta.read(spark, settings, "ops.files").where("path LIKE '%2.csv'").collect()[0]
    assert file.new_columns == ["Gift Wrap"]


def test_the_same_events_as_csv_json_lines_and_parquet_give_the_same_rows(
    spark: SparkSession, settings: Settings
) -> None:
    # Numbers, a blank in a name, a null, a quote and a comma: each format writes them its own way.
    table = {
        "user": ["u1", "u2", 'ü, "3"'],
        "item": [7, 8, 9],
        "at": ["2024-01-05T10:00:00", "2024-01-06T10:00:00", "2024-02-29T23:59:59"],
        "price": [1.5, 0.25, 2.75],
        "Gift Wrap": [True, None, False],
    }
    times = [datetime.fromisoformat(text) for text in table["at"]]  # type: ignore[arg-type]
    for format in ("csv", "jsonl", "parquet"):
        known(settings, shop(f"shop-{format}", format))
    lines = [",".join(table)]
    for user, item, at, price, wrap in zip(*table.values(), strict=True):
        quoted = '"' + str(user).replace('"', '""') + '"'
        lines.append(f"{quoted},{item},{at},{price},{'' if wrap is None else str(wrap).lower()}")
    land(settings, "a.csv", "\n".join(lines), "shop-csv")
    objects = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    land(settings, "a.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in objects), "shop-jsonl")
    path = land(settings, "a.parquet", "", "shop-parquet")
    # Nanoseconds without a zone are what pandas writes; Spark itself cannot read them.
    pq.write_table(pa.table({**table, "at": pa.array(times, pa.timestamp("ns"))}), path)
    assert ingest(settings).rows_read == 9
    frames = [
        bronze(spark, settings, f"shop-{format}").drop("_file", "_received_at")
        for format in ("csv", "jsonl", "parquet")
    ]
    assert frames[0].where("item = '7'").select("at", "price", "Gift_Wrap", "_window_date").collect() == [
        ("2024-01-05T10:00:00", "1.5", "true", date(2024, 1, 5))
    ]
    assert_same_rows(frames[1], frames[0])
    assert_same_rows(frames[2], frames[0])


def test_json_lines_keep_every_key_and_say_which_lines_are_no_objects(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop(format="jsonl"))
    land(
        settings,
        "a.jsonl",
        '{"user": "u1", "item": 1.10, "at": "2024-01-05", "deep": {"a": [1, 2.50]}}\n{"user": "u2"\n',
    )
    land(settings, "b.jsonl", '{"USER": "u3", "item": "2", "at": "2024-01-06", "_file": "theirs"}\n\nnot json\n')
    land(settings, "c.jsonl", "[1]\n")
    land(settings, "d.jsonl", '{"user": "u4"}\n')
    report = ingest(settings)
    assert (report.rows_read, report.details["lines_unparsable"], report.details["files_refused"]) == (4, 2, 2)
    rows = bronze(spark, settings).select("user", "item", "deep", "source_file", "_corrupt_record")
    assert set(rows.collect()) == {
        ("u1", "1.10", '{"a": [1, 2.50]}', None, None),
        ("u3", "2", None, "theirs", None),
        (None, None, None, None, '{"user": "u2"'),
        (None, None, None, None, "not json"),
    }
    reasons = {name[-7:]: row[1] or "" for name, row in noted(spark, settings).items() if row[0] == "refused"}
    assert reasons["c.jsonl"] == "no line of it holds a JSON object"
    assert "required columns are missing: item, at" in reasons["d.jsonl"]


def test_typed_parquet_becomes_text_that_says_what_it_was(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop(format="parquet"))
    path = land(settings, "a.parquet", "")
    instant = datetime(2024, 1, 5, 10, 0, 0, 250_000)
    pq.write_table(
        pa.table(
            {
                "user": pa.array([2**60], pa.int64()),
                "item": pa.array([b"raw"], pa.binary()),
                "at": pa.array([instant], pa.timestamp("us", tz="UTC")),
                "price": pa.array([None], pa.null()),
                "day": pa.array([date(2024, 1, 5)], pa.date32()),
                "local": pa.array([instant], pa.timestamp("ns")),
                "tags": pa.array([["a", "b"]], pa.list_(pa.string())),
                "small": pa.array([0.1], pa.float32()),
            }
        ),
        path,
    )
    ingest(settings)
    row = bronze(spark, settings).collect()[0]
    assert (row.user, row.item, row.at, row.price) == (str(2**60), "raw", "2024-01-05T10:00:00.25Z", None)
    assert (row.day, row.local, row.tags, row.small) == ("2024-01-05", "2024-01-05T10:00:00.25", '["a","b"]', "0.1")
    assert row._window_date == date(2024, 1, 5)


def test_damaged_parquet_pages_refuse_that_file_and_no_other(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop(format="parquet"))
    table = pa.table({"user": [f"u{n}" for n in range(999)], "item": ["i"] * 999, "at": ["2024-01-05"] * 999})
    good, bad = (land(settings, f"{name}.parquet", "") for name in ("good", "bad"))
    pq.write_table(table, good)
    pq.write_table(table, bad, compression="gzip")
    content = bytearray(bad.read_bytes())
    content[60:400] = b"\xaa" * 340
    bad.write_bytes(content)
    report = ingest(settings)
    assert (report.rows_read, report.details["files_refused"]) == (999, 1)
    assert "pages are damaged" in (noted(spark, settings)["shop/events/bad.parquet"][1] or "")


def test_items_users_and_consents_go_to_tables_of_their_own(spark: SparkSession, settings: Settings) -> None:
    more = (
        '[items]\nformat = "jsonl"\n[items.columns]\nitem_id = "id"\ntitle = "name"\n'
        '[users]\nformat = "csv"\n[users.columns]\nuser_id = "who"\n'
        '[consents]\nformat = "csv"\n[consents.columns]\n'
        'user_id = "who"\npurpose = "what"\nat = "when"\ngranted = "yes"\n'
    )
    known(settings, shop(more=more))
    land(settings, "i.jsonl", '{"id": "1", "name": "one"}\n', kind="items")
    land(settings, "u.csv", "who\nu1\n", kind="users")
    land(settings, "c.csv", "who,what,when,yes\nu1,personalisation,2024-01-01,true\n", kind="consents")
    report = ingest(settings)
    assert report.rows_read == 3
    for kind in ("items", "users", "consents"):
        row = bronze(spark, settings, f"shop_{kind}").collect()[0]
        assert (row._kind, row._window_date) == (kind, date(2024, 2, 29))
    with pytest.raises(SourceError, match="there is no table"):
        try:
            bronze(spark, settings)
        except Exception as error:
            raise SourceError(str(error)) from None


def test_real_slices_of_all_sources_are_taken_in_whole(
    spark: SparkSession, settings: Settings, online_retail_file: Path, movielens_1m_folder: Path
) -> None:
    days = {
        "online-retail-ii": (online_retail_file, date(2010, 12, 5), date(2010, 12, 6), 5_450),
        "movielens-1m": (movielens_1m_folder, date(2001, 1, 1), date(2001, 1, 3), None),
        "complete-journey": (None, date(2017, 3, 1), date(2017, 3, 2), None),
    }
    counts = {}
    for source, (path, start, end, count) in days.items():
        counts[source] = load(source, settings, path, start=start, end=end).rows
        assert count in (None, counts[source]["events"])
    report = ingest(settings, Window(date(2000, 1, 1), date(2018, 1, 1)))
    assert report.rows_read == sum(sum(kinds.values()) for kinds in counts.values())
    assert (report.details["files_refused"], report.details["lines_unparsable"]) == (0, 0)
    assert not [key for key in report.details if "columns" in key]
    for source, (_, start, end, _) in days.items():
        rows = bronze(spark, settings, source)
        outside = rows.where(~F.col("_window_date").between(F.lit(start), F.date_sub(F.lit(end), 1)))
        assert (rows.count(), outside.count()) == (counts[source]["events"], 0)


def crash(settings: Settings, batch: int = 0) -> None:
    """What a kill leaves that came before the batch was confirmed."""
    commits = settings.checkpoints / "ingest" / "shop" / "commits"
    (commits / str(batch)).unlink()
    (commits / f".{batch}.crc").unlink(missing_ok=True)


def test_a_batch_that_is_repeated_after_a_kill_changes_nothing(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop())
    land(settings, "a.csv", csv_of(ROWS))
    ingest(settings)
    land(settings, "b.csv", csv_of(ROWS))
    land(settings, "bad.csv", "")
    ingest(settings)
    before = bronze(spark, settings).localCheckpoint()
    files = noted(spark, settings)
    crash(settings, 1)
    land(settings, "c.csv", csv_of(ROWS))
    ingest(settings)
    rows = bronze(spark, settings)
    assert_same_rows(rows.where("_file != 'shop/events/c.csv'"), before)
    assert rows.count() == 6
    assert {name: row for name, row in noted(spark, settings).items() if "c.csv" not in name} == files


def test_a_failure_between_the_rows_and_the_note_is_mended_by_the_next_run(
    spark: SparkSession, settings: Settings
) -> None:
    known(settings, shop())
    land(settings, "a.csv", csv_of(ROWS))
    blocked = delta.table_path(settings, "ops.files")
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    with pytest.raises(Exception, match="files"):
        ingest(settings)
    assert bronze(spark, settings).count() == 2
    blocked.unlink()
    # Another night takes it up; the rows stay those of the first.
    assert ingest(settings, Window(date(2024, 1, 1), date(2024, 4, 1))).rows_read == 2
    assert bronze(spark, settings).count() == 2
    assert noted(spark, settings) == {"shop/events/a.csv": ("ingested", None, 2)}


def test_a_lost_checkpoint_brings_nothing_in_again(spark: SparkSession, settings: Settings) -> None:
    known(settings, shop())
    land(settings, "a.csv", csv_of(ROWS))
    ingest(settings)
    shutil.rmtree(settings.checkpoints)
    shutil.rmtree(delta.table_path(settings, "ops.files"))
    land(settings, "b.csv", csv_of(ROWS))
    ingest(settings)
    assert bronze(spark, settings).groupBy("_file").count().where("count != 2").isEmpty()
    assert noted(spark, settings) == {f"shop/events/{name}.csv": ("ingested", None, 2) for name in "ab"}


def test_a_home_that_moves_brings_nothing_in_again(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    known(settings, shop())
    land(settings, "a.csv", csv_of(ROWS))
    ingest(settings)
    moved = settings.model_copy(update={"home": tmp_path / "moved"})
    shutil.move(settings.home, moved.home)
    assert ingest(moved).skipped == "no new file"
    land(moved, "b.csv", csv_of(ROWS))
    assert ingest(moved).rows_read == 2
    assert bronze(spark, moved).count() == 4


def test_a_file_that_is_gone_before_the_repeat_does_not_block_the_others(
    spark: SparkSession, settings: Settings
) -> None:
    known(settings, shop())
    gone = land(settings, "a.csv", csv_of(ROWS))
    blocked = delta.table_path(settings, "ops.files")
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    with pytest.raises(Exception, match="files"):
        ingest(settings)
    blocked.unlink()
    gone.unlink()
    land(settings, "b.csv", csv_of(ROWS))
    ingest(settings)
    assert noted(spark, settings)["shop/events/b.csv"] == ("ingested", None, 2)


def test_no_source_or_no_file_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"no source is registered.*attune load complete-journey"):
        ingest(settings)
    known(settings, shop())
    with pytest.raises(SourceError, match=r"nothing has landed.*run attune load, or put files into"):
        ingest(settings)


def test_a_name_with_a_colon_is_named_before_it_stops_everything(settings: Settings) -> None:
    known(settings, shop())
    land(settings, "12:30.csv", csv_of(ROWS))
    with pytest.raises(SourceError, match=r"12:30\.csv: a name with a colon cannot be read; rename it"):
        ingest(settings)


def test_only_refused_files_end_well_and_say_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    known(settings, shop())
    land(settings, "empty.csv", "")
    report = ingest(settings)
    assert report.rows_read == 0
    assert report.details["warning"] == "every file was refused and nothing was ever ingested"
    assert "every file was refused and nothing was ever ingested" in capsys.readouterr().err


def test_bronze_keeps_people_out_of_the_log_and_opens_without_spark(spark: SparkSession, settings: Settings) -> None:
    from deltalake import DeltaTable as WithoutSpark

    known(settings, shop())
    land(settings, "a.csv", csv_of([("secret-person", "i1", "2024-01-05", "1")]))
    ingest(settings)
    path = delta.table_path(settings, "bronze.shop")
    log = "".join(file.read_text() for file in (path / "_delta_log").glob("*.json"))
    assert "secret-person" not in log and '\\"_window_date\\":\\"2024-01-05\\"' in log
    table = WithoutSpark(path)
    assert table.protocol().min_reader_version == 1
    assert table.to_pyarrow_table().num_rows == 1
