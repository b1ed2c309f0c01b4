"""What is wrong with a mapping, in words: the key, what was got, what is allowed."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError


def problems(error: ValidationError, model: type[BaseModel]) -> str:
    """All problems on one line, each as key: what was got, what is allowed."""
    return "; ".join(_problem(item, model) for item in error.errors())


def _problem(item: Any, model: type[BaseModel]) -> str:
    path = [str(part) for part in item["loc"]]
    key = ".".join(path)
    got = repr(item["input"])
    got = got if len(got) <= 80 else got[:77] + "..."
    match item["type"]:
        case "extra_forbidden":
            return f"{key} is no key of a mapping; allowed here: {', '.join(_keys(model, path[:-1]))}"
        case "missing":
            return f"{key} is missing; here belong: {', '.join(_keys(model, path[:-1]))}"
        case "literal_error":
            return f"{key}: got {got}, allowed: {item['ctx']['expected']}"
        case "string_pattern_mismatch":
            return f"{key}: got {got}, allowed are a-z, 0-9 and hyphens, at most 63 characters"
        case "value_error":
            text = item["msg"].removeprefix("Value error, ")
            return f"{key}: {text}" if isinstance(item["input"], dict) else f"{key}: {got} {text}"
        case _:
            return f"{key}: got {got}, {item['msg'][0].lower()}{item['msg'][1:]}"


def _keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys a model knows at a path."""
    for part in path:
        field = model.model_fields.get(part)
        inner = next((kind for kind in _models(field.annotation)), None) if field else None
        if inner is None:
            return ["none"]
        model = inner
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation such as Items | None."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
