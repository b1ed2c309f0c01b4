"""Table contracts: what each table holds, its grain, keys, layout and owner. The one place that says so.

Types are Spark SQL type names. User ids stay out of file statistics (`stats` lists the columns that have
them) and out of partitions: an erased person must not live on in the Delta log.
"""

from __future__ import annotations

from lake.contracts import BUCKET, ITEM, USER, Table, Written
from lake.tables.ops import DRIFT, FILES, RUNS
from lake.tables.people import (
    AFFINITY,
    CONTEXT,
    CYCLES,
    DUE_AGAIN,
    ENGAGEMENT,
    INTENT,
    RFM,
    RFM_WINDOWS,
    VALUE,
    VALUE_FITS,
)
from lake.tables.published import FALLBACKS, ITEM_FACTORS, RECOMMENDATIONS, SNAPSHOTS, SOURCES, USER_FACTORS
from lake.tables.silver import CONSENTS, EVENT_TYPES, EVENTS, ITEMS, REJECTED, USERS
from lake.tables.tiles import ITEM_KEYS, POPULATION, USER_DAY, USER_ITEM_DAY, USER_STATE

__all__ = [
    "AFFINITY",
    "BUCKET",
    "CONSENTS",
    "CONTEXT",
    "CYCLES",
    "DRIFT",
    "DUE_AGAIN",
    "ENGAGEMENT",
    "EVENTS",
    "EVENT_TYPES",
    "FALLBACKS",
    "FILES",
    "INTENT",
    "ITEM",
    "ITEMS",
    "ITEM_FACTORS",
    "ITEM_KEYS",
    "POPULATION",
    "RECOMMENDATIONS",
    "REJECTED",
    "RFM",
    "RFM_WINDOWS",
    "RUNS",
    "SNAPSHOTS",
    "SOURCES",
    "TABLES",
    "Table",
    "USER",
    "USERS",
    "USER_DAY",
    "USER_FACTORS",
    "USER_ITEM_DAY",
    "USER_STATE",
    "VALUE",
    "VALUE_FITS",
    "Written",
]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        EVENTS, REJECTED, ITEMS, USERS, CONSENTS, USER_ITEM_DAY, USER_DAY, ITEM_KEYS, USER_STATE, POPULATION, RFM,
        RFM_WINDOWS, ENGAGEMENT, INTENT, AFFINITY, CONTEXT, DUE_AGAIN, CYCLES, VALUE, VALUE_FITS, USER_FACTORS,
        ITEM_FACTORS, SOURCES, RECOMMENDATIONS, FALLBACKS, SNAPSHOTS, RUNS, DRIFT, FILES,
    )
}  # fmt: skip
