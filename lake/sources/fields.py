"""The kinds of values a mapping holds, each with its check and the words for what is wrong."""

from __future__ import annotations

import re
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

# Columns that ingest adds to bronze; a source column of the same name gets another one there.
ADDED = ("_corrupt_record", "_file", "_kind", "_received_at", "_logical_date", "_window_date")

# What Spark can parse; other letters of its patterns are for printing only.
_PATTERN_LETTERS = set("GyMLdDahkKHmsSVzOXxZ")


def bronze_name(column: str) -> str:
    """The name of a source column in bronze, where Delta refuses blanks and some signs.

    Letters, digits, _ and - stay, all else becomes _: "Customer ID" is Customer_ID.
    """
    name = re.sub(r"[^\w-]", "_", column.strip())
    return f"source{name}" if name.lower() in ADDED else name


def _time_pattern(value: str) -> str:
    if value in ("iso", "epoch_seconds", "epoch_millis"):
        return value
    bare = re.sub(r"'[^']*'", "", value)
    wrong = sorted({letter for letter in bare if letter.isascii() and letter.isalpha()} - _PATTERN_LETTERS)
    if wrong or "'" in bare or not bare.strip():
        raise ValueError(
            f"is no time format ({'letters ' + ', '.join(wrong) if wrong else 'unbalanced quotes or empty'}); allowed: "
            'iso, epoch_seconds, epoch_millis, or a Spark pattern such as "yyyy-MM-dd HH:mm:ss"'
        )
    return value


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError('is no IANA time zone; allowed for example: "UTC", "Europe/London", "America/New_York"')
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


SourceColumn = Annotated[str, Field(min_length=1, max_length=255)]
Zone = Annotated[str, AfterValidator(_zone)]
Regex = Annotated[str, AfterValidator(_regex)]
Levels = Annotated[tuple[SourceColumn, ...], BeforeValidator(_listed)]
TimeFormats = Annotated[
    tuple[Annotated[str, AfterValidator(_time_pattern)], ...], BeforeValidator(_listed), Field(min_length=1)
]
