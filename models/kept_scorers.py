"""Scorers as rows of numbers and back, so that a Delta table can hold what a night has fitted. No pickle: a row says in
JSON what it is of, and holds bytes of one array.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from lake.errors import ModelError
from models.alike import AlikeParameters, AlikeScorer
from models.scorers import DueScorer, FactorScorer, LinearScorer, PopularityScorer, Scorer, TokenScorer
from models.trending import TrendScorer

CLASSES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        DueScorer, FactorScorer, LinearScorer, PopularityScorer, TokenScorer, TrendScorer, AlikeScorer,
        AlikeParameters,
    )
}  # fmt: skip
# The row of a scorer that says what it is of.
PLAIN = "plain"
SPARSE = ("data", "indices", "indptr")
# A column of a Delta table holds no more than 2 GiB, and what reads it wants less at once.
CHUNK_BYTES = 8 * 2**20

Row = dict[str, Any]


def rows_of(scorers: Iterable[Scorer], chunk_bytes: int = CHUNK_BYTES) -> list[Row]:
    """Rows of source, place, part, chunk, about and data; keys: source, part, chunk.

    place: of the source among them. part: an array's name, or PLAIN. about: JSON; of an array its type and shape.
    data: a piece of its bytes, or null.
    """
    rows: list[Row] = []
    for place, scorer in enumerate(scorers):
        plain, arrays = _taken(scorer)
        told: list[tuple[str, int, Any, bytes | None]] = [(PLAIN, 0, plain, None)]
        for part, array in arrays.items():
            whole = np.ascontiguousarray(array).tobytes()
            about = {"dtype": array.dtype.str, "shape": array.shape}
            starts = range(0, max(len(whole), 1), chunk_bytes)
            told += [(part, number, about, whole[at : at + chunk_bytes]) for number, at in enumerate(starts)]
        rows += [
            {
                "source": scorer.name,
                "place": place,
                "part": part,
                "chunk": chunk,
                "about": json.dumps(about),
                "data": data,
            }
            for part, chunk, about, data in told
        ]
    return rows


def scorers_of(rows: Iterable[Mapping[str, Any]]) -> list[Scorer]:
    """The scorers of such rows, in their order. Raises ModelError where a row is missing or is none of these."""
    sources: dict[tuple[int, str], dict[str, list[Mapping[str, Any]]]] = {}
    for row in sorted(rows, key=lambda row: (row["place"], row["part"], row["chunk"])):
        sources.setdefault((row["place"], row["source"]), {}).setdefault(row["part"], []).append(row)
    return [_made(name, parts) for (_, name), parts in sources.items()]


def _taken(thing: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What JSON says of a dataclass, and its arrays by name."""
    plain: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for field in fields(thing):
        name, value = field.name, getattr(thing, field.name)
        if sp.issparse(value):
            plain[name] = {"sparse": value.shape}
            arrays |= {f"{name}.{part}": getattr(value, part) for part in SPARSE}
        elif isinstance(value, np.ndarray):
            plain[name] = {"array": True}
            arrays[name] = value
        elif is_dataclass(value) and not isinstance(value, type):
            plain[name] = {"class": type(value).__name__, "values": asdict(value)}
        elif isinstance(value, tuple):
            plain[name] = {"tuple": value}
        else:
            plain[name] = {"value": value}
    return {"class": type(thing).__name__, "fields": plain}, arrays


def _made(name: str, parts: Mapping[str, list[Mapping[str, Any]]]) -> Scorer:
    try:
        plain = json.loads(parts[PLAIN][0]["about"])
        values = {field: _value(field, said, parts) for field, said in plain["fields"].items()}
        scorer: Scorer = CLASSES[plain["class"]](**values)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(
            f"what is kept of the source {name!r} is not whole: {error}; it has to be fitted anew"
        ) from None
    return scorer


def _value(name: str, said: Mapping[str, Any], parts: Mapping[str, list[Mapping[str, Any]]]) -> Any:
    if "sparse" in said:
        data, indices, indptr = (_array(parts[f"{name}.{part}"]) for part in SPARSE)
        return sp.csr_matrix((data, indices, indptr), shape=tuple(said["sparse"]))
    if "array" in said:
        return _array(parts[name])
    if "class" in said:
        return CLASSES[said["class"]](**said["values"])
    return tuple(said["tuple"]) if "tuple" in said else said["value"]


def _array(chunks: list[Mapping[str, Any]]) -> np.ndarray:
    """The array of its chunks, one that may be written to. Raises ValueError when bytes are missing."""
    about = json.loads(chunks[0]["about"])
    return np.frombuffer(bytearray(b"".join(row["data"] for row in chunks)), about["dtype"]).reshape(about["shape"])
