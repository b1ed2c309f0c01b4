"""What silver.events promises.

ROW_RULES are evaluated on the standardised frame: the columns of silver.events plus `received_at` (timestamp)
and `unit_price` (double). There, null means that the source said nothing; a number that was given but could
not be read is NaN, so that the range rule of its column rejects the row instead of losing the value silently.
SUITE holds the same declarations, as far as their columns are in the table, plus what only a table can promise.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pycountry

from expectations.promises import Promise, unique
from expectations.rules import Rule, among, applicable, between, in_set, matches, max_length, not_after, present
from lake.tables import EVENT_TYPES, EVENTS

LONGEST_ID = 256
MOST_UNITS = 1e6
MOST_MONEY = 1e7
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2999, 12, 31, tzinfo=UTC)
CURRENCIES = tuple(sorted(currency.alpha_3 for currency in pycountry.currencies))

# One or more characters, none of them a control character; quotes, slashes and any script are legal.
PRINTABLE = r"\A\P{Cc}+\z"

_SEARCH = among("event_type", "search")
_PURCHASE = among("event_type", "purchase")
_ORDER = among("event_type", "purchase", "return")
_RATE = among("event_type", "rate")

ROW_RULES: tuple[Rule, ...] = (
    present("user_id"),
    matches("user_id", PRINTABLE, "user_id empty or with control characters"),
    max_length("user_id", LONGEST_ID),
    present("item_id").unless(_SEARCH),
    matches("item_id", PRINTABLE, "item_id empty or with control characters"),
    max_length("item_id", LONGEST_ID),
    present("event_type"),
    in_set("event_type", EVENT_TYPES),
    present("event_time", "event_time missing or unreadable"),
    between("event_time", EPOCH, LAST_INSTANT, "event_time before 1970 or after 2999"),
    not_after("event_time", "received_at", "event_time in the future"),
    present("quantity").when(_ORDER),
    between("quantity", 0, MOST_UNITS, "quantity not a number above 0 and up to 1,000,000", strict_low=True).when(
        _ORDER
    ),
    between("amount", 0, MOST_MONEY, "amount not a number from 0 to 10,000,000"),
    between(
        "amount", 0, MOST_MONEY, "amount of a purchase not above 0", strict_low=True, name="amount_of_purchase"
    ).when(_PURCHASE),
    between("unit_price", 0, MOST_MONEY, "unit_price not a number from 0 to 10,000,000"),
    in_set("currency", CURRENCIES, "currency not in ISO 4217"),
    present("rating").when(_RATE),
    between("rating", -1e6, 1e6, "rating not a finite number"),
)

SUITE: tuple[Promise, ...] = (
    *applicable(ROW_RULES, EVENTS.names),
    matches("country", r"\A[A-Z]{2}\z", "country not an ISO 3166-1 alpha-2 code"),
    present("event_date"),
    present("session_id"),
    unique("event_id"),
)
