"""Contracts of what is told of people as of a date."""

from __future__ import annotations

from lake.contracts import BUCKET, USER, Table, column

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
