"""Which of a user's own items speaks most for an item that a linear model found: what an explanation may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.candidates import BLOCK_NUMBERS, Catalogue, user_block
from models.scorers import LinearScorer
from models.vectors import bounds_of


def because(lists: DataFrame, profiles: DataFrame, items: Catalogue, scorers: list[LinearScorer]) -> DataFrame:
    """The lists with the column because: the id of the user's own item that adds most to the item's score, else null.

    lists: user_id, item_id, source, ...; null where source is not the name of a scorer, and where nothing in the
    profile speaks for the item. profiles: as candidates() takes them, of what may be named. The lists are read once.
    """
    shared = lists.sparkSession.sparkContext.broadcast((pa.array(items.ids), scorers))
    step = max(1, BLOCK_NUMBERS // len(items.ids))

    def explain(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for whole in batches:
            for start in range(0, whole.num_rows, step):
                yield _explained(whole.slice(start, step), *shared.value)

    row = F.struct(*(name for name in lists.columns if name != "user_id"))
    entry = F.struct(F.col("item"), F.col("source").alias("by"), row.alias("row"))
    wanted = lists.join(items.frame, "item_id").groupBy("user_id").agg(F.collect_list(entry).alias("wanted"))
    asked = wanted.join(profiles.select("user_id", "profile"), "user_id", "left")
    kind = wanted.schema["wanted"].dataType.simpleString()
    found = asked.mapInArrow(explain, f"user_id string, wanted {kind}, because array<string>")
    both = found.select("user_id", F.explode(F.arrays_zip("wanted", "because")).alias("entry"))
    return both.select("user_id", "entry.wanted.row.*", "entry.because")


def _explained(batch: pa.RecordBatch, names: pa.Array, scorers: list[LinearScorer]) -> pa.RecordBatch:
    wanted = batch.column("wanted")
    bounds = bounds_of(wanted)
    row = np.repeat(np.arange(batch.num_rows), np.diff(bounds))
    item = wanted.flatten().field("item").to_numpy(zero_copy_only=False).astype(np.int64)
    by = wanted.flatten().field("by").to_numpy(zero_copy_only=False)
    block = user_block(batch, len(names))
    own = np.full(len(row), -1)
    for scorer in scorers:
        chosen = by == scorer.name
        own[chosen] = scorer.strongest(block, row[chosen], item[chosen])
    named = names.take(pa.array(own, mask=own < 0))
    because = pa.ListArray.from_arrays(pa.array(bounds.astype(np.int32)), named)
    return pa.RecordBatch.from_arrays(
        [batch.column("user_id"), wanted, because], names=["user_id", "wanted", "because"]
    )
