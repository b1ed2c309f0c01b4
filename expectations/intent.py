"""What gold.intent promises: one row a user who has something in the cart or in mind, of the trailing days alone."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.events import MOST_MONEY
from expectations.promises import Promise, unique
from expectations.rules import between, is_true, not_after, present
from features.intent import ITEMS_KEPT, OPEN_DAYS, SEARCH_DAYS, TERM_LENGTH, TERMS_KEPT

MOST = 1e9
# Items of all in one cart, each at the highest price.
ITEMS = 1e5


def with_checks(frame: DataFrame) -> DataFrame:
    """Adds said, how much a row says, and one number for each promise about the inside of an array."""
    return frame.withColumns(
        {
            "said": F.col("cart_items") + F.col("viewed_items") + F.col("searches"),
            "listed": F.greatest(F.coalesce(F.size("items"), F.lit(0)), F.lit(0)),
            "texts": F.greatest(F.coalesce(F.size("terms"), F.lit(0)), F.lit(0)),
            "longest_text": F.coalesce(F.array_max(F.transform("terms", F.length)), F.lit(0)),
            "items_named": F.coalesce(F.forall("items.item_id", lambda item: item.isNotNull()), F.lit(True)),
        }
    )


SUITE: tuple[Promise, ...] = (
    present("user_id"),
    present("as_of"),
    *(present(name) for name in ("cart_items", "viewed_items", "searches")),
    *(between(name, 0, MOST) for name in ("cart_items", "viewed_items", "searches")),
    between("said", 1, 3 * MOST, "nothing in the cart, nothing looked at and no search"),
    between("cart_value", 0, MOST_MONEY * ITEMS, "cart_value not a finite number above 0", strict_low=True),
    between("cart_newest", 1, OPEN_DAYS),
    between("cart_oldest", 1, OPEN_DAYS),
    not_after("cart_newest", "cart_oldest", "the newest item in the cart older than the oldest"),
    between("last_viewed", 1, OPEN_DAYS),
    between("search_idle", 1, SEARCH_DAYS),
    between("listed", 0, ITEMS_KEPT),
    is_true("items_named", "an item without id"),
    between("texts", 0, TERMS_KEPT),
    between("longest_text", 0, TERM_LENGTH),
    unique("user_id", "as_of"),
)
