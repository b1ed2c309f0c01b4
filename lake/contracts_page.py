"""docs/data-contracts.md, made from lake/tables/: `python -m lake.contracts_page` writes it anew."""

from __future__ import annotations

from pathlib import Path

from lake.tables import TABLES, Table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data-contracts.md"

HEAD = """# Data contracts

Made from `lake/tables/` by `python -m lake.contracts_page`; a test compares the two. What each column may hold is
enforced by the rules in `expectations/` (once in the quarantine, once by the Great Expectations gate).

Every table is a Delta table at `<home>/lake/<layer>/<table>` with `minReaderVersion` 1, but for those of which it says
below that they have deletion vectors (3), which no serving layer reads. Types are Spark SQL's.
"Range in log" marks the columns whose minimum and maximum the Delta log may hold: never an id of a person.
`bronze.<source>` tables hold the source's columns as strings, as received, and are described in [sources](sources.md).

| table | grain | owner | written | holds people |
|---|---|---|---|---|
"""

WRITTEN = {
    "append": "append",
    "replace_window": "replaces its window",
    "merge": "MERGE on its keys",
    "overwrite": "replaces all rows",
    "version": "one version a snapshot",
}


def page() -> str:
    """The whole page."""
    rows = "".join(
        f"| [{table.name}](#{table.name.replace('.', '')}) | {table.grain} | {table.owner} | {WRITTEN[table.written]} "
        f"| {'yes' if table.person else 'no'} |\n"
        for table in TABLES.values()
    )
    return HEAD + rows + "".join(_section(table) for table in TABLES.values())


def _section(table: Table) -> str:
    columns = "".join(
        f"| {item.name} | `{item.type}` | {item.comment} | {'yes' if item.stats else ''} |\n" for item in table.columns
    )
    window = f" Window: `{table.window}`." if table.window else ""
    marks = " It has deletion vectors." if table.deletion_vectors else ""
    keys = ", ".join(f"`{key}`" for key in table.keys) or "none"
    return (
        f"\n## {table.name}\n\nGrain: {table.grain}. Keys: {keys}.{window} Retention: {table.retention}. "
        f"Erasure: {table.erasure}.{marks}\n\n| column | type | meaning | range in log |\n|---|---|---|---|\n{columns}"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
