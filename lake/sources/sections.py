"""The sections of a mapping: what the files of each kind (events, items, users, consents) look like and mean.

Models are frozen and know every key: an unknown one is an error that lists the known ones. They are data; nothing
of them becomes part of an SQL string or a path.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lake.sources.fields import Levels, Regex, SourceColumn, TimeFormats, Zone, bronze_name
from lake.tables import EVENT_TYPES


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(_Model):
    """Standard name -> source column. Subclasses name the standard columns of a kind."""

    def named(self) -> dict[str, tuple[str, ...]]:
        """Standard name -> the source columns it is made of, for those that are mapped."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: (value,) if isinstance(value, str) else tuple(value) for name, value in given.items() if value}


class EventColumns(Columns):
    """What an event may bring; title, category and brand describe items that are only seen in events."""

    event_id: SourceColumn | None = None
    user_id: SourceColumn | None = None
    item_id: SourceColumn | None = None
    event_type: SourceColumn | None = None
    event_time: SourceColumn | None = None
    order_id: SourceColumn | None = None
    quantity: SourceColumn | None = None
    unit_price: SourceColumn | None = None
    amount: SourceColumn | None = None
    currency: SourceColumn | None = None
    rating: SourceColumn | None = None
    dwell_ms: SourceColumn | None = None
    query: SourceColumn | None = None
    device: SourceColumn | None = None
    country: SourceColumn | None = None
    surface: SourceColumn | None = None
    snapshot_id: SourceColumn | None = None
    slot: SourceColumn | None = None
    title: SourceColumn | None = None
    category: Levels = ()
    brand: SourceColumn | None = None


class ItemColumns(Columns):
    """What an item file may bring."""

    item_id: SourceColumn | None = None
    title: SourceColumn | None = None
    category: Levels = ()
    brand: SourceColumn | None = None
    price: SourceColumn | None = None
    currency: SourceColumn | None = None
    available_from: SourceColumn | None = None
    available_to: SourceColumn | None = None


class UserColumns(Columns):
    """What a user file may bring."""

    user_id: SourceColumn | None = None
    country: SourceColumn | None = None
    birth_year: SourceColumn | None = None
    personalisation_level: SourceColumn | None = None


class ConsentColumns(Columns):
    """What a consent file may bring."""

    user_id: SourceColumn | None = None
    purpose: SourceColumn | None = None
    at: SourceColumn | None = None
    granted: SourceColumn | None = None


class Time(_Model):
    """How times are written. The first format that parses wins; `zone` is for times without an offset."""

    format: TimeFormats = ("iso",)
    zone: Zone = "UTC"


class Section(_Model):
    """What the files of one kind look like and mean.

    values: standard column -> source value -> standard value; the empty string stands for "unknown" (null).
    """

    format: Literal["csv", "jsonl", "parquet"]
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: Literal["utf-8", "iso-8859-1"] = "utf-8"
    multiline: bool = False
    columns: Columns
    constants: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}

    @classmethod
    def requires(cls) -> tuple[str, ...]:
        """Standard columns without which a row means nothing."""
        return ()

    @model_validator(mode="after")
    def _consistent(self) -> Section:
        known = tuple(type(self.columns).model_fields)
        named = self.columns.named()
        for table, keys in (("constants", self.constants), ("values", self.values)):
            unknown = [key for key in keys if key not in known]
            if unknown:
                raise ValueError(f"{table} names {unknown}, which are no standard columns; allowed: {', '.join(known)}")
        twice = sorted(set(named) & set(self.constants))
        if twice:
            raise ValueError(f"{twice} are both in columns and in constants; keep one")
        if self.format != "csv" and {"delimiter", "encoding", "multiline"} & self.model_fields_set:
            raise ValueError('delimiter, encoding and multiline are for format = "csv" only')
        seen: dict[str, str] = {}
        for column in self.source_columns:
            other = seen.setdefault(bronze_name(column).lower(), column)
            if other != column:
                raise ValueError(f"the columns {other!r} and {column!r} cannot be told apart; rename one in the files")
        missing = [name for name in self.requires() if name not in named and name not in self.constants]
        if missing:
            raise ValueError(
                f"{', '.join(missing)} must be named in columns (or constants); named are: "
                f"{', '.join([*named, *self.constants]) or 'none'}"
            )
        return self

    def other_columns(self) -> tuple[str, ...]:
        """Source columns that are named outside `columns`."""
        return ()

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Every source column the section names, once, in order. Bronze has them all, null where a file lacks them."""
        named = [column for columns in self.columns.named().values() for column in columns]
        return tuple(dict.fromkeys([*named, *self.other_columns()]))

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Source columns without which a file is refused."""
        named = self.columns.named()
        return tuple(dict.fromkeys(column for name in self.requires() for column in named.get(name, ())))


class Identity(_Model):
    """Source columns that make a row itself: rows that agree in all of them are one row."""

    natural_key: tuple[SourceColumn, ...] = Field(min_length=1)


class Cancellation(_Model):
    """Which rows undo an earlier purchase: a prefix of a source column, or a negative quantity."""

    column: SourceColumn | None = None
    prefix: str | None = Field(default=None, min_length=1)
    negative_quantity: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Cancellation:
        if (self.column is None) != (self.prefix is None) or (self.column is None and not self.negative_quantity):
            raise ValueError("needs both column and prefix, or negative_quantity = true")
        return self


class NotItems(_Model):
    """Rows that are about no product (postage, discounts, gift cards): rejected as not_a_product.

    pattern: found in item_id. categories: each must match a whole level of the item's category path, any case.
    """

    pattern: Regex | None = None
    categories: tuple[Regex, ...] = ()


class Events(Section):
    """[events]: the one section a mapping must have."""

    columns: EventColumns
    category_separator: str | None = Field(default=None, min_length=1)
    time: Time = Time()
    identity: Identity | None = None
    cancellation: Cancellation | None = None
    not_items: NotItems = NotItems()

    @classmethod
    def requires(cls) -> tuple[str, ...]:
        """item_id is not among them: a search has none."""
        return ("user_id", "event_time", "event_type")

    @model_validator(mode="after")
    def _known_types(self) -> Events:
        given = [self.constants["event_type"]] if "event_type" in self.constants else []
        given += [value for value in self.values.get("event_type", {}).values() if value]
        wrong = [value for value in given if value not in EVENT_TYPES]
        if wrong:
            raise ValueError(f"{wrong} are no event types; allowed: {', '.join(EVENT_TYPES)}")
        if "event_time" in self.constants:
            raise ValueError("event_time cannot be a constant; name its source column in columns")
        return self

    def other_columns(self) -> tuple[str, ...]:
        """The natural key's and the cancellation's."""
        key = self.identity.natural_key if self.identity else ()
        return (*key, *((self.cancellation.column,) if self.cancellation and self.cancellation.column else ()))

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Those of the required names, of the items, and the ones rows are told apart or cancelled by."""
        item = self.columns.named().get("item_id", ())
        return tuple(dict.fromkeys([*super().required_columns, *item, *self.other_columns()]))


class Items(Section):
    """[items]: the catalogue. Items that are only seen in events take title, category and brand from [events]."""

    columns: ItemColumns
    category_separator: str | None = Field(default=None, min_length=1)
    time: Time = Time()
    attributes: tuple[SourceColumn, ...] = ()

    @classmethod
    def requires(cls) -> tuple[str, ...]:
        """An item is its id."""
        return ("item_id",)

    def other_columns(self) -> tuple[str, ...]:
        """The attributes'."""
        return self.attributes


class Users(Section):
    """[users]: what is known of people. preferences: what they stated themselves; attributes: whatever else."""

    columns: UserColumns
    preferences: tuple[SourceColumn, ...] = ()
    attributes: tuple[SourceColumn, ...] = ()

    @classmethod
    def requires(cls) -> tuple[str, ...]:
        """A user is their id."""
        return ("user_id",)

    def other_columns(self) -> tuple[str, ...]:
        """The preferences' and the attributes'."""
        return (*self.preferences, *self.attributes)


class Consents(Section):
    """[consents]: decisions, each with its instant. `granted` is true or false after its value map."""

    columns: ConsentColumns
    time: Time = Time()

    @classmethod
    def requires(cls) -> tuple[str, ...]:
        """Who decided what about which purpose, and when."""
        return ("user_id", "purpose", "at", "granted")


class Sensitive(_Model):
    """[sensitive]: items that are never recommended, whatever people buy.

    categories: each must match a whole level of the category path, any case; titles: found in the title, any case.
    """

    categories: tuple[Regex, ...] = ()
    titles: tuple[Regex, ...] = ()
