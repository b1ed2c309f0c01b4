"""Delta tables without Spark: what the log alone tells, and rows of the table of runs.

Milliseconds each, where a query of Spark's takes a second or, in a JVM that has just started, several.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lake.settings import Settings
from lake.tables import Table
from lake.window import Window

ARROW = {
    "string": pa.string(), "long": pa.int64(), "double": pa.float64(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"), "map<string,string>": pa.map_(pa.string(), pa.string()),
}  # fmt: skip


def address(settings: Settings, name: str) -> str:
    """Folder of a table: lake/<layer>/<table>."""
    layer, _, table = name.partition(".")
    return str(settings.lake / layer / table)


def may_hold(settings: Settings, name: str, column: str, window: Window) -> bool:
    """Whether a table may have rows whose date is in the window, by the ranges of its files in the log.

    False is certain. column: a date of which the log keeps the range; where it does not, the answer is True.
    """
    if not DeltaTable.is_deltatable(address(settings, name)):
        return False
    files = pa.table(DeltaTable(address(settings, name)).get_add_actions(flatten=True))
    if f"min.{column}" not in files.column_names:
        return files.num_rows > 0
    ranges = zip(files[f"min.{column}"].to_pylist(), files[f"max.{column}"].to_pylist(), strict=True)
    return any(low is None or high is None or (low < window.end and high >= window.start) for low, high in ranges)


def is_empty(settings: Settings, name: str) -> bool:
    """Whether a table has no row, or was never written, by the counts of its files in the log."""
    if not DeltaTable.is_deltatable(address(settings, name)):
        return True
    files = pa.table(DeltaTable(address(settings, name)).get_add_actions(flatten=True))
    counts = files["num_records"].to_pylist() if "num_records" in files.column_names else [None] * files.num_rows
    return all(count == 0 for count in counts)


def append(settings: Settings, table: Table, rows: list[dict[str, Any]], run_id: str) -> None:
    """Append rows in one commit. For tables of few rows whose columns are of the types in ARROW."""
    fields = [pa.field(item.name, ARROW[item.type], metadata={"comment": item.comment}) for item in table.columns]
    schema, place = pa.schema(fields), address(settings, table.name)
    if not DeltaTable.is_deltatable(place):
        configuration: dict[str, str | None] = {"delta.dataSkippingStatsColumns": ",".join(table.stats)}
        DeltaTable.create(place, schema, mode="ignore", configuration=configuration)
    commit = CommitProperties(custom_metadata={"userMetadata": run_id})
    write_deltalake(place, pa.Table.from_pylist(rows, schema=schema), mode="append", commit_properties=commit)
