"""Parameters by their names: "als.rank" is the rank of the ALS of models.hybrid.Parameters.

So that a setting, a model's file and a search speak of the same thing, and every wrong name or value is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from lake.errors import ModelError

Value = float | int | str
P = TypeVar("P")
# What has a value of its own elsewhere, and what is a table.
FIXED = ("diversity", "confidence.weights")


def value_names(parameters: Any, prefix: str = "") -> dict[str, Any]:
    """Each value that may be given, by its name."""
    found: dict[str, Any] = {}
    for field in fields(parameters):
        name, value = f"{prefix}{field.name}", getattr(parameters, field.name)
        if is_dataclass(value):
            found |= value_names(value, f"{name}.")
        elif name not in FIXED:
            found[name] = value
    return found


def with_values(parameters: P, values: Mapping[str, Value]) -> P:
    """The parameters with some values replaced. Raises ModelError for a name or a kind of value that is not known.

    Where a whole number is expected, one that is none is refused; whether a value makes sense is the model's to say.
    """
    known = value_names(parameters)
    for name, value in values.items():
        if name not in known:
            raise ModelError(f"there is no parameter {name[:80]!r}; allowed: {', '.join(sorted(known))}")
        parameters = _with(parameters, name.split("."), _like(known[name], value, name))
    return parameters


def of_sources(values: Mapping[str, Value]) -> dict[str, Value]:
    """Those that the sources and the features depend on; the others are the ranker's alone."""
    return {name: value for name, value in values.items() if name != "label_windows" and not name.startswith("ranker.")}


def _with(part: Any, path: list[str], value: Value) -> Any:
    inner = value if len(path) == 1 else _with(getattr(part, path[0]), path[1:], value)
    return replace(part, **{path[0]: inner})


def _like(current: Any, value: Value, name: str) -> Value:
    """The value as the one it replaces is: a text, a whole number or a number. Where there is none, a number."""
    if isinstance(current, str):
        if isinstance(value, str):
            return value
        raise ModelError(f"parameter {name}: got {value!r}; it must be a text, as {current!r} is")
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not number:
        raise ModelError(f"parameter {name}: got {str(value)[:80]!r}; it must be a finite number")
    if isinstance(current, int) and float(value) != int(value):
        raise ModelError(f"parameter {name}: got {value!r}; it must be a whole number, as {current!r} is")
    return int(value) if isinstance(current, int) else float(value)
