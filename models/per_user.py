"""The metrics of every user and model, in one pass over the lists: blocks of users as arrays, none row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.beyond_accuracy import ItemFacts, beyond_accuracy, means
from models.candidates import BLOCK_NUMBERS, Catalogue
from models.content import categories, content
from models.lists import LISTS
from models.metrics import LONGEST, MEASURED, RELEVANT, accuracy
from models.vectors import bounds_of

# The model whose list is what anybody would expect.
EXPECTED = "popularity"


def item_facts(pairs: DataFrame, items: DataFrame, catalogue: Catalogue) -> ItemFacts:
    """What is known of the catalogue's items, in its order. Categories are those that affinities go by.

    pairs: as models.ranking_features.pairs gives them. items: silver.items.
    """
    people = pairs.agg(F.count_distinct("user_id").alias("people"))
    counted = pairs.groupBy("item_id").count()
    found = (
        catalogue.frame.join(counted, "item_id", "left")
        .crossJoin(F.broadcast(people))
        .select("item", F.try_divide(F.coalesce("count", F.lit(0)), F.col("people")).alias("share"))
        .toArrow()
        .sort_by("item")
    )
    vectors = content(items, catalogue).astype(np.float64)
    members = categories(items, catalogue).astype(np.float64)
    return ItemFacts(found["share"].to_numpy().astype(np.float64), vectors, members)


def per_user(
    people: DataFrame, lists: DataFrame, models: tuple[str, ...], catalogue: Catalogue, items: ItemFacts
) -> DataFrame:
    """user_id, scope, groups, values: doubles, MEASURED of each of the models in turn; NaN where nothing can be said.

    people: as models.groups.described gives them; profile may be null. lists: as models.lists.model_lists gives them.
    A user without a list scores zero. An item that comes twice counts once, and holds both places. Each scope of
    RELEVANT whose column people have is judged, of users who have something relevant in it; all but "new" by whole
    lists.
    """
    names = pa.array(catalogue.ids)
    widest = max(LONGEST * LONGEST, items.category.shape[1], len(models) * len(MEASURED))
    step = max(1, BLOCK_NUMBERS // widest)

    def measure(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for whole in batches:
            for start in range(0, whole.num_rows, step):
                yield from _block(whole.slice(start, step), models, names, items)

    schema = "user_id string, scope string, groups array<string>, values array<double>"
    return people.join(lists, "user_id", "left").mapInArrow(measure, schema)


def _block(
    batch: pa.RecordBatch, models: tuple[str, ...], names: pa.Array, items: ItemFacts
) -> Iterator[pa.RecordBatch]:
    """The metrics of one block of users, scope by scope."""
    history = _profile(batch.column("profile"), len(names))
    for scope, column in RELEVANT.items():
        if column not in batch.schema.names:
            continue
        wanted = batch.column(column)
        asked = np.flatnonzero(np.diff(bounds_of(wanted)))
        if not len(asked):
            continue
        rows = batch.take(pa.array(asked))
        profile, relevant = history[asked], _places(rows.column(column), names)
        wished = np.repeat(np.arange(len(asked)), np.diff(relevant[1])) * np.int64(len(names)) + relevant[0]
        sizes = np.diff(relevant[1])
        best = {model: best_places(rows.column(f"{model}_{LISTS.get(scope, LISTS['all'])}"), names) for model in models}
        popular = best.get(EXPECTED, np.full((len(asked), LONGEST), -1))
        usual = means(profile, items.popularity)
        values = [_measured(best[model], wished, sizes, popular, profile, usual, items) for model in models]
        yield pa.RecordBatch.from_arrays(
            [
                rows.column("user_id"),
                pa.array([scope]).take(pa.array(np.zeros(len(asked), np.int8))),
                rows.column("groups"),
                _doubles(np.hstack(values)),
            ],
            names=["user_id", "scope", "groups", "values"],
        )


def _measured(
    best: np.ndarray, wished: np.ndarray, sizes: np.ndarray, popular: np.ndarray, profile: sp.csr_matrix,
    usual: np.ndarray, items: ItemFacts,
) -> np.ndarray:  # fmt: skip
    """MEASURED of one model: float64 (users, len(MEASURED)). wished: user x items + item of what is relevant."""
    pairs = np.arange(len(best), dtype=np.int64)[:, None] * len(items.popularity) + best
    hits = np.isin(pairs, wished) & (best >= 0)
    at_ks = np.concatenate([accuracy(hits, sizes), beyond_accuracy(best, hits, popular, profile, items)], axis=2)
    return np.column_stack([at_ks.reshape(len(best), -1), np.where((best >= 0).any(axis=1), usual, np.nan)])


def best_places(lists: pa.ListArray, names: pa.Array) -> np.ndarray:
    """Lists of item ids as positions in the catalogue, int64 (users, LONGEST); -1 for none, and for a repeat."""
    found, bounds = _places(lists, names)
    lengths = np.diff(bounds)
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(found)) - bounds[row]
    kept = place < LONGEST
    best = np.full((len(lengths), LONGEST), -1, dtype=np.int64)
    best[row[kept], place[kept]] = found[kept]
    order = np.argsort(best, axis=1, kind="stable")
    ordered = np.take_along_axis(best, order, axis=1)
    again = np.zeros(best.shape, dtype=bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    best[again] = -1
    return best


def _places(lists: pa.ListArray, names: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the catalogue of all lists' items, -1 for one it does not hold, and bounds_of() the lists."""
    found = pc.index_in(lists.flatten(), value_set=names).fill_null(-1)
    return found.to_numpy(zero_copy_only=False).astype(np.int64), bounds_of(lists)


def _profile(column: pa.ListArray, items: int) -> sp.csr_matrix:
    entries = column.flatten()
    item = entries.field("item").to_numpy(zero_copy_only=False)
    weight = entries.field("weight").to_numpy(zero_copy_only=False).astype(np.float64)
    return sp.csr_matrix((weight, item, bounds_of(column)), shape=(len(column), items))


def _doubles(values: np.ndarray) -> pa.Array:
    bounds = np.arange(len(values) + 1, dtype=np.int32) * np.int32(values.shape[1])
    return pa.ListArray.from_arrays(pa.array(bounds), pa.array(np.ascontiguousarray(values).ravel()))
