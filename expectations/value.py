"""What gold.value promises: one row a user with a purchase, a probability, and finite expectations from 0."""

from __future__ import annotations

from expectations.events import MOST_MONEY
from expectations.promises import Promise, unique
from expectations.rfm import LONGEST_DAYS
from expectations.rules import between, present

# The models bound nothing from above; what lies beyond comes from parameters out of all proportion.
MOST_PURCHASES = 1e6

SUITE: tuple[Promise, ...] = (
    present("user_id"),
    present("as_of"),
    present("purchases"),
    between("purchases", 1, LONGEST_DAYS, "days with a purchase not from 1"),
    present("alive"),
    between("alive", 0, 1, "a probability not between 0 and 1"),
    present("expected_purchases"),
    between("expected_purchases", 0, MOST_PURCHASES, "expected purchases not a finite number from 0"),
    between("expected_value", 0, MOST_MONEY * 1e5, "expected value not a finite number from 0"),
    between("expected_revenue", 0, MOST_MONEY * 1e11, "expected revenue not a finite number from 0"),
    present("fitted_as_of"),
    unique("user_id", "as_of"),
)
