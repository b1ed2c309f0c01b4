"""What a synthetic log is made from: one frozen object, and the fixed numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from lake.errors import SettingError

# A real shop's log: view 89.8 %, add to cart 5.3 %, like 2.8 %, purchase 2.1 %.
MAIN_TYPES = {"view": 0.898, "add_to_cart": 0.053, "like": 0.028, "purchase": 0.021}
# All other types share `Params.others` in these proportions.
OTHER_TYPES = {
    "impression": 0.40, "click": 0.20, "search": 0.20, "remove_from_cart": 0.08, "rate": 0.06,
    "dislike": 0.03, "hide": 0.02, "return": 0.01,
}  # fmt: skip

BOT_EVENTS = 600  # of each bot, all on one day, about a second apart
EARLIEST = date(1972, 1, 1)  # some lines are dated up to 400 days before the log
LATEST = date(2199, 12, 31)  # and some in 2200
MOST = 2_000_000_000
MOST_DAYS = 3_660
CATEGORIES = 240
ITEMS_A_CATEGORY = 20


@dataclass(frozen=True)
class Params:
    """A log is these, and nothing else: the same parameters give the same lines on any cluster, on any day.

    events: genuine events, those of bots among them; repeats and returns come on top. start, days: event dates
    [start, start + days), UTC. defects: chance of an event to be spoilt, or repeated, or returned. bots: share of the
    users. others: share of the event types beside view, add_to_cart, like and purchase. taste: share of events in a
    category that the person prefers; the others follow popularity alone. withdrawn, never_asked: shares of users by
    consent. ingested: the day the log will be taken in; times with day and month exchanged are made only where they lie
    after it, since only then can cleaning know, and none where it is None.
    """

    users: int
    items: int
    events: int
    start: date
    days: int
    seed: int
    defects: float = 0.02
    bots: float = 0.001
    others: float = 0.05
    taste: float = 0.7
    withdrawn: float = 0.08
    never_asked: float = 0.10
    ingested: date | None = None

    @property
    def end(self) -> date:
        """The day after the last."""
        return self.start + timedelta(days=self.days)

    @property
    def bot_users(self) -> int:
        """How many users are bots: those of the highest numbers; one at least when any share is asked for."""
        return max(1, round(self.users * self.bots)) if self.bots else 0

    @property
    def people(self) -> int:
        """Users who are no bots."""
        return self.users - self.bot_users

    @property
    def bot_events(self) -> int:
        """Events of bots."""
        return self.bot_users * BOT_EVENTS

    @property
    def people_events(self) -> int:
        """Events of people, before repeats and returns."""
        return self.events - self.bot_events

    @property
    def categories(self) -> int:
        """Narrowest categories: one for every ITEMS_A_CATEGORY items, 3 to CATEGORIES."""
        return max(3, min(CATEGORIES, self.items // ITEMS_A_CATEGORY))

    @property
    def type_shares(self) -> dict[str, float]:
        """Event type -> share of the events of people; the four main ones keep their ratio."""
        main = {name: share * (1 - self.others) for name, share in MAIN_TYPES.items()}
        more = {name: share * self.others for name, share in OTHER_TYPES.items()}
        return main | {name: share for name, share in more.items() if share}

    def check(self) -> Params:
        """The parameters themselves. Raises SettingError that lists everything that is out of bounds."""
        wrong = [
            f"got --{name.replace('_', '-')} {value!r}; allowed: {low:,} to {high:,}"
            for name, value, low, high in (
                ("users", self.users, 1, MOST),
                ("items", self.items, 10, MOST),
                ("events", self.events, 1, 1_000 * MOST),
                ("days", self.days, 1, MOST_DAYS),
                ("defects", self.defects, 0, 0.5),
                ("bots", self.bots, 0, 0.5),
                ("others", self.others, 0, 1),
                ("taste", self.taste, 0, 1),
                ("withdrawn", self.withdrawn, 0, 1),
                ("never_asked", self.never_asked, 0, 1),
            )
            if not low <= value <= high
        ]
        if wrong:
            raise SettingError("; ".join(wrong))
        if self.start < EARLIEST or self.end > LATEST:
            raise SettingError(f"got days from {self.start} to {self.end}; allowed: {EARLIEST} to {LATEST}")
        if self.withdrawn + self.never_asked > 1:
            raise SettingError(
                f"got --withdrawn {self.withdrawn} and --never-asked {self.never_asked}; together at most 1"
            )
        if self.ingested is not None and self.ingested < self.end - timedelta(days=1):
            raise SettingError(
                f"got --ingested {self.ingested}; the log's last day is {self.end - timedelta(days=1)}: give a day "
                "from then on"
            )
        if self.bot_users and (self.people < 1 or self.bot_events > self.events // 2):
            raise SettingError(
                f"got --bots {self.bots}: {self.bot_users:,} of {self.users:,} users, with {self.bot_events:,} of "
                f"{self.events:,} events; a bot has {BOT_EVENTS}, and at most half of the events may be theirs: give a "
                "lower --bots (0 for none), or more --events"
            )
        return self
