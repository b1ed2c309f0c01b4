"""Table contracts: what each table holds, its grain, keys, layout and owner. The one place that says so.

Types are Spark SQL type names. User ids stay out of file statistics (`stats` lists the columns that have
them) and out of partitions: an erased person must not live on in the Delta log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lake.contracts import Column, column

Written = Literal["append", "replace_window", "merge", "version"]


@dataclass(frozen=True)
class Table:
    """A table's contract.

    grain: what one row is. keys: columns that identify a row. written: how its owner writes it.
    window: the date column that replace_window replaces by. person: holds data of people.
    tracked: Delta keeps the rows that each write adds and removes, for what is kept up by changes.
    clustered: column that compaction sorts by; None leaves rows in the order of time. keep_days: rows whose window
    date is older go with the upkeep of tables.
    """

    name: str
    grain: str
    owner: str
    written: Written
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    window: str | None = None
    person: bool = True
    tracked: bool = False
    clustered: str | None = None
    keep_days: int | None = None
    retention: str = "until erased"
    erasure: str = "MERGE from the erasure ledger, then vacuum"

    @property
    def stats(self) -> tuple[str, ...]:
        """Columns that may have minimum and maximum in the Delta log."""
        return tuple(item.name for item in self.columns if item.stats)

    @property
    def schema(self) -> str:
        """The Spark DDL of the table."""
        return ", ".join(f"`{item.name}` {item.type}" for item in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(item.name for item in self.columns)


EVENT_TYPES = (
    "impression", "view", "click", "search", "add_to_cart", "remove_from_cart", "purchase", "return",
    "rate", "like", "dislike", "hide",
)  # fmt: skip

USER = column("user_id", "string", "the person, as the source names them")
BUCKET = column("user_bucket", "int", "xxhash64(user_id) modulo 256: what look-ups by user prune on", stats=True)
ITEM = column("item_id", "string", "the item, as the source names it")

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

RFM = Table(
    name="gold.rfm",
    grain="user x as-of date",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "as_of"),
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("recency", "int", "whole days from the last purchase to as_of"),
        column("frequency", "long", "distinct orders"),
        column("monetary", "double", "money of purchases less matched returns"),
        column("r", "int", "recency quintile, 5 is most recent"),
        column("f", "int", "frequency quintile, 5 is most often"),
        column("m", "int", "monetary quintile, 5 is most money"),
        column("segment", "string", "one of the eleven named segments"),
        column("tenure", "int", "whole days from the first purchase to as_of"),
        column("country", "string", "country of the latest day that has one"),
    ),
)

RFM_WINDOWS = Table(
    name="gold.rfm_windows",
    grain="user x window with an order in it x as-of date",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "window_days", "as_of"),
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("window_days", "int", "the days before as_of that are looked at: setting rfm_windows_days", stats=True),
        column("recency", "int", "whole days from the last purchase to as_of"),
        column("frequency", "long", "distinct orders that began in the window"),
        column("monetary", "double", "money of the window's purchases less matched returns that came in it"),
        column("r", "int", "recency quintile among the window's users, 5 is most recent"),
        column("f", "int", "frequency quintile among them, 5 is most often"),
        column("m", "int", "monetary quintile among them, 5 is most money"),
    ),
)

ENGAGEMENT = Table(
    name="gold.engagement",
    grain="user with a tile x as-of date",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "as_of"),
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("age", "int", "whole days from the first active day to as_of"),
        column("idle", "int", "whole days from the last active day to as_of"),
        column("active_days", "long", "days with an event, ever"),
        column("active_7", "int", "of the last 7 days"),
        column("active_28", "int", "of the last 28 days"),
        column("active_91", "int", "of the last 91 days"),
        column("events", "long", "events of any type, ever"),
        column("sessions", "long", "sessions, ever; one that crosses midnight counts on both days"),
        column("depth", "double", "events a session, or null"),
        column("quick_exit_share", "double", "share of the sessions with one event on their day, or null"),
        column("back_and_forth", "double", "times back with an item within 30 seconds, a session; or null"),
        column("dwell_ms", "long", "time spent, milliseconds, ever"),
        column("trend", "double", "log ratio of active days, the last 28 days to the 28 before; 0 is no change"),
        column("clumpiness", "double", "0 for active days evenly over the last 365, towards 1 in one clump; or null"),
        column("stage", "string", "new, active, returned, at_risk or lapsed"),
        column(
            "used",
            "array<string>",
            "kinds of events done in the last 28 days (searches: 7), the most often first; null without any",
        ),
        column(
            "ignored",
            "array<string>",
            "kinds that a tenth of the people with 10 events did then, and the user, with 10, did not; or null",
        ),
    ),
)

INTENT = Table(
    name="gold.intent",
    grain="user with an item in the cart or in mind, or a search, x as-of date",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "as_of"),
    keep_days=30,
    retention="30 days",
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("cart_items", "long", "items left in the cart in the last 30 days"),
        column("cart_value", "double", "money of one of each at the catalogue's price, or null where none has one"),
        column("cart_newest", "int", "days since something was put in, or null"),
        column("cart_oldest", "int", "days since the item was put in that was left longest, or null"),
        column("viewed_items", "long", "looked at twice or more in the last 30 days, neither bought nor in the cart"),
        column("last_viewed", "int", "days since one of these was looked at, or null"),
        column("searches", "long", "searches of the last 7 days"),
        column("search_idle", "int", "days since the last search of these, or null"),
        column("terms", "array<string>", "the latest 20 texts searched for in the last 7 days, the latest first"),
        column(
            "items",
            "array<struct<item_id: string, cart_idle: int, looks: bigint, look_idle: int, price: double>>",
            "the newest 50 of both kinds: days since it was put into the cart, or null; looks; days since the last",
        ),
    ),
)

AFFINITY = Table(
    name="gold.affinity",
    grain="user x dimension x key, as of a night that touched the user; holds, fading, until the user's next",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "dimension", "key", "as_of"),
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column(
            "dimension",
            "string",
            "category_1 to category_12 (category for the second level), brand, price_band, daypart, weekday, device "
            "or place",
            stats=True,
        ),
        column("key", "string", "the value within the dimension"),
        column("score", "double", "decayed sum of event weights"),
        column("share", "double", "score over the user's total in the dimension, 0 to 1"),
        column(
            "lift",
            "double",
            "share over the population's as of the date, drawn to it for little evidence; null for context, and for "
            "keys that people on the whole turn away from",
        ),
        column("recent_score", "double", "score with a half-life of 14 days, of either sign; null for context"),
        column("recent_share", "double", "share by recent scores above 0; null for context, and where none is"),
        column("evidence", "long", "events behind it, undecayed"),
    ),
)

DUE_AGAIN = Table(
    name="gold.due_again",
    grain="user x item or category that is bought again, as of a night that touched the user; holds until their next",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "dimension", "key", "as_of"),
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("dimension", "string", "item or category", stats=True),
        column("key", "string", "the item, or the category as in gold.affinity"),
        column("days", "long", "days with a purchase, of the last 365"),
        column("first_bought", "date", "the first of them"),
        column("last_bought", "date", "the last of them"),
        column("own_gap", "double", "mean days between two of them, or null"),
        column("cycle", "double", "own_gap drawn to the usual one of the key, in days"),
        column("due", "date", "last_bought and so many days: may lie in the past"),
    ),
)

CONTEXT = Table(
    name="gold.context",
    grain="user x context x situation x category, as of a night that touched the user; holds until their next, 28 days "
    "at most",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "context", "situation", "key", "as_of"),
    keep_days=30,
    retention="30 days",
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("context", "string", "daypart, week, device or place", stats=True),
        column("situation", "string", "a daypart; working day or weekend; a device; a country"),
        column("key", "string", "the broadest level of a category, as in gold.affinity's category_1"),
        column("share", "double", "of what the user did there in the last 28 days, by weights; above 0"),
        column(
            "lift",
            "double",
            "share over the category's share in all they did then, drawn to 1 for little evidence; null for what they "
            "turn away from on the whole",
        ),
        column("evidence", "long", "events behind it"),
    ),
)

CYCLES = Table(
    name="gold.cycles",
    grain="item or category that people bought again x date",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("dimension", "key", "as_of"),
    person=False,
    keep_days=365,
    retention="a year",
    erasure="none: holds no person",
    columns=(
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("dimension", "string", "item or category", stats=True),
        column("key", "string", "the item, or the category as in gold.affinity"),
        column("users", "long", "who bought it in the last 365 days"),
        column("returning", "long", "of these, on two days or more"),
        column("gaps", "long", "times between two such days of a person"),
        column("cycle", "double", "their mean, drawn to that of all keys of the dimension, in days"),
    ),
)

VALUE = Table(
    name="gold.value",
    grain="user with a purchase x as-of date",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("user_id", "as_of"),
    columns=(
        USER,
        BUCKET,
        column("as_of", "date", "computed from events strictly before this date, UTC", stats=True),
        column("purchases", "long", "days with a purchase: what the models count"),
        column("alive", "double", "probability that the user has not stopped buying for good"),
        column("horizon_days", "int", "how far the expectations look ahead", stats=True),
        column("expected_purchases", "double", "days with a purchase in the horizon_days from as_of on"),
        column("expected_value", "double", "money of one such day; null where too few purchases have a value"),
        column("expected_revenue", "double", "expected_purchases x expected_value, or null"),
        column("fitted_as_of", "date", "the row of gold.value_fits it was made by", stats=True),
    ),
)

VALUE_FITS = Table(
    name="gold.value_fits",
    grain="one fit of BG/NBD and Gamma-Gamma",
    owner="build_features",
    written="replace_window",
    window="as_of",
    keys=("as_of",),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("as_of", "date", "fitted on events strictly before this date, UTC", stats=True),
        column("r", "double", "BG/NBD: shape of the rates of purchasing"),
        column("alpha", "double", "BG/NBD: their scale, in weeks"),
        column("a", "double", "BG/NBD: first parameter of the chances of dropping out"),
        column("b", "double", "BG/NBD: the second"),
        column("p", "double", "Gamma-Gamma: shape of the values of one user; null where too few have a value"),
        column("q", "double", "Gamma-Gamma: shape of their scales among users, or null"),
        column("gamma", "double", "Gamma-Gamma: scale of these, in money, or null"),
        column("purchasing_log_likelihood", "double", "of BG/NBD, time in weeks"),
        column("spending_log_likelihood", "double", "of Gamma-Gamma, or null"),
        column("users", "long", "users it was fitted on"),
        column("groups", "long", "groups of them that BG/NBD was fitted on"),
        column("run_id", "string", "the run"),
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
        column("touched", "date", "the end of the window that changed the row last"),
    ),
)

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

RUNS = Table(
    name="ops.runs",
    grain="one job run",
    owner="every job",
    written="append",
    keys=("run_id",),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("run_id", "string", "random, in each table's commit metadata too", stats=True),
        column("job", "string", "name of the job", stats=True),
        column("start", "date", "window start", stats=True),
        column("end", "date", "window end, exclusive", stats=True),
        column("state", "string", "done, failed or skipped", stats=True),
        column("started_at", "timestamp", "wall clock", stats=True),
        column("seconds", "double", "wall clock"),
        column("rows_read", "long", "rows in, or null"),
        column("rows_clean", "long", "rows out, or null"),
        column("rows_rejected", "long", "rows rejected, or null"),
        column("rows_duplicate", "long", "rows that were duplicates, or null"),
        column("details", "map<string,string>", "counts by reason, versions, whatever the job reports"),
        column("code_version", "string", "git commit, or package version"),
        column("model_version", "string", "registered model, or null"),
        column("error", "string", "message of a failed run, or null"),
    ),
)

DRIFT = Table(
    name="ops.drift",
    grain="one number of one event date",
    owner="build_features",
    written="replace_window",
    window="event_date",
    keys=("event_date", "measure", "key"),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("event_date", "date", "the day that was measured, UTC", stats=True),
        column("measure", "string", "events, nulls, rejected, category, currency, segment; the last three with _mix"),
        column("key", "string", "event type, column, category or segment; 'all'; 'psi' for a mix"),
        column("value", "double", "count, share, or population stability index"),
        column("expected", "double", "from the trailing weeks; null with too little of them, or not judged"),
        column("low", "double", "least that is allowed, or null"),
        column("high", "double", "most that is allowed, or null"),
        column("state", "string", "measured, within, beyond, or unknown: too little past"),
        column("run_id", "string", "the run"),
    ),
)

FILES = Table(
    name="ops.files",
    grain="one landing file that was looked at",
    owner="ingest_events",
    written="append",
    keys=("source", "kind", "path"),
    person=False,
    retention="for ever",
    erasure="none: holds no person",
    columns=(
        column("source", "string", "the source", stats=True),
        column("kind", "string", "events, items, users or consents", stats=True),
        column("path", "string", "path below the landing folder", stats=True),
        column("bytes", "long", "size"),
        column("status", "string", "ingested or refused", stats=True),
        column("reason", "string", "why it was refused, or null"),
        column("rows", "long", "rows taken, or null"),
        column("new_columns", "array<string>", "columns the mapping does not name; kept in bronze"),
        column("received_at", "timestamp", "when", stats=True),
        column("run_id", "string", "the run", stats=True),
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        EVENTS, REJECTED, ITEMS, USERS, CONSENTS, USER_ITEM_DAY, USER_DAY, ITEM_KEYS, USER_STATE, RFM, RFM_WINDOWS,
        ENGAGEMENT, INTENT, AFFINITY, CONTEXT, DUE_AGAIN, CYCLES, VALUE, VALUE_FITS, USER_FACTORS, ITEM_FACTORS,
        SOURCES, RECOMMENDATIONS, FALLBACKS, SNAPSHOTS, RUNS, DRIFT, FILES,
    )
}  # fmt: skip
