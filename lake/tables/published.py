"""Contracts of what models leave behind, and of what is served."""

from __future__ import annotations

from lake.contracts import BUCKET, ITEM, USER, Table, column

_LIST = (
    "array<struct<rank: int, item_id: string, title: string, score: double, source: string, reason: string, "
    "slot_kind: string, propensity: double>>"
)

USER_FACTORS = Table(
    name="gold.user_factors",
    grain="user as of a date: what ALS learned, for the next night to start from",
    owner="publish_snapshots",
    written="replace_window",
    window="as_of",
    keys=("user_id", "as_of"),
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "fitted on events strictly before it", stats=True),
        column("vector", "array<float>", "as many numbers as the rank"),
    ),
    retention="two nights",
)

ITEM_FACTORS = Table(
    name="gold.item_factors",
    grain="item as of a date: the other side of gold.user_factors",
    owner="publish_snapshots",
    written="replace_window",
    window="as_of",
    keys=("item_id", "as_of"),
    columns=(
        ITEM,
        column("as_of", "date", "fitted on events strictly before it", stats=True),
        column("vector", "array<float>", "as many numbers as the rank"),
        column("wanted", "long", "users who wanted the item"),
    ),
    person=False,
    retention="two nights",
    erasure="none: holds no person",
)

SOURCES = Table(
    name="gold.sources",
    grain="piece of an array of a source of candidates as of a date: what was fitted for the night's lists",
    owner="publish_snapshots",
    written="replace_window",
    window="as_of",
    keys=("as_of", "source", "part", "chunk"),
    columns=(
        column("as_of", "date", "fitted on events strictly before it", stats=True),
        column("source", "string", "name of the source"),
        column("place", "long", "of the source among them"),
        column("part", "string", "name of the array, or plain: what it is of"),
        column("chunk", "long", "number of the piece, from 0"),
        column("about", "string", "JSON: type and shape of the array; of plain, the class and what is no array"),
        column("data", "binary", "bytes of the piece, little-endian; null of plain"),
        column("version", "string", "JSON: versions of tables, parameters and code it was made of"),
        column("run_id", "string", "the run"),
    ),
    person=False,
    keep_days=2,
    retention="two days",
    erasure="by age: holds no id; the pool of the source alike holds habits of people without saying whose",
)

RECOMMENDATIONS = Table(
    name="gold.recommendations",
    grain="snapshot x user, sorted by user_bucket",
    owner="publish_snapshots",
    written="version",
    keys=("snapshot_id", "user_id"),
    columns=(
        column("snapshot_id", "string", "the snapshot", stats=True),
        USER,
        BUCKET,
        column("segment", "string", "RFM segment: the next rung"),
        column("country", "string", "country: the last rung of a person's own"),
        column("items", _LIST, "ranked list; propensity is 1 where nothing is random"),
        column("stage", "string", "stage of the journey: the rung between segment and country"),
    ),
    retention="two snapshots",
)

FALLBACKS = Table(
    name="gold.fallbacks",
    grain="snapshot x cohort",
    owner="publish_snapshots",
    written="version",
    keys=("snapshot_id", "rung", "cohort"),
    person=False,
    erasure="none: holds no person",
    columns=(
        column("snapshot_id", "string", "the snapshot", stats=True),
        column("rung", "string", "segment, stage, country, season or global", stats=True),
        column("cohort", "string", "the segment, the stage, the country code, or 'all'", stats=True),
        column("items", _LIST, "ranked list"),
    ),
)

SNAPSHOTS = Table(
    name="gold.snapshots",
    grain="one state change of a snapshot; the last row in state published is the pointer",
    owner="publish_snapshots",
    written="append",
    keys=("snapshot_id", "at"),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("snapshot_id", "string", "the snapshot", stats=True),
        column("sequence", "long", "grows by one with every row: what compare-and-swap compares", stats=True),
        column("state", "string", "published, rolled_back or held", stats=True),
        column("at", "timestamp", "when the row was written", stats=True),
        column("as_of", "date", "the features' date", stats=True),
        column("recommendations_version", "long", "Delta version of gold.recommendations"),
        column("fallbacks_version", "long", "Delta version of gold.fallbacks"),
        column("users", "long", "personal lists"),
        column("cohorts", "long", "fallback lists"),
        column("checksum", "string", "over the content of both tables, independent of order"),
        column("model_version", "string", "registered model name and version"),
        column("valid_until", "timestamp", "fresh until"),
        column("reason", "string", "why it was rolled back or held, or null"),
    ),
)
