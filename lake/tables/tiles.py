"""Contracts of what a night's features are made from: day tiles, keys of items and the state of users."""

from __future__ import annotations

from lake.contracts import BUCKET, ITEM, USER, Table, column

USER_ITEM_DAY = Table(
    name="gold.user_item_day",
    grain="user x item x day: the tile that item features are made from",
    owner="build_features",
    written="replace_window",
    window="event_date",
    tracked=True,
    keys=("user_id", "item_id", "event_date"),
    columns=(
        USER,
        BUCKET,
        ITEM,
        column("event_date", "date", "UTC", stats=True),
        *(column(f"{kind}s", "long", f"{kind} events") for kind in
          ("impression", "view", "click", "purchase", "return", "like", "dislike", "hide")),
        column("adds_to_cart", "long", "add_to_cart events"),
        column("removes_from_cart", "long", "remove_from_cart events"),
        column("ratings", "long", "rate events"),
        column("rating_sum", "double", "sum of ratings"),
        column("units", "double", "units purchased"),
        column("units_returned", "double", "units of matched returns"),
        column("amount", "double", "money of purchases"),
        column("amount_returned", "double", "money of matched returns"),
        column("dwell_ms", "long", "time spent"),
        column("last_time", "timestamp", "latest event of the day"),
    ),
)  # fmt: skip

USER_DAY = Table(
    name="gold.user_day",
    grain="user x day: the tile that RFM, engagement and context affinities are made from",
    owner="build_features",
    written="replace_window",
    window="event_date",
    tracked=True,
    keys=("user_id", "event_date"),
    columns=(
        USER,
        BUCKET,
        column("event_date", "date", "UTC", stats=True),
        column("events", "long", "events of any type"),
        column("sessions", "long", "distinct sessions"),
        column("quick_exits", "long", "sessions with one event on the day; null in tiles of an earlier contract"),
        column(
            "back_and_forth",
            "long",
            "times somebody was back with an item within 30 seconds; null in tiles of an earlier contract",
        ),
        column("dwell_ms", "long", "time spent, milliseconds; null in tiles of an earlier contract"),
        column("orders", "long", "distinct orders with a purchase; an order counts on the day of its first line"),
        column("units", "double", "units purchased"),
        column("amount", "double", "money of purchases"),
        column("amount_returned", "double", "money of matched returns"),
        column("last_purchase_time", "timestamp", "latest purchase of the day, or null"),
        column("last_time", "timestamp", "latest event of the day"),
        column("dayparts", "map<string,double>", "events by daypart"),
        column("devices", "map<string,double>", "events by device"),
        column("country", "string", "country of the latest event that has one"),
    ),
)

ITEM_KEYS = Table(
    name="gold.item_keys",
    grain="item x date on which its category, brand or price band changed",
    owner="build_features",
    written="append",
    keys=("item_id", "valid_from"),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        ITEM,
        column("valid_from", "date", "the first day whose events it holds for", stats=True),
        column("keys", "array<struct<dimension: string, key: string>>", "path, category, brand, price band, if known"),
    ),
)

USER_STATE = Table(
    name="gold.user_state",
    grain="user with a tile, as of the latest night: what RFM, engagement, value and affinities are read from",
    owner="build_features",
    written="merge",
    clustered="user_bucket",
    # Each of its files holds somebody who was active on the day: a night would write all of them anew.
    deletion_vectors=True,
    erasure="MERGE from the erasure ledger, then upkeep and vacuum",
    keys=("user_id",),
    columns=(
        USER,
        BUCKET,
        column("days", "long", "days with a tile"),
        column("events", "long", "events of any type"),
        column("sessions", "long", "sessions, by the day"),
        column("quick_exits", "long", "sessions with one event on the day"),
        column("back_and_forth", "long", "times back with an item within 30 seconds"),
        column("dwell_ms", "long", "time spent, milliseconds"),
        column("orders", "long", "distinct orders"),
        column("net_micros", "long", "money of purchases less matched returns, millionths"),
        column("purchase_days", "long", "days with a purchase"),
        column("first_active", "date", "UTC day of the first event"),
        column("last_active", "date", "UTC day of the last event"),
        column("first_purchase", "date", "UTC day, or null"),
        column("last_purchase", "date", "UTC day, or null"),
        column("country", "string", "country of the latest day that has one"),
        column("country_day", "date", "that day"),
        column("calendar", "array<date>", "days with a tile among the 365 up to last_active, in order"),
        column(
            "bought",
            "array<struct<day: date, orders: bigint, net_micros: bigint>>",
            "orders and money of the calendar's days that have any, in order",
        ),
        column("period", "int", "of the user's last event, in periods of 168 days since 1970; null without leanings"),
        column("packed", "binary", "dimension, key and amounts of each leaning, as of an anchor: features/packing.py"),
        column("touched", "date", "the end of the window that changed the row last", stats=True),
    ),
)

POPULATION = Table(
    name="gold.population",
    grain="key of a dimension that items have: what all users together lean to, by which lifts are told",
    owner="build_features",
    written="overwrite",
    keys=("dimension", "key"),
    person=False,
    retention="until the next night",
    erasure="none: holds no person; made anew from who is left when somebody was forgotten",
    columns=(
        column("dimension", "string", "as in gold.affinity, of those that items have", stats=True),
        column("key", "string", "as in gold.affinity"),
        column("units", "decimal(27,0)", "units of all users, as of the anchor of gold.user_state"),
        column("state", "string", "Delta's id of gold.user_state: another one when that was made anew"),
        column("state_version", "long", "the version of it that the units are of"),
    ),
)
