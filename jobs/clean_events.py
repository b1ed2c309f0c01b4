"""bronze -> silver: standardise, correct, reject with every reason, deduplicate, sessionise, gate.

Late rows that arrived with this window correct their own days, as far back as the horizon: the window is then
extended to the first of them.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import reduce

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from expectations.events import ROW_RULES
from expectations.gate import gate
from features.catalogue import described_in_events, merge_catalogue, priced_in_events
from features.clean import finish, judge, rejected_rows
from features.people import consents_in_files, described_in_files, users_in_files
from features.sessions import RETURN_DAYS
from features.standardise import standardise
from jobs.job import CLEANED_FROM, Context, Report
from jobs.scratch import settled
from lake import delta, log
from lake.codes import country_codes, currency_codes
from lake.console import say, step
from lake.errors import SourceError
from lake.sources.bronze import bronze_table
from lake.sources.columns import is_no_item
from lake.sources.mapping import Mapping
from lake.tables import CONSENTS, EVENTS, ITEMS, REJECTED, USERS
from lake.window import EARLIEST, Window

AHEAD = ("great_expectations",)
ROWS_A_TASK = 500_000


def run(context: Context) -> Report:
    """Clean the window. Raises ContractError when the books do not balance or the gate fails."""
    settings, run_id = context.settings, context.run_id
    registered = Mapping.for_home(settings).values()
    mappings = [mapping for mapping in registered if log.exists(settings, f"bronze.{mapping.name}")]
    if not mappings:
        raise SourceError(
            f"nothing has been ingested in {settings.home}; first: attune load SOURCE, then "
            f"attune run ingest_events --start {context.window.start} --end {context.window.end}"
        )
    if not _anything(context, mappings):
        say(f"nothing arrived for {context.window}, and the tables hold nothing of it")
        return Report(0, 0, 0, 0, {CLEANED_FROM: context.window.start})
    with step("items, users and consents"):
        _people_and_items(context, mappings)
    bronze = {mapping.name: _arrived(context, mapping) for mapping in mappings}
    read, first_day = _measure(bronze, context)
    window = Window(min(first_day, context.window.start), context.window.end)
    rows = [_judged(context, mapping, _of_window(bronze[mapping.name], window), window) for mapping in mappings]
    # Settled, because three tables are made of it; and so that no filter is pushed below, which would repeat every
    # expression in every predicate.
    with settled(reduce(DataFrame.unionByName, rows), context, f"judging {read:,} rows") as judged:
        with step("rejecting and cleaning"):
            delta.replace_window(
                rejected_rows(judged, run_id), settings, REJECTED, delta.in_window("window_date", window), run_id
            )
            seen = Observation("clean")
            told = finish(
                judged,
                delta.user_bucket(),
                settings.session_gap_minutes,
                _earlier_purchases(context, window, judged),
                _session_context(context, window),
                _partitions(context, read),
            ).observe(seen, F.count_if("is_duplicate").alias("duplicates"))
            events = told.filter(~F.col("is_duplicate"))
            delta.replace_window(events, settings, EVENTS, delta.in_window("event_date", window), run_id)
        with step("catalogue"):
            _items_in_events(context, judged)
    report = _report(context, window, read, int(seen.get.get("duplicates") or 0))
    report.check_books()
    with step("gate: silver.events"):
        gate(_window_of(context, "silver.events", "event_date", window), "silver.events", settings, run_id)
    return report


def _partitions(context: Context, rows: int) -> int | None:
    """Into how many parts so many rows are divided by user; None for a window that Spark divides well enough."""
    parts = -(-rows // ROWS_A_TASK)
    return parts if parts > context.settings.shuffle_partitions else None


def _anything(context: Context, mappings: list[Mapping]) -> bool:
    """Whether a row of the window, or one that came with it, may be in bronze or in what cleaning writes.

    By the ranges in the logs: a day without data costs no session.
    """
    bronze = [f"bronze.{mapping.name}" for mapping in mappings]
    bronze += [bronze_table(mapping, kind).name for mapping in mappings for kind in mapping.kinds if kind != "events"]
    looked = [(name, date) for name in bronze for date in ("_window_date", "_logical_date")]
    looked += [(EVENTS.name, "event_date"), (REJECTED.name, "window_date")]
    return any(log.may_hold(context.settings, name, date, context.window) for name, date in looked)


def _arrived(context: Context, mapping: Mapping) -> DataFrame:
    return delta.read(context.spark, context.settings, f"bronze.{mapping.name}")


def _arrived_with(frame: DataFrame, window: Window) -> DataFrame:
    return frame.filter(delta.in_window("_logical_date", window))


def _of_window(bronze: DataFrame, window: Window) -> DataFrame:
    """Rows of the window's dates, and rows of earlier dates that arrived with it."""
    inside = F.expr(delta.in_window("_window_date", window))
    too_late = F.expr(delta.in_window("_logical_date", window)) & (F.col("_window_date") < F.lit(window.start))
    return bronze.filter(inside | too_late)


def _measure(bronze: dict[str, DataFrame], context: Context) -> tuple[int, date]:
    """Rows to judge, and the first day to clean: the window's, or that of the earliest late row in the horizon."""
    window = context.window
    horizon = window.start - timedelta(days=context.settings.late_horizon_days)
    dates = reduce(DataFrame.unionByName, (frame.select("_window_date", "_logical_date") for frame in bronze.values()))
    whole = Window(max(EARLIEST, horizon), window.end)
    near = F.expr(f"{delta.in_window('_window_date', whole)} OR {delta.in_window('_logical_date', whole)}")
    # A row for each pair of dates: few.
    days = dates.filter(near).groupBy("_window_date", "_logical_date").count().collect()
    late = [row for row in days if row[1] in window and horizon <= row[0] < window.start]
    first = min((row[0] for row in late), default=window.start)
    if late:
        say(f"{sum(row[2] for row in late):,} late rows: cleaning again from {first}")
    inside = Window(first, window.end)
    return sum(row[2] for row in days if row[0] in inside or (row[1] in inside and row[0] < first)), first


def _judged(context: Context, mapping: Mapping, bronze: DataFrame, window: Window) -> DataFrame:
    items = delta.read(context.spark, context.settings, "silver.items").filter(F.col("source") == mapping.name)
    not_items = items.filter(is_no_item(mapping, F.lit(None).cast("string"), F.col("category"))).select("item_id")
    standard = standardise(bronze, mapping, country_codes(), currency_codes(), not_items)
    return judge(standard, ROW_RULES, window.start)


def _earlier_purchases(context: Context, window: Window, judged: DataFrame) -> DataFrame | None:
    """Purchases that this window's returns may undo; None when the lake holds nothing before the window."""
    earlier = _before(context, window, RETURN_DAYS + 1)
    if earlier is None:
        return None
    before = _window_of(context, "silver.events", "event_date", earlier).filter("event_type = 'purchase'")
    returned = judged.filter((F.size("reasons") == 0) & (F.col("event_type") == "return"))
    pairs = returned.select("user_id", "item_id").distinct()
    return before.select("event_id", "user_id", "item_id", "event_type", "event_time").join(
        F.broadcast(pairs), ["user_id", "item_id"], "left_semi"
    )


def _session_context(context: Context, window: Window) -> DataFrame | None:
    """Events of the last session gap before the window; None when there are none."""
    minutes = context.settings.session_gap_minutes
    earlier = _before(context, window, 1 + minutes // 1440)
    if earlier is None:
        return None
    since = F.lit(window.start).cast("timestamp") - F.expr(f"INTERVAL {minutes} MINUTES")
    before = _window_of(context, "silver.events", "event_date", earlier).filter(F.col("event_time") >= since)
    return before.select("user_id", "event_time", "session_id")


def _before(context: Context, window: Window, days: int) -> Window | None:
    """The days before the window, as many as given; None when silver.events holds nothing there."""
    start = max(EARLIEST, window.start - timedelta(days=days))
    if start == window.start:
        return None
    earlier = Window(start, window.start)
    return earlier if log.may_hold(context.settings, "silver.events", "event_date", earlier) else None


def _files(context: Context, mapping: Mapping, kind: str) -> DataFrame | None:
    """Rows of a source's item, user or consent files that arrived with the window; None when there are none."""
    table = f"bronze.{mapping.name}_{kind}"
    if kind not in mapping.kinds or not log.may_hold(context.settings, table, "_logical_date", context.window):
        return None
    return _arrived_with(delta.read(context.spark, context.settings, table), context.window)


def _people_and_items(context: Context, mappings: list[Mapping]) -> None:
    """Merge what the item, user and consent files say, before any event is judged by it."""
    settings, run_id = context.settings, context.run_id
    for mapping in mappings:
        if (rows := _files(context, mapping, "items")) is not None:
            files = described_in_files(rows, mapping)
            # A price from a file holds until the first sale.
            listed = files.filter(F.col("price") > 0).select(
                "item_id", "price", "currency", F.lit("1970-01-01").cast("timestamp").alias("priced_at")
            )
            known = delta.read(context.spark, settings, "silver.items")
            delta.merge(merge_catalogue(known, files, listed), settings, ITEMS, run_id)
        if (rows := _files(context, mapping, "users")) is not None:
            users = users_in_files(rows, mapping, country_codes())
            delta.merge(users.withColumn("user_bucket", delta.user_bucket()), settings, USERS, run_id)
        if (rows := _files(context, mapping, "consents")) is not None:
            consents = consents_in_files(rows, mapping).withColumn("user_bucket", delta.user_bucket())
            delta.merge(consents, settings, CONSENTS, run_id, update=False)


def _items_in_events(context: Context, judged: DataFrame) -> None:
    """Merge what the clean events say about items: titles, and the latest prices."""
    fine = judged.filter((F.size("reasons") == 0) & F.col("item_id").isNotNull())
    known = delta.read(context.spark, context.settings, "silver.items")
    merged = merge_catalogue(known, described_in_events(fine), priced_in_events(fine))
    delta.merge(merged, context.settings, ITEMS, context.run_id)


def _window_of(context: Context, table: str, column: str, window: Window) -> DataFrame:
    return delta.read(context.spark, context.settings, table).filter(delta.in_window(column, window))


def _report(context: Context, window: Window, read: int, duplicates: int) -> Report:
    """Counts from what was written, so that a lost row shows."""
    rejected = _window_of(context, "silver.rejected", "window_date", window)
    events = _window_of(context, "silver.events", "event_date", window)
    reasons = rejected.groupBy("reasons").count().collect()
    by_reason: dict[str, int] = {}
    for row in reasons:
        for reason in row["reasons"]:
            by_reason[reason] = by_reason.get(reason, 0) + row["count"]
    flags = events.groupBy("filled", "corrected", "is_bot").count().collect()
    filled: dict[str, int] = {}
    for row in flags:
        for name in [
            *(f"filled {item}" for item in row["filled"]),
            *(f"corrected {item}" for item in row["corrected"]),
        ]:
            filled[name] = filled.get(name, 0) + row["count"]
    bots = sum(row["count"] for row in flags if row["is_bot"])
    details = {
        **{f"rejected: {reason}": count for reason, count in sorted(by_reason.items())},
        **dict(sorted(filled.items())),
        **({"bot events": bots} if bots else {}),
        CLEANED_FROM: window.start,
    }
    return Report(
        rows_read=read,
        rows_clean=sum(row["count"] for row in flags),
        rows_rejected=sum(row["count"] for row in reasons),
        rows_duplicate=duplicates,
        details=details,
    )
