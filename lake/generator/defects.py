"""Every kind of defect the cleaning knows: what is wrong with the line, and what should become of it.

The reasons are those a person reads in silver.rejected, written out here once more on purpose: the truth must not come
from the code it judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from pyspark.sql import Column
from pyspark.sql import functions as F

from lake.generator.chance import below, pick, uniform
from lake.generator.params import Params

Concerns = Literal["any", "item", "purchase", "rate"]
Outcome = Literal["rejected", "duplicate", "return", "corrected", "filled", "kept", "bot"]
Change = Callable[[Params, Column], Column]

_USER_CONTROL = "user_id empty or with control characters"
_ITEM_CONTROL = "item_id empty or with control characters"
_TIME = "event_time missing or unreadable"
_ERA = "event_time before 1970 or after 2999"
_FUTURE = "event_time in the future"
_LATE = "event_time beyond the late horizon"
_QUANTITY = "quantity not a number above 0 and up to 1,000,000"
_AMOUNT = "amount not a number from 0 to 10,000,000"
_UNPAID = "amount of a purchase not above 0"
_PRICE = "unit_price not a number from 0 to 10,000,000"

TIME_FORMAT = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
LONG = 300  # characters; ids may have 256
LATE_DAYS = (60, 400)  # before the log begins
RETURNED_WITHIN = 72 * 3600  # seconds after the purchase


@dataclass(frozen=True)
class Kind:
    """A kind of defect.

    concerns: which events may have it. outcome, reasons: what cleaning should do; the reasons of a rejected line, or
    the names that silver.events should have in `corrected` or `filled`. truth: columns that are otherwise in truth,
    event_time among them. sent: columns that are otherwise in the file. further: a second line beside the event's own.
    """

    name: str
    concerns: Concerns
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    sent: dict[str, Change] = field(default_factory=dict)
    truth: dict[str, Change] = field(default_factory=dict)
    further: bool = False


def _text(value: str) -> Change:
    return lambda params, chance: F.lit(value)


def _one_of(*values: str) -> Change:
    return lambda params, chance: pick(values, chance)


def _more(name: str, before: str = "", after: str = "") -> Change:
    return lambda params, chance: F.concat(F.lit(before), F.col(name), F.lit(after))


def _long(letter: str) -> Change:
    return _text(letter * LONG)


def _shown(time: Column) -> Column:
    return F.date_format(time, TIME_FORMAT)


def _years(first: int, count: int) -> Change:
    """The time, in another year; every month has a 28th."""

    def change(params: Params, chance: Column) -> Column:
        return F.concat((below(chance, count) + first).cast("string"), F.lit("-06-28T12:00:00.000Z"))

    return change


def _long_before(params: Params, chance: Column) -> Column:
    low, high = LATE_DAYS
    return _shown(F.timestamp_seconds(F.unix_seconds(F.lit(params.start).cast("timestamp"))
                                      - (below(chance, (high - low) * 86_400) + low * 86_400)))  # fmt: skip


def _in_zone(params: Params, chance: Column) -> Column:
    local = F.col("event_time") + F.expr("INTERVAL 2 HOURS")
    return F.concat(F.date_format(local, "yyyy-MM-dd'T'HH:mm:ss.SSS"), F.lit("+02:00"))


def _millis(params: Params, chance: Column) -> Column:
    return F.unix_millis("event_time").cast("string")


def swapped_time() -> Column:
    """The event's time with day and month exchanged; null when that is no date."""
    time = F.col("event_time")
    seconds = F.extract(F.lit("SECONDS"), time)
    return F.try_make_timestamp(F.year(time), F.dayofmonth(time), F.month(time), F.hour(time), F.minute(time), seconds)


def _negative(params: Params, chance: Column) -> Column:
    return (-F.col("quantity")).cast("string")


def _returned_at(params: Params, chance: Column) -> Column:
    return F.timestamp_millis(F.unix_millis("event_time") + (below(chance, RETURNED_WITHIN) + 60) * 1000)


def _loud(name: str) -> Change:
    return lambda params, chance: F.concat(F.lit(" "), F.upper(F.translate(F.col(name), "_", "-")), F.lit("  "))


def _quiet(name: str) -> Change:
    return lambda params, chance: F.concat(F.lit(" "), F.lower(F.col(name)))


KINDS: tuple[Kind, ...] = (
    Kind("user_missing", "any", "rejected", ("user_id missing",), {"user": _one_of("", "   ")}),
    Kind("user_control", "any", "rejected", (_USER_CONTROL,), {"user": _more("user_id", after="\u0007x")}),
    Kind("user_too_long", "any", "rejected", ("user_id longer than 256 characters",), {"user": _long("u")}),
    Kind("item_missing", "item", "rejected", ("item_id missing",), {"item": _one_of("", "  ")}),
    Kind("item_control", "item", "rejected", (_ITEM_CONTROL,), {"item": _more("item_id", after="\u001bx")}),
    Kind("item_too_long", "item", "rejected", ("item_id longer than 256 characters",), {"item": _long("i")}),
    Kind("item_no_product", "item", "rejected", ("item_id not a product",),
         {"item": _one_of("SHIPPING", "VOUCHER-10", "VOUCHER-25")}),
    Kind("type_missing", "any", "rejected", ("event_type missing",), {"type": _text("")}),
    # Of a search it would be two defects: what is no search must have an item.
    Kind("type_unknown", "item", "rejected", ("event_type unknown",), {"type": _one_of("teleport", "vi ew", "kauf")}),
    Kind("time_missing", "any", "rejected", (_TIME,), {"at": _text("")}),
    Kind("time_unreadable", "any", "rejected", (_TIME,),
         {"at": _one_of("yesterday", "2024-13-45T10:00:00Z", "2024-02-30T10:00:00Z", "31/12/2023 noon")}),
    Kind("time_before_1970", "any", "rejected", (_ERA,), {"at": _years(1900, 69)}),
    Kind("time_after_2999", "any", "rejected", (_ERA, _FUTURE), {"at": _years(3000, 900)}),
    Kind("time_future", "any", "rejected", (_FUTURE,), {"at": _years(2200, 700)}),
    Kind("time_too_late", "any", "rejected", (_LATE,), {"at": _long_before}),
    Kind("line_cut", "any", "rejected", ("line unparsable",)),  # cut where the line is written
    Kind("quantity_zero", "purchase", "rejected", (_QUANTITY, _UNPAID), {"quantity": _text("0")}),
    Kind("quantity_text", "purchase", "rejected", (_QUANTITY, _AMOUNT, _UNPAID), {"quantity": _one_of("two", "1,5")}),
    Kind("quantity_huge", "purchase", "rejected", (_QUANTITY, _AMOUNT, _UNPAID), {"quantity": _text("1e308")}),
    Kind("quantity_negative_unpaid", "purchase", "rejected", (_QUANTITY, _UNPAID),
         {"quantity": _negative, "price": _text("0")}),
    Kind("price_zero", "purchase", "rejected", (_UNPAID,), {"price": _text("0.00")}),
    Kind("price_text", "purchase", "rejected", (_AMOUNT, _UNPAID, _PRICE), {"price": _one_of("free", "€ 4", "9,99")}),
    Kind("price_nan", "purchase", "rejected", (_AMOUNT, _UNPAID, _PRICE), {"price": _text("NaN")}),
    Kind("price_huge", "purchase", "rejected", (_AMOUNT, _UNPAID, _PRICE), {"price": _text("1e308")}),
    Kind("price_negative", "purchase", "rejected", (_AMOUNT, _UNPAID, _PRICE), {"price": _more("price", "-")}),
    Kind("currency_unknown", "purchase", "rejected", ("currency not in ISO 4217",), {"currency": _one_of("quid", "€")}),
    Kind("rating_missing", "rate", "rejected", ("rating missing",), {"rating": _text("")}),
    Kind("rating_text", "rate", "rejected", ("rating not a finite number",), {"rating": _one_of("good", "NaN")}),
    Kind("repeated_line", "any", "duplicate", further=True),
    Kind("repeated_event_id", "any", "duplicate", sent={"device": _text("retry")}, further=True),
    Kind("repeated_natural_key", "any", "duplicate", truth={"event_id": _more("event_id", after="-again")},
         further=True),
    Kind("cancellation", "purchase", "return", ("cancellation_to_return",),
         {"order": _more("order_id", "C"), "quantity": _negative, "type": _text("purchase")},
         {"event_id": _more("event_id", after="-c"), "event_type": _text("return"), "event_time": _returned_at},
         further=True),
    Kind("negative_quantity", "purchase", "return", ("negative_quantity_to_return",),
         {"quantity": _negative, "type": _text("purchase")},
         {"event_id": _more("event_id", after="-n"), "event_type": _text("return"), "event_time": _returned_at},
         further=True),
    Kind("time_swapped", "any", "corrected", ("day_and_month_swapped",),
         {"at": lambda params, _: _shown(swapped_time())}),
    Kind("country_unknown", "any", "corrected", ("unknown_country",), {"country": _one_of("Atlantis", "XX")},
         {"country": lambda params, _: F.lit(None).cast("string")}),
    Kind("quantity_missing", "purchase", "filled", ("quantity",), {"quantity": _text("")},
         {"quantity": lambda params, _: F.lit(1)}),
    Kind("device_missing", "any", "filled", ("device",), {"device": _one_of("", " ")}),
    Kind("event_id_missing", "any", "kept", sent={"id": lambda params, _: F.lit(None).cast("string")}),
    Kind("text_untidy", "any", "kept", sent={
        "user": _more("user_id", "  ", " "), "item": _more("item_id", " "), "type": _loud("event_type"),
        "country": _quiet("country"), "currency": _quiet("currency"), "quantity": _more("quantity", " ", ".0 "),
    }),
    Kind("time_with_offset", "any", "kept", sent={"at": _in_zone}),
    Kind("time_in_millis", "any", "kept", sent={"at": _millis}),
    Kind("arrives_late", "any", "kept"),  # its line is in the file of one of the next two days
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}


def shares(params: Params, event_type: str) -> dict[str, float]:
    """Kind -> chance of an event of the type to have it, where nothing else forbids it (see `possible`).

    Half of the defects of purchases and ratings are of the kinds that only they can have.
    """
    every = ("any",) if event_type == "search" else ("any", "item")  # a search is about no item
    general = [kind.name for kind in KINDS if kind.concerns in every]
    if params.ingested is None:
        general.remove("time_swapped")
    own = [kind.name for kind in KINDS if kind.concerns == event_type]
    half = params.defects / 2 if own else params.defects
    return {name: half / len(general) for name in general} | {name: half / len(own) for name in own}


def kind_of(params: Params) -> Column:
    """The kind of defect of an event, or null. Expects number, event_type and event_time."""
    chance = uniform(params.seed, "defect", F.col("number")) / (params.defects or 1.0)
    drawn = F.lit(None).cast("string")
    for concerned in ("purchase", "rate", "search", "other"):
        names = list(shares(params, concerned))
        own = [name for name in names if BY_NAME[name].concerns == concerned]
        general = [name for name in names if name not in own]
        found = pick(general, chance)
        if own:
            found = F.when(chance < 0.5, pick(general, chance * 2)).otherwise(pick(own, chance * 2 - 1))
        applies = F.lit(True) if concerned == "other" else F.col("event_type") == concerned
        drawn = F.when(drawn.isNull() & applies, found).otherwise(drawn)
    return F.when(chance < 1, drawn) if params.defects else F.lit(None).cast("string")


def possible(params: Params) -> Column:
    """Whether the event may have the kind in `kind`: a return lies within the log, a late line too, and exchanged day
    and month are only known to be wrong on the log's last day, when they give a day after `ingested`.
    """
    kind, day = F.col("kind"), F.to_date("event_time")
    last = F.lit(params.end - timedelta(days=1))
    returned = F.unix_seconds("event_time") + RETURNED_WITHIN + 60 < F.unix_seconds(F.lit(params.end).cast("timestamp"))
    swapped = F.to_date(swapped_time()) > F.lit(params.ingested or params.end)
    return F.coalesce(
        F.when(kind.isin("cancellation", "negative_quantity"), returned)
        .when(kind == "arrives_late", day < last)
        .when(kind == "time_swapped", (day == last) & swapped)
        .otherwise(F.lit(True)),
        F.lit(False),
    )
