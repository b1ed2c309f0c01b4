"""A person's profile in words: the page that `attune profile` prints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from features.consent import PURPOSE
from jobs.user_profile import SHOWN_ITEMS, SHOWN_KEYS, SHOWN_SEARCHES, Profile
from lake.console import out

# Of what is preferred in a situation.
SHOWN_PREFERRED = 2


def show(found: Profile) -> None:
    """The profile in words."""
    out.print(f"What is held about {found.user_id}, from before {found.as_of}\n", markup=False)
    for heading, text in (
        ("stated", _stated_in_words(found)),
        ("who they are", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.who.items())),
        ("consent", _consent_in_words(found)),
        ("activity", _activity_in_words(found)),
        ("engagement", _engagement_in_words(found)),
        ("in mind", _intent_in_words(found)),
        ("buying", _buying_in_words(found)),
        ("buying lately", _windows_in_words(found)),
        ("expected", _value_in_words(found)),
        *((f"leans: {name}", _keys_in_words(keys)) for name, keys in found.leanings.items()),
        *((f"there: {name}", _contexts_in_words(rows)) for name, rows in _by_context(found).items()),
        ("due again", _due_in_words(found)),
        ("tonight", _tonight_in_words(found)),
        ("rows", ", ".join(f"{name} {count:,}" for name, count in sorted(found.rows.items()))),
    ):
        out.print(f"{heading:<18}{text}", markup=False)


def _stated_in_words(found: Profile) -> str:
    if found.stated is None:
        return "nothing"
    said = {name: value for name, value in found.stated.items() if value not in (None, {})}
    source = said.pop("source", None)
    maps = [f"{key} {value}" for name in ("preferences", "attributes") for key, value in said.pop(name, {}).items()]
    plain = [f"{name.replace('_', ' ')} {value}" for name, value in said.items()]
    return (", ".join(plain + maps) or "nothing more than the id") + (f" (from {source})" if source else "")


def _consent_in_words(found: Profile) -> str:
    granted = found.consent["granted"]
    if granted is not None:
        return f"{PURPOSE} {'granted' if granted else 'withdrawn'} at {found.consent['at']:%Y-%m-%d %H:%M} UTC"
    means = found.consent["missing"]
    return f"no word on {PURPOSE}; " + (f"that counts as {means} here" if means else "what that means is not set here")


def _activity_in_words(found: Profile) -> str:
    activity = found.activity
    if activity is None:
        return "none"
    counted = ", ".join(f"{count:,} {name}" for name, count in activity["types"].items())
    parts = [f"{activity['events']:,} events on {activity['days']:,} days, {activity['first']} to {activity['last']}"]
    parts += [counted]
    for name in ("devices", "countries"):
        if activity[name]:
            parts.append(f"{name} {', '.join(activity[name])}")
    if activity["searches"]:
        parts.append("searched for " + ", ".join(f'"{text}"' for text in activity["searches"]))
    return "; ".join(parts)


def _engagement_in_words(found: Profile) -> str:
    row = found.engagement
    if row is None:
        return "nothing known"
    last = row["as_of"] - timedelta(days=row["idle"])
    days = f"active on {row['active_days']:,} days, {row['active_28']} of the last 28, the last {last}"
    parts = [f"{row['stage'].replace('_', ' ')}: {days}"]
    if row["depth"] is not None:
        parts.append(f"{row['depth']:.1f} events a session")
    if row["quick_exit_share"] is not None:
        parts.append(f"{row['quick_exit_share']:.0%} of sessions ended after one")
    if row.get("back_and_forth"):
        parts.append(f"back and forth {row['back_and_forth']:.1f} times a session")
    if row["trend"]:
        parts.append(f"{'more' if row['trend'] > 0 else 'less'} active than in the 28 days before")
    if row.get("used"):
        parts.append("lately used " + ", ".join(name.replace("_", " ") for name in row["used"]))
    if row.get("ignored"):
        parts.append("but not " + ", ".join(name.replace("_", " ") for name in row["ignored"]))
    return "; ".join(parts)


def _intent_in_words(found: Profile) -> str:
    row = found.intent
    if row is None:
        return "nothing of the last days"
    parts = []
    if row["cart_items"]:
        worth = f" worth {row['cart_value']:,.2f}" if row["cart_value"] is not None else ""
        parts.append(f"{row['cart_items']:,} items left in the cart{worth}, for {_days(row['cart_oldest'])} at most")
    if row["viewed_items"]:
        parts.append(f"{row['viewed_items']:,} looked at again and again, last {_days(row['last_viewed'])} ago")
    if row["items"]:
        parts.append("these are " + ", ".join(item["item_id"] for item in row["items"][:SHOWN_ITEMS]))
    if row["searches"]:
        said = ", ".join(f'"{text}"' for text in (row["terms"] or [])[:SHOWN_SEARCHES])
        parts.append(f"{row['searches']:,} searches" + (f", for {said}" if said else ""))
    return "; ".join(parts)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def _buying_in_words(found: Profile) -> str:
    row = found.buying
    if row is None:
        return "nothing known"
    last = row["as_of"] - timedelta(days=row["recency"])
    scores = f"recency {row['r']}, frequency {row['f']}, money {row['m']} of 5"
    return f"{row['frequency']:,} orders worth {row['monetary']:,.2f}, the last on {last}; {scores}: {row['segment']}"


def _windows_in_words(found: Profile) -> str:
    told = "{frequency:,} orders worth {monetary:,.2f} in {window_days} days"
    return ", ".join(told.format(**row) for row in found.windows) or "nothing in any window"


def _value_in_words(found: Profile) -> str:
    row = found.value
    if row is None:
        return "nothing known"
    worth = f" worth {row['expected_value']:,.2f} each" if row["expected_value"] is not None else ""
    days = f"{row['expected_purchases']:.1f} days with a purchase in {row['horizon_days']}"
    return f"still a customer with probability {row['alive']:.2f}; {days}{worth}"


def _keys_in_words(keys: list[dict[str, Any]]) -> str:
    return ", ".join(f"{entry['key']} {entry['share']:.0%} ({_more_in_words(entry)})" for entry in keys)


def _more_in_words(entry: dict[str, Any]) -> str:
    lift = f"{entry['lift']:.1f} times as much as people, " if entry["lift"] is not None else ""
    lately = f"{entry['recent_share']:.0%} lately, " if entry["recent_share"] is not None else ""
    return f"{lift}{lately}{entry['evidence']:,} events"


def _by_context(found: Profile) -> dict[str, list[dict[str, Any]]]:
    """The rows of each context."""
    told: dict[str, list[dict[str, Any]]] = {}
    for row in found.contexts:
        told.setdefault(row["context"], []).append(row)
    return told


def _contexts_in_words(rows: list[dict[str, Any]]) -> str:
    """What is preferred in each situation, the strongest first."""
    situations: dict[str, list[str]] = {}
    for row in rows:
        more = f" ({row['lift']:.1f} times as much as else)" if row["lift"] is not None else ""
        situations.setdefault(row["situation"], []).append(f"{row['key']} {row['share']:.0%}{more}")
    return "; ".join(f"{name}: {', '.join(told[:SHOWN_PREFERRED])}" for name, told in situations.items())


def _due_in_words(found: Profile) -> str:
    """What is still to come first, then what was due before, the latest first."""
    later = [row for row in found.due if row["due"] >= found.as_of]
    earlier = [row for row in reversed(found.due) if row["due"] < found.as_of]
    shown = (later + earlier)[:SHOWN_KEYS]
    told = (f"{row['key']} on {row['due']} (bought on {row['days']:,} days)" for row in shown)
    return ", ".join(told) or "nothing known"


def _tonight_in_words(found: Profile) -> str:
    if found.tonight is None:
        return "no list of their own is published"
    items = (f"{item.title or item.item_id} ({item.reason})" for item in found.tonight.items)
    return "; ".join(items) + f": snapshot {found.tonight.snapshot_id}"
