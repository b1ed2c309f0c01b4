"""MovieLens-1M: a folder with the published .dat files (or ratings.parquet), or a download."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from lake.errors import SourceError
from lake.settings import Settings
from lake.sources.download import extract_member, fetch_zip
from lake.sources.landing import digest, landing_folder, whole
from lake.sources.mapping import Kind, Mapping
from lake.sources.report import Days, LoadReport, no_events

NAME = "movielens-1m"
ADDRESS = "https://files.grouplens.org"
ZIPPED = "/datasets/movielens/ml-1m.zip"
MD5 = "c4d9eecfca2ab87c1945afe126590906"  # as GroupLens publishes it beside the file
FILES = ("ratings.dat", "movies.dat", "users.dat")

AGES = {
    "1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56 and over",
}  # fmt: skip
OCCUPATIONS = (
    "other", "academic or educator", "artist", "clerical or administrative", "college or graduate student",
    "customer service", "doctor or health care", "executive or managerial", "farmer", "homemaker", "school student",
    "lawyer", "programmer", "retired", "sales or marketing", "scientist", "self-employed", "technician or engineer",
    "tradesman or craftsman", "unemployed", "writer",
)  # fmt: skip


def load(settings: Settings, path: Path | None, days: Days, base_url: str | None = None) -> LoadReport:
    """Land the ratings of the days, the films and the people. Without a path the archive is downloaded, once a home.

    path: a folder with movies.dat, users.dat and ratings.dat or ratings.parquet (columns user_id, movie_id, rating,
    timestamp in epoch seconds), or the .zip as GroupLens serves it. Raises SourceError when a file is missing or is
    not what it should be, when it cannot be had, or when the days hold no rating.
    """
    folder = path or _downloaded(settings, base_url)
    if folder.suffix == ".zip":
        folder = _unpacked(settings, folder)
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder; expected one that holds {', '.join(FILES)}")
    report = LoadReport(NAME)
    _ratings(settings, folder, days, report)
    films = _dat(folder / "movies.dat", ["movie_id", "title", "genres"])
    _land(settings, "items", f"movies_{digest(folder / 'movies.dat')[:12]}", films, report)
    people = _dat(folder / "users.dat", ["user_id", "gender", "age", "occupation", "postcode"])
    _land(settings, "users", f"users_{digest(folder / 'users.dat')[:12]}", _described(people), report)
    return report


def _downloaded(settings: Settings, base_url: str | None) -> Path:
    # The checksum is that of the official file; another address is a mirror or a test, with a file of its own.
    target = settings.home / "downloads" / "ml-1m.zip"
    return fetch_zip((base_url or ADDRESS) + ZIPPED, target, MD5 if base_url is None else None)


def _unpacked(settings: Settings, archive: Path) -> Path:
    folder = settings.home / "downloads" / f"ml-1m-{digest(archive)[:12]}"
    for name in FILES:
        extract_member(archive, f"/{name}", folder / name)
    return folder


def _ratings(settings: Settings, folder: Path, days: Days, report: LoadReport) -> None:
    source = next((folder / name for name in ("ratings.parquet", "ratings.dat") if (folder / name).exists()), None)
    if source is None:
        raise SourceError(f"{folder} holds neither ratings.dat nor ratings.parquet")
    name = f"ratings_{digest(source)[:12]}_{days}"
    target = landing_folder(settings, NAME, "events") / f"{name}.parquet"
    if target.exists():
        report.add(target, False)
        return
    columns = list(Mapping.bundled(NAME).events.source_columns)
    if source.suffix == ".parquet":
        try:
            rows = pq.read_table(source, columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{source} cannot be read: {str(error).splitlines()[0][:200]}") from None
    else:
        rows = _dat(source, ["user_id", "movie_id", "rating", "timestamp"]).select(columns)
    try:
        seconds = rows["timestamp"].cast(pa.int64())
    except (pa.ArrowException, KeyError):
        raise SourceError(f"{source} needs the columns {', '.join(columns)}, with timestamp in whole seconds") from None
    keep = pc.is_valid(seconds)
    if days.start:
        keep = pc.and_(keep, pc.greater_equal(seconds, _epoch(days.start)))
    if days.end:
        keep = pc.and_(keep, pc.less(seconds, _epoch(days.end)))
    chosen = rows.filter(keep)
    if not chosen.num_rows:
        bounds = pc.min_max(seconds).as_py()
        first, last = (datetime.fromtimestamp(bounds[key], UTC).date() for key in ("min", "max"))
        raise no_events(NAME, days, first, last)
    _land(settings, "events", name, chosen, report)


def _epoch(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _dat(path: Path, names: list[str]) -> pa.Table:
    """A file with :: between its fields and Latin-1 letters, as text columns."""
    if not path.exists():
        raise SourceError(f"{path} is missing; the folder must hold {', '.join(FILES)}")
    text = path.read_bytes().decode("iso-8859-1")
    if "\t" in text:
        raise SourceError(f"{path} holds tabs; the fields of MovieLens-1M are divided by ::")
    try:
        return pcsv.read_csv(
            pa.BufferReader(text.replace("::", "\t").encode()),
            read_options=pcsv.ReadOptions(column_names=names),
            parse_options=pcsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pcsv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path} is not what MovieLens-1M publishes: {str(error).splitlines()[0][:200]}") from None


def _described(people: pa.Table) -> pa.Table:
    """The codes of age and occupation as words. The postcode stays behind: nothing needs it."""
    ages = [AGES.get(code) for code in people["age"].to_pylist()]
    named = dict(enumerate(OCCUPATIONS))
    occupations = [named.get(int(code)) if code.isdigit() else None for code in people["occupation"].to_pylist()]
    return pa.table(
        {
            "user_id": people["user_id"],
            "gender": people["gender"],
            "age_group": pa.array(ages, pa.string()),
            "occupation": pa.array(occupations, pa.string()),
        }
    )


def _land(settings: Settings, kind: Kind, name: str, table: pa.Table, report: LoadReport) -> None:
    target = landing_folder(settings, NAME, kind) / f"{name}.parquet"
    new = not target.exists()
    if new:
        with whole(target) as partial:
            pq.write_table(table, partial)
    report.add(target, new, kind, table.num_rows)
