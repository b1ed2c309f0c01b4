"""Content: items as weighted tokens of their title, category and brand.

Weights are inverse document frequencies (Spärck Jones 1972), ln(items / items with the token), by scikit-learn; vectors
have length one.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.affinity import item_keys
from models.candidates import Catalogue
from models.ranking_features import key_of

# A token of one item relates it to nothing.
LEAST_ITEMS = 2
# One of more than this share of the items relates everything to everything.
MOST_SHARE = 0.1


def content(items: DataFrame, catalogue: Catalogue) -> sp.csr_matrix:
    """csr of shape (items, tokens), float32; rows of items without a token are empty.

    items: item_id, title, category (path), brand. Words have three letters or more, in any script; category
    levels and brands count as one token each, apart from words.
    """
    # Seconds to import, and Spark's workers, which read this module for its names, need none of it.
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = F.regexp_extract_all(F.upper(F.coalesce("title", F.lit(""))), F.lit(r"(\p{L}{3,})"))
    levels = F.transform(F.coalesce("category", F.array().cast("array<string>")), lambda x: F.concat(F.lit("c:"), x))
    brand = F.array_compact(F.array(F.concat(F.lit("b:"), F.col("brand"))))
    tokens = F.array_compact(F.concat(words, levels, brand)).alias("tokens")
    found = items.join(catalogue.frame, "item_id").select("item", tokens).toArrow()
    said: list[list[str]] = [[] for _ in catalogue.ids]
    for place, texts in zip(found["item"].to_pylist(), found["tokens"].to_pylist(), strict=True):
        said[place] = texts
    most = int(max(MOST_SHARE * len(said), LEAST_ITEMS))
    vectoriser = TfidfVectorizer(
        analyzer=_as_they_are, binary=True, min_df=LEAST_ITEMS, max_df=most, smooth_idf=False, dtype=np.float32
    )
    try:
        vectoriser.fit(said)
    except ValueError:  # so it says that no token is left
        return sp.csr_matrix((len(said), 1), dtype=np.float32)
    # It adds 1, lest a token of every item weigh nothing; here that is left out, and rare ones say the more.
    vectoriser.idf_ = vectoriser.idf_ - 1
    return vectoriser.transform(said).tocsr()


def _as_they_are(tokens: list[str]) -> list[str]:
    return tokens


def categories(items: DataFrame, catalogue: Catalogue) -> sp.csr_matrix:
    """csr of shape (items, categories), float32: 1 where the item is in the category, by those that affinities go by.

    items: silver.items. Without any category there is one that holds nothing.
    """
    keys = item_keys(items).select("item_id", key_of("category").alias("category")).where("category IS NOT NULL")
    found = keys.join(catalogue.frame, "item_id").select("item", "category").toArrow().sort_by("item")
    codes = found["category"].combine_chunks().dictionary_encode()
    shape = (len(catalogue.ids), max(1, len(codes.dictionary)))
    place = found["item"].to_numpy(), codes.indices.to_numpy(zero_copy_only=False)
    return sp.csr_matrix((np.ones(found.num_rows, np.float32), place), shape=shape)


def by_popularity(members: sp.csr_matrix, counts: np.ndarray) -> sp.csr_matrix:
    """Each item's share of its category's popularity, csr like members. counts: float32 (items,)."""
    wanted = sp.diags(counts) @ members
    whole = np.asarray(wanted.sum(axis=0)).ravel()
    return (wanted @ sp.diags(1 / np.maximum(whole, 1e-9))).tocsr().astype(np.float32)
