"""Loaders: what lands, under which name, and what is said when it cannot."""

from __future__ import annotations

import csv
import gzip
import io
import threading
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from lake.errors import SourceError, WindowError
from lake.settings import Settings
from lake.sources import load
from lake.sources.complete_journey import size_in_words, title
from lake.sources.mapping import Mapping

RETAIL = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
SHOP = """name = "shop"
[events]
format = "csv"
[events.columns]
user_id = "u"
item_id = "i"
event_time = "t"
[events.constants]
event_type = "view"
"""


def workbook(path: Path) -> Path:
    """Two sheets as UCI's: numbers where cells look like numbers, a missing customer, a letter in a code."""
    book = openpyxl.Workbook()
    first, second = book.active, book.create_sheet("Year 2010-2011")
    assert first is not None
    first.title = "Year 2009-2010"
    for sheet in (first, second):
        sheet.append(RETAIL)
    first.append([489434, 85048, " GLASS BALL", 12, datetime(2009, 12, 1, 7, 45), 6.95, 13085, "United Kingdom"])
    first.append([489435, "79323P", 'THE "BIG", ONE', -1, datetime(2010, 7, 1, 0, 30), 2.1, None, "EIRE"])
    second.append(["C536379", "D", None, -1, datetime(2011, 12, 9, 12, 50), 27.5, 14527, "United Kingdom"])
    book.save(path)
    return path


EXPECTED = [
    RETAIL,
    ["489434", "85048", " GLASS BALL", "12", "2009-12-01 07:45:00", "6.95", "13085", "United Kingdom"],
    ["489435", "79323P", 'THE "BIG", ONE', "-1", "2010-07-01 00:30:00", "2.1", "", "EIRE"],
    ["C536379", "D", "", "-1", "2011-12-09 12:50:00", "27.5", "14527", "United Kingdom"],
]


def landed(settings: Settings, source: str, kind: str = "events") -> list[Path]:
    """Everything in a landing folder, hidden names too."""
    return sorted((settings.landing / source / kind).iterdir())


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text())))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on loopback, and the folder it serves."""
    folder = tmp_path / "www"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", folder
        running.shutdown()


def test_an_unknown_source_lists_the_sources(settings: Settings) -> None:
    with pytest.raises(SourceError, match="no source 'movies'; sources: complete-journey, online-retail-ii, movielens"):
        load("movies", settings)


def test_options_that_do_not_fit_a_source_are_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="takes no path"):
        load("complete-journey", settings, tmp_path)
    with pytest.raises(SourceError, match="brings its own mapping"):
        load("movielens-1m", settings, tmp_path, mapping=tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        load("online-retail-ii", settings, tmp_path / "none.csv")
    with pytest.raises(SourceError, match="needs --mapping"):
        load("files", settings, tmp_path)
    with pytest.raises(WindowError, match="start must be before end"):
        load("complete-journey", settings, start=date(2017, 2, 1), end=date(2017, 2, 1))


def test_complete_journey_lands_one_file_of_the_days_and_the_catalogue(settings: Settings) -> None:
    report = load("complete-journey", settings, start=date(2017, 3, 1), end=date(2017, 3, 2))
    (events,) = landed(settings, "complete-journey")
    assert events.name == "transactions_2017-03-01_2017-03-02.parquet"
    table = pq.read_table(events)
    mapping = Mapping.bundled("complete-journey")
    assert table.column_names == list(mapping.events.source_columns)
    times = table["transaction_timestamp"].to_pylist()
    assert len(times) == report.rows["events"] > 3_000
    assert {time.date() for time in times} == {date(2017, 3, 1)}
    (items,) = landed(settings, "complete-journey", "items")
    assert mapping.items and set(mapping.items.source_columns) <= set(pq.read_schema(items).names)
    assert (report.rows["items"], report.rows["users"]) == (92_331, 801)
    assert list(Mapping.for_home(settings)) == ["complete-journey"]
    again = load("complete-journey", settings, start=date(2017, 3, 1), end=date(2017, 3, 2))
    assert (again.files, len(again.present)) == ([], 3)


def test_complete_journeys_days_divide_the_year(settings: Settings) -> None:
    first = load("complete-journey", settings, end=date(2017, 12, 31)).rows["events"]
    last = load("complete-journey", settings, start=date(2017, 12, 31)).rows["events"]
    assert first + last == 1_469_307


def test_days_without_events_say_which_days_there_are(settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"no event in \[2020-01-01, last\); it has events from 2017-01-01 to 2018"):
        load("complete-journey", settings, start=date(2020, 1, 1))
    assert landed(settings, "complete-journey") == []
    assert Mapping.for_home(settings) == {}


def test_product_titles_are_words() -> None:
    assert title("GROCERY", "FRZN ICE", "ICE - CRUSHED/CUBED", "22 LB") == "Ice - crushed/cubed, 22 pounds"
    assert title("MISCELLANEOUS", None, None, None) == "Miscellaneous"
    assert title(None, None, None, "1 CT") is None
    assert [size_in_words(size) for size in ("1 LB", "10.5 OZ", "6 PK/12 OZ", "LARGE")] == [
        "1 pound", "10.5 ounces", "6 pk/12 oz", "large",
    ]  # fmt: skip


def test_both_sheets_of_the_retail_workbook_land_as_text(settings: Settings, tmp_path: Path) -> None:
    report = load("online-retail-ii", settings, workbook(tmp_path / "online_retail_II.xlsx"))
    (file,) = landed(settings, "online-retail-ii")
    assert rows_of(file) == EXPECTED
    assert (report.files, report.rows) == ([file], {"events": 3})
    assert load("online-retail-ii", settings, tmp_path / "online_retail_II.xlsx").present == [file]


def test_retail_days_are_utc_dates_of_london_times_and_unreadable_times_come_once(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "retail.csv.gz"
    odd = ["489436", "1", "x", "1", "soon", "1", "1", "France"]
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows([*EXPECTED, odd, ["short"]])
    # Half past midnight in a London summer is the day before in UTC.
    halves = [(None, date(2010, 7, 1)), (date(2010, 7, 1), None)]
    got = []
    for start, end in halves:
        (file,) = load("online-retail-ii", settings, path, start=start, end=end).files
        got.append(rows_of(file)[1:])
    assert got == [[*EXPECTED[1:3], odd, ["short"]], EXPECTED[3:]]
    with pytest.raises(SourceError, match=r"has events from 2009-12-01 to 2011-12-09"):
        load("online-retail-ii", settings, path, start=date(2012, 1, 1))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "is empty; expected the columns Customer ID"),
        ("other.csv", b"a,b\n1,2\n", "lacks the columns Customer ID"),
        ("cut.csv.gz", gzip.compress(",".join(RETAIL).encode() + b"\n1" * 1000)[:-10], "cannot be read"),
        ("no.xlsx", b"no workbook", "is no Excel workbook"),
        ("data.xml", b"<a/>", r"got \.xml; allowed are \.csv"),
    ],
    ids=["empty", "other", "cut", "no workbook", "xml"],
)
def test_a_file_that_is_no_retail_data_says_what_is_wrong(
    settings: Settings, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=says):
        load("online-retail-ii", settings, tmp_path / name)
    assert landed(settings, "online-retail-ii") == []


def test_the_retail_workbook_is_downloaded_once(settings: Settings, tmp_path: Path, server: tuple[str, Path]) -> None:
    url, folder = server
    served = folder / "static" / "public" / "502"
    served.mkdir(parents=True)
    archive = served / "online+retail+ii.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(workbook(tmp_path / "book.xlsx"), "online_retail_II.xlsx")
    load("online-retail-ii", settings, base_url=url)
    (file,) = landed(settings, "online-retail-ii")
    assert rows_of(file) == EXPECTED
    archive.unlink()
    assert load("online-retail-ii", settings, base_url=url).present == [file]


def test_a_download_that_fails_says_so_and_leaves_nothing(settings: Settings, server: tuple[str, Path]) -> None:
    url, folder = server
    with pytest.raises(
        SourceError, match=r"cannot be downloaded \(HTTP 404\); download .* elsewhere and pass its path"
    ):
        load("online-retail-ii", settings, base_url=url)
    with pytest.raises(SourceError, match=r"cannot be downloaded \(no connection\)"):
        load("movielens-1m", settings, base_url="http://127.0.0.1:9")
    served = folder / "static" / "public" / "502"
    served.mkdir(parents=True)
    (served / "online+retail+ii.zip").write_bytes(b"<html>be back soon</html>")
    with pytest.raises(SourceError, match="gave no sound zip file"):
        load("online-retail-ii", settings, base_url=url)
    assert [*(settings.home / "downloads").iterdir()] == []


def dat_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "ratings.dat").write_text("1::10::5::978300760\n2::11::3::978300761\n")
    (folder / "movies.dat").write_bytes("10::Misérables, Les (1995)::Drama|Musical\n11::A::B\n".encode("iso-8859-1"))
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    return folder


def test_movielens_lands_ratings_films_and_people(settings: Settings, tmp_path: Path) -> None:
    report = load("movielens-1m", settings, dat_folder(tmp_path / "ml-1m"))
    assert report.rows == {"events": 2, "items": 2, "users": 2}
    tables = {
        kind: pq.read_table(landed(settings, "movielens-1m", kind)[0]).to_pylist()
        for kind in ("events", "items", "users")
    }
    assert tables["events"][0] == {"user_id": "1", "movie_id": "10", "timestamp": "978300760", "rating": "5"}
    assert tables["items"][0]["title"] == "Misérables, Les (1995)"
    assert tables["users"][1] == {
        "user_id": "2", "gender": "M", "age_group": "56 and over", "occupation": "self-employed",
    }  # fmt: skip


def test_movielens_comes_from_a_zip_by_download_too(
    settings: Settings, tmp_path: Path, server: tuple[str, Path]
) -> None:
    url, folder = server
    source = dat_folder(tmp_path / "ml-1m")
    served = folder / "datasets" / "movielens"
    served.mkdir(parents=True)
    with zipfile.ZipFile(served / "ml-1m.zip", "w") as zipped:
        for file in source.iterdir():
            zipped.write(file, f"ml-1m/{file.name}")
    assert load("movielens-1m", settings, base_url=url).rows == {"events": 2, "items": 2, "users": 2}


def test_movielens_without_its_files_says_which_are_needed(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(SourceError, match=r"neither ratings\.dat nor ratings\.parquet"):
        load("movielens-1m", settings, folder)


def test_ones_own_files_land_once_for_the_same_content(settings: Settings, tmp_path: Path) -> None:
    mapping = tmp_path / "shop.toml"
    mapping.write_text(SHOP)
    source = tmp_path / "my events.csv"
    source.write_text("u,i,t\na,b,2024-01-01\n")
    first = load("files", settings, source, mapping)
    assert load("files", settings, source, mapping).present == first.files
    source.write_text("u,i,t\na,b,2024-01-02\n")
    load("files", settings, source, mapping)
    names = [path.name.partition("-")[2] for path in landed(settings, "shop")]
    assert names == ["my_events.csv", "my_events.csv"]
    assert (settings.sources / "shop.toml").read_text() == SHOP


def test_one_bad_file_among_ones_own_lands_none_of_them(settings: Settings, tmp_path: Path) -> None:
    mapping = tmp_path / "shop.toml"
    mapping.write_text(SHOP)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.csv").write_text("u,i,t\na,b,2024-01-01\n")
    (folder / "bad.csv").write_text("u,t\na,2024-01-01\n")
    with pytest.raises(SourceError, match=r"1 of 2 files cannot be: .*bad\.csv: required columns are missing: i"):
        load("files", settings, folder, mapping)
    assert not settings.landing.exists() and not settings.sources.exists()
    with pytest.raises(SourceError, match=r"has no \[items\]; kinds it has: events"):
        load("files", settings, folder, mapping, kind="items")
    with pytest.raises(SourceError, match="takes whole files"):
        load("files", settings, folder, mapping, start=date(2024, 1, 1))
