"""The global split by time: 75 % of the positives train, 12.5 % validate, 12.5 % test.

A random split would let a model see the future it is asked about (Meng et al. 2020, "Exploring Data
Splitting Strategies for the Evaluation of Recommendation Models").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.errors import ModelError

SHARES = (0.75, 0.125, 0.125)
# Label windows of the ranker unless told; two of them make the validation window.
LABEL_WINDOWS = 4


@dataclass(frozen=True)
class Split:
    """Three half-open windows: before validation, [validation, test), [test, end). Instants are UTC.

    labels: instants, ascending, at which windows begin whose wants the ranker learns. Each ends where the next
    begins, the last at test; each holds as many positives. None begins when there is no positive before it.
    """

    validation: datetime
    test: datetime
    end: datetime
    labels: tuple[datetime, ...]

    @property
    def label_windows(self) -> tuple[tuple[datetime, datetime], ...]:
        """Beginning and end of each."""
        return tuple(zip(self.labels, (*self.labels[1:], self.test), strict=True))


def time_split(
    positives: DataFrame, end: datetime, shares: tuple[float, float, float] = SHARES, windows: int = LABEL_WINDOWS
) -> Split:
    """Cut at the quantiles of event_time, interpolated linearly as NumPy does, exact.

    positives: DataFrame with event_time, all before end. windows: label windows, at most.

    Raises ModelError when the cuts do not leave three windows, which is so when there are too few distinct instants.
    """
    if abs(sum(shares) - 1) > 1e-9 or min(shares) <= 0:
        raise ModelError(f"got the shares {shares}; they must be positive and sum to 1")
    ends = [shares[0], shares[0] + shares[1]]
    begins = [ends[1] - shares[1] / 2 * number for number in range(windows, 0, -1)]
    micros = F.unix_micros("event_time")
    cuts = F.percentile(micros, F.array(*(F.lit(max(share, 0.0)) for share in (*ends, *begins))))
    found = positives.agg(cuts.alias("cuts"), F.min(micros).alias("first"), F.count(F.lit(1)).alias("n")).first()
    if found is None or not found.n:
        raise ModelError(
            "there is no purchase, like or good rating of a consenting user before "
            f"{end:%Y-%m-%d}: there is nothing to learn from; ingest more events, or check the consents"
        )
    validation, test, *labels = (_instant(cut) for cut in found.cuts)
    first = _instant(found.first)
    if not first < validation < test < end:
        raise ModelError(
            f"{found.n} purchases, likes and good ratings do not spread over enough instants to split by time: "
            f"the cuts fall on {validation} and {test}; history of at least some days is needed"
        )
    return Split(validation, test, end, tuple(sorted({cut for cut in labels if first < cut < test})))


def truth(wanted: DataFrame, history: DataFrame, items: DataFrame, *, strangers: bool = False) -> DataFrame:
    """What a model should have foretold, one row a user: user_id, relevant, relevant_new.

    wanted: positives of the window asked about (user_id, item_id). history: the positives before it, one row
    a user and item. items: DataFrame[item_id] that were known before it. Users without history and items that
    were not known are left out, as no model here can answer for them. strangers: the users without history instead,
    for whom there is at best an impersonal list. relevant_new holds the items the user had not wanted before; it is
    empty, never null.
    """
    pairs = wanted.select("user_id", "item_id").distinct().join(items.select("item_id"), "item_id", "left_semi")
    seen = history.select("user_id", "item_id", F.lit(True).alias("seen"))
    return (
        pairs.join(history.select("user_id").distinct(), "user_id", "left_anti" if strangers else "left_semi")
        .join(seen, ["user_id", "item_id"], "left")
        .groupBy("user_id")
        .agg(
            F.collect_list("item_id").alias("relevant"),
            F.collect_list(F.when(F.col("seen").isNull(), F.col("item_id"))).alias("relevant_new"),
        )
    )


def _instant(micros: float) -> datetime:
    """Rounded up to the microsecond, so that "before the cut" means the same for instants and their numbers."""
    whole = int(-(-micros // 1))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=whole)
