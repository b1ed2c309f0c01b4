"""Contracts of silver: what cleaning makes of the sources."""

from __future__ import annotations

from lake.contracts import BUCKET, ITEM, USER, Table, column

EVENT_TYPES = (
    "impression", "view", "click", "search", "add_to_cart", "remove_from_cart", "purchase", "return",
    "rate", "like", "dislike", "hide",
)  # fmt: skip

EVENTS = Table(
    name="silver.events",
    grain="one cleaned event",
    owner="clean_events",
    written="replace_window",
    window="event_date",
    keys=("event_id",),
    columns=(
        column("event_id", "string", "the source's event id, else SHA-256 over source and natural key"),
        USER,
        BUCKET,
        ITEM,
        column("event_type", "string", "one of EVENT_TYPES", stats=True),
        column("event_time", "timestamp", "instant of the event, UTC", stats=True),
        column("event_date", "date", "UTC date of event_time", stats=True),
        column("session_id", "string", "hash of user and session start; a session ends by inactivity"),
        column("order_id", "string", "basket or invoice, for purchases and returns"),
        column("quantity", "double", "units, never negative"),
        column("amount", "double", "money for all units, never negative, in currency", stats=True),
        column("currency", "string", "ISO 4217 code", stats=True),
        column("rating", "double", "as given, for rate"),
        column("dwell_ms", "long", "time spent, milliseconds"),
        column("query", "string", "text searched for"),
        column("device", "string", "web, mobile, tablet, tv, store, ... or unknown", stats=True),
        column("country", "string", "ISO 3166-1 alpha-2 code, or null", stats=True),
        column("surface", "string", "where it happened: page, shop, campaign"),
        column("snapshot_id", "string", "for feedback: the snapshot that was shown"),
        column("slot", "int", "for feedback: position in the list, from 1"),
        column("source", "string", "the source it came from", stats=True),
        column("returned_event_id", "string", "for a return: the purchase it undoes, null when not in the log"),
        column("is_bot", "boolean", "behaves as no person does; left out of the features"),
        column("filled", "array<string>", "columns that were filled in"),
        column("corrected", "array<string>", "corrections that were made"),
    ),
)

REJECTED = Table(
    name="silver.rejected",
    grain="one source row that failed",
    owner="clean_events",
    written="replace_window",
    window="window_date",
    keys=(),
    columns=(
        column(
            "window_date",
            "date",
            "the event date, or the logical date of arrival when that is unknown",
            stats=True,
        ),
        column("source", "string", "the source it came from", stats=True),
        column("reasons", "array<string>", "every rule it failed"),
        column("row", "string", "the row as received, JSON"),
        column("file", "string", "file it came from"),
        column("run_id", "string", "the run that rejected it", stats=True),
    ),
    retention="90 days",
    keep_days=90,
)

ITEMS = Table(
    name="silver.items",
    grain="one item",
    owner="clean_events",
    written="merge",
    keys=("item_id",),
    person=False,
    erasure="none: holds no person",
    columns=(
        column("item_id", "string", "the item", stats=True),
        column("title", "string", "name shown to people"),
        column("category", "array<string>", "path from the broadest to the narrowest"),
        column("brand", "string", "brand or null"),
        column("price", "double", "unit price of the latest purchase, else of the item file, in currency"),
        column("currency", "string", "ISO 4217 code"),
        column("attributes", "map<string,string>", "whatever else the source says"),
        column("available_from", "date", "first date it may be shown, or null", stats=True),
        column("available_to", "date", "last date it may be shown, or null", stats=True),
        column("sensitive", "boolean", "belongs to a sensitive topic: never recommended"),
        column("source", "string", "the source it came from", stats=True),
        column("updated_at", "timestamp", "instant of the description, or null when nobody described it", stats=True),
        column("priced_at", "timestamp", "instant of the purchase or file the price is from, or null", stats=True),
    ),
)

USERS = Table(
    name="silver.users",
    grain="one user",
    owner="clean_events",
    written="merge",
    keys=("user_id",),
    columns=(
        USER,
        BUCKET,
        column("country", "string", "ISO 3166-1 alpha-2 code, or null"),
        column("birth_year", "int", "or null"),
        column("preferences", "map<string,string>", "stated by the user"),
        column("attributes", "map<string,string>", "whatever else the source says"),
        column("personalisation_level", "string", "none, segment or individual; null means individual"),
        column("source", "string", "the source it came from", stats=True),
        column("updated_at", "timestamp", "logical date of the file that said so", stats=True),
    ),
)

CONSENTS = Table(
    name="silver.consents",
    grain="user x purpose x instant",
    owner="clean_events",
    written="append",
    keys=("user_id", "purpose", "at"),
    columns=(
        USER,
        BUCKET,
        column("purpose", "string", "personalisation, ...", stats=True),
        column("at", "timestamp", "instant of the decision", stats=True),
        column("granted", "boolean", "true: granted; false: withdrawn"),
        column("source", "string", "the source it came from", stats=True),
    ),
)
