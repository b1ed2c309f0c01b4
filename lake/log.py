"""Delta tables without Spark: what the log alone tells, their rows by Arrow, and rows of small tables.

Milliseconds each, where a query of Spark's takes a second or, in a JVM that has just started, several. The serving
layer reads by these functions: they need deltalake and pyarrow, and no settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, write_deltalake
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from lake.contracts import Column
from lake.tables import Table
from lake.window import Window

if TYPE_CHECKING:
    from lake.settings import Settings

ARROW = {
    "string": pa.string(), "long": pa.int64(), "double": pa.float64(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"), "map<string,string>": pa.map_(pa.string(), pa.string()),
    "binary": pa.binary(), "decimal(27,0)": pa.decimal128(27, 0),
}  # fmt: skip


def table_uri(root: str, name: str) -> str:
    """Address of a table below the root of the lake."""
    return f"{root.rstrip('/')}/{name.replace('.', '/', 1)}"


def dataset_of(table: DeltaTable) -> ds.Dataset:
    """The rows of a table at its version, pruned by the log's statistics when they are filtered.

    Local files are read by Arrow's own file system: delta-rs's is written in Python, and a thread of Arrow's that
    still calls it while the interpreter shuts down aborts the process.
    """
    place = table.table_uri
    if "://" in place and not place.startswith("file://"):
        return table.to_pyarrow_dataset()
    folder = url2pathname(urlsplit(place).path) if place.startswith("file://") else place
    return table.to_pyarrow_dataset(filesystem=SubTreeFileSystem(folder, LocalFileSystem()))


def address(settings: Settings, name: str) -> str:
    """Folder of a table: lake/<layer>/<table>."""
    return table_uri(str(settings.lake), name)


def files_of(table: DeltaTable) -> pa.Table:
    """A row for each file: path, num_records, and min.<column>, max.<column> of the columns with statistics."""
    return pa.table(table.get_add_actions(flatten=True))


def exists(settings: Settings, name: str) -> bool:
    """Whether the table has been created."""
    return DeltaTable.is_deltatable(address(settings, name))


def version(settings: Settings, name: str) -> int:
    """The latest version of a table; -1 when it was never written."""
    return DeltaTable(address(settings, name)).version() if exists(settings, name) else -1


def identity(settings: Settings, name: str) -> str:
    """Delta's id of a table that is there: of one that was removed and made again it is another."""
    return str(DeltaTable(address(settings, name)).metadata().id)


def may_hold(settings: Settings, name: str, column: str, window: Window) -> bool:
    """Whether a table may have rows whose date is in the window, by the ranges of its files in the log.

    False is certain. column: a date of which the log keeps the range; where it does not, the answer is True.
    """
    if not exists(settings, name):
        return False
    files = files_of(DeltaTable(address(settings, name)))
    if f"min.{column}" not in files.column_names:
        return files.num_rows > 0
    ranges = zip(files[f"min.{column}"].to_pylist(), files[f"max.{column}"].to_pylist(), strict=True)
    return any(low is None or high is None or (low < window.end and high >= window.start) for low, high in ranges)


def last_date(settings: Settings, name: str, column: str, before: date) -> date | None:
    """The latest value before a date of a column by which the table is written, one value a file; None without."""
    if not exists(settings, name):
        return None
    files = files_of(DeltaTable(address(settings, name)))
    if f"max.{column}" not in files.column_names:
        return None
    return max((day for day in files[f"max.{column}"].to_pylist() if day is not None and day < before), default=None)


def first_date(settings: Settings, name: str, column: str) -> date | None:
    """The earliest value of a date column, by the ranges in the log; None without rows or ranges."""
    files = files_of(DeltaTable(address(settings, name)))
    if f"min.{column}" not in files.column_names:
        return None
    return min((day for day in files[f"min.{column}"].to_pylist() if day is not None), default=None)


def is_empty(settings: Settings, name: str) -> bool:
    """Whether a table has no row, or was never written, by the counts of its files in the log."""
    if not exists(settings, name):
        return True
    files = files_of(DeltaTable(address(settings, name)))
    counts = files["num_records"].to_pylist() if "num_records" in files.column_names else [None] * files.num_rows
    return all(count == 0 for count in counts)


def lacking(settings: Settings, table: Table) -> list[Column]:
    """Columns of the contract that the table, which must be there, does not have."""
    have = {field.name for field in DeltaTable(address(settings, table.name)).schema().fields}
    return [item for item in table.columns if item.name not in have]


def properties(settings: Settings, name: str) -> dict[str, str]:
    """Delta's properties of a table that is there."""
    return dict(DeltaTable(address(settings, name)).metadata().configuration)


def set_properties(settings: Settings, name: str, values: dict[str, str]) -> None:
    """Set them, in a commit without data."""
    DeltaTable(address(settings, name)).alter.set_table_properties(values)


def set_statistics(settings: Settings, table: Table) -> None:
    """Let the log keep ranges of just the columns that the contract says."""
    set_properties(settings, table.name, {"delta.dataSkippingStatsColumns": ",".join(table.stats)})


def arrow_schema(table: Table) -> pa.Schema:
    """The columns of a contract whose types are in ARROW, with their comments."""
    return pa.schema(
        [pa.field(item.name, ARROW[item.type], metadata={"comment": item.comment}) for item in table.columns]
    )


def create(uri: str, table: Table, mode: Literal["error", "ignore"], commit: CommitProperties | None = None) -> None:
    """Make the table from its contract, without rows. mode: what to do when it is there."""
    configuration: dict[str, str | None] = {"delta.dataSkippingStatsColumns": ",".join(table.stats)}
    DeltaTable.create(uri, arrow_schema(table), mode=mode, configuration=configuration, commit_properties=commit)


def append(settings: Settings, table: Table, rows: list[dict[str, Any]], run_id: str) -> None:
    """Append rows in one commit. For tables of few rows whose columns are of the types in ARROW."""
    uri, commit = _written(settings, table, run_id)
    write_deltalake(
        uri, pa.Table.from_pylist(rows, schema=arrow_schema(table)), mode="append", commit_properties=commit,
        # A table of an earlier contract gets the columns it lacks.
        schema_mode="merge",
    )  # fmt: skip


def rows(
    settings: Settings, table: Table, window: Window, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of a table of few rows whose window date is in the window; none when it was never written. columns: of
    them; None: all.
    """
    if not exists(settings, table.name):
        return []
    day = ds.field(str(table.window))
    found = dataset_of(DeltaTable(address(settings, table.name)))
    within = (day >= window.start) & (day < window.end)
    taken: list[dict[str, Any]] = found.to_table(list(columns) if columns else None, filter=within).to_pylist()
    return taken


def replace(settings: Settings, table: Table, rows: list[dict[str, Any]], window: Window, run_id: str) -> None:
    """Replace the rows whose window date is in the window, in one commit. For tables that append() is for."""
    uri, commit = _written(settings, table, run_id)
    write_deltalake(
        uri, pa.Table.from_pylist(rows, schema=arrow_schema(table)), mode="overwrite", commit_properties=commit,
        predicate=f"{table.window} >= DATE '{window.start}' AND {table.window} < DATE '{window.end}'",
    )  # fmt: skip


def read(settings: Settings, name: str) -> pa.Table:
    """All rows of a small table that is there."""
    return dataset_of(DeltaTable(address(settings, name))).to_table()


def overwrite(settings: Settings, table: Table, rows: pa.Table, run_id: str) -> None:
    """Replace all rows, in one commit. rows: with the contract's columns. For tables that append() is for."""
    uri, commit = _written(settings, table, run_id)
    made = rows.select(list(table.names)).cast(arrow_schema(table))
    write_deltalake(uri, made, mode="overwrite", commit_properties=commit)


def _written(settings: Settings, table: Table, run_id: str) -> tuple[str, CommitProperties]:
    """Address of a table that is there, and what its next commit says."""
    uri = address(settings, table.name)
    if not exists(settings, table.name):
        create(uri, table, mode="ignore")
    return uri, CommitProperties(custom_metadata={"userMetadata": run_id})
