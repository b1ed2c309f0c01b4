"""Linear item models: a user's score of an item is a weighted sum over what they had. Solved in closed form.

neighbours: EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data"), each item foretold from the
others that the same people wanted, where a want counts half after `half_life`: the Gram matrix is that of weighted
rows.

next: ridge regression (Hoerl & Kennard 1970) of what people wanted within a window on what they had wanted before
it, over the last windows. Unlike EASE it knows the order of wants, what comes back, and what is in season.

Both are dense for the most wanted items; for those beyond, see models.item_rest.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.linalg import cho_factor, cho_solve, lapack

from lake.errors import ModelError
from models.candidates import Catalogue
from models.item_rest import rest_weights
from models.item_sums import ItemSums, Windows, item_sums, remove_sums, wants_of


@dataclass(frozen=True)
class LinearParameters:
    """most_items: how many items, the most wanted, the models know; their matrices have the square of it.
    regularisation: added to the diagonal. half_life: days after which a want counts half in what `neighbours` learns
    from. neighbours_half_life: in the profile it is applied to; next_half_life: in what `next` learns from and is
    applied to. windows: whose wants `next` foretells.
    """

    most_items: int = 5_000
    neighbours: int = 50
    least_users: int = 3
    regularisation: float = 300.0
    half_life: float = 60.0
    neighbours_half_life: float = 90.0
    next_half_life: float = 120.0
    windows: Windows = field(default_factory=Windows)

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter, what was got and what is allowed."""
        named = {name: value for name, value in vars(self).items() if name != "windows"}
        positive = named | {f"windows.{name}": value for name, value in vars(self.windows).items()}
        for name, value in positive.items():
            if not (math.isfinite(value) and value > 0):
                raise ModelError(f"linear item models: got {name}={value}; it must be above 0")


@dataclass(frozen=True)
class ItemWeights:
    """items: int64 (items,), positions in the catalogue of the items that count; rest: of those that are only foretold.
    neighbours, next: the weight of having had the row's item in the score of the column's: float32 (items, items), and
    csr (items, rest).
    """

    items: np.ndarray
    rest: np.ndarray
    neighbours: tuple[np.ndarray, sp.csr_matrix]
    next: tuple[np.ndarray, sp.csr_matrix]


def fit_item_weights(
    tiles: DataFrame, popular: DataFrame, catalogue: Catalogue, as_of: datetime, parameters: LinearParameters,
    folder: str,
) -> ItemWeights:  # fmt: skip
    """Both models of the wants before as_of. tiles: user-item-day tiles. popular: as models.popularity gives it.
    folder: see item_sums.
    """
    parameters.check()
    known = popular.join(catalogue.frame, "item_id").select("item", "older").toArrow()
    number, users = known["item"].to_numpy().astype(np.int64), known["older"].to_numpy()
    order = np.lexsort((number, -users))
    items, further = order[: parameters.most_items], order[parameters.most_items :]
    further = further[users[further] >= parameters.least_users]
    size, chosen = len(items), number[np.concatenate([items, further])]
    ids = pa.array(catalogue.ids).take(pa.array(chosen))
    places = pa.table({"item_id": ids, "place": pa.array(np.arange(len(chosen), dtype=np.int32))})
    frame = F.broadcast(tiles.sparkSession.createDataFrame(places))
    half_lives = (parameters.half_life, parameters.next_half_life)
    wants = wants_of(tiles, as_of.timestamp(), frame).persist()
    rest = (sp.csr_matrix((size, 0), dtype=np.float32),) * 2
    with ThreadPoolExecutor(1) as solver:
        try:
            sums = item_sums(wants, size, half_lives, parameters.windows, folder)
            # The driver solves while Spark's tasks look at the rest.
            dense = solver.submit(_solved, sums, parameters.regularisation)
            if len(further):
                rest = rest_weights(
                    wants, size, len(further), half_lives, parameters.windows, parameters.regularisation,
                    parameters.neighbours, folder,
                )  # fmt: skip
        finally:
            wants.unpersist()
            remove_sums(folder)
        neighbours, following = dense.result()
    return ItemWeights(chosen[:size], chosen[size:], (neighbours, rest[0]), (following, rest[1]))


def _solved(sums: ItemSums, regularisation: float) -> tuple[np.ndarray, np.ndarray]:
    return ease(sums.together, regularisation), follow(sums, regularisation)


def ease(together: np.ndarray, regularisation: float) -> np.ndarray:
    """The weights B, float32 (items, items), that minimise |X - X B|² + regularisation |B|² with a diagonal of zero.

    together: X'X, float32 (items, items). With P = (X'X + regularisation I)^-1: B_ij = -P_ij / P_jj.
    """
    # From its Cholesky factor the inverse costs two thirds n^3; solving for the columns of I would cost 2 n^3.
    factor, _ = cho_factor(_ridge(together, regularisation), lower=True, overwrite_a=True)
    lower = np.tril(lapack.spotri(factor, lower=True, overwrite_c=True)[0])
    inverse = lower + np.tril(lower, -1).T
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, np.float32)


def follow(sums: ItemSums, regularisation: float) -> np.ndarray:
    """The weights B, float32 (items, items), that minimise |Y - X B|² + regularisation |B|²: of what was wanted
    within the windows, Y, on what had been wanted before them, X.
    """
    factor = cho_factor(_ridge(sums.before, regularisation), overwrite_a=True)
    return np.asarray(cho_solve(factor, sums.then), np.float32)


def _ridge(products: np.ndarray, regularisation: float) -> np.ndarray:
    """products + regularisation I, float32, of its own."""
    matrix = products.astype(np.float32)
    matrix[np.diag_indices(len(matrix))] += np.float32(regularisation)
    return matrix
