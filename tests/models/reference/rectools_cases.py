"""Random lists, and what RecTools makes of them, as JSON on standard output: what tests/models/test_beyond_accuracy.py
compares with. RecTools needs NumPy below 2, so it runs in an environment of its own:

    uv run --no-project --python 3.11 --with rectools==0.19.0 tests/models/reference/rectools_cases.py \
        > tests/models/reference/rectools.json
"""

import json
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
from rectools.metrics import AvgRecPopularity, CatalogCoverage, IntraListDiversity, MeanInvUserFreq
from rectools.metrics.distances import PairwiseDistanceCalculator
from scipy.spatial.distance import cosine

USERS, ITEMS, TOKENS, SEED = 30, 40, 12, 20240601
KS = (5, 10, 20)


class Cosine(PairwiseDistanceCalculator):
    """1 less the cosine of two items' rows."""

    def __init__(self, content):
        self.content = content

    def _get_distances_for_item_pairs(self, items_0, items_1):
        return np.array([cosine(self.content[a], self.content[b]) for a, b in zip(items_0, items_1, strict=True)])


random = np.random.default_rng(SEED)
# Every item has a token, and every item a user who had it.
content = (random.random((ITEMS, TOKENS)) < 0.25).astype(int)
content[np.arange(ITEMS), random.integers(TOKENS, size=ITEMS)] = 1
taste = 1 / np.arange(1, ITEMS + 1)
histories = [
    random.choice(ITEMS, size=random.integers(1, 15), replace=False, p=taste / taste.sum()) for _ in range(USERS)
]
histories = [np.union1d(had, np.arange(user, ITEMS, USERS)) for user, had in enumerate(histories)]
lists = [random.permutation(ITEMS)[: random.integers(2, 21)] for _ in range(USERS)]

before = pd.DataFrame(
    [(user, item) for user, had in enumerate(histories) for item in had], columns=["user_id", "item_id"]
)
shown = pd.DataFrame(
    [(user, item, rank) for user, best in enumerate(lists) for rank, item in enumerate(best, 1)],
    columns=["user_id", "item_id", "rank"],
)
expected = {}
for k in KS:
    found = {
        "novelty": MeanInvUserFreq(k=k).calc_per_user(shown, before),
        "arp": AvgRecPopularity(k=k).calc_per_user(shown, before) / USERS,
        "diversity": IntraListDiversity(k=k, distance_calculator=Cosine(content)).calc_per_user(shown),
    }
    expected |= {f"{name}@{k}": values.sort_index().tolist() for name, values in found.items()}
    expected[f"coverage@{k}"] = float(CatalogCoverage(k=k, normalize=True).calc(shown, range(ITEMS)))

json.dump(
    {
        "by": f"rectools {version('rectools')}",
        "content": content.tolist(),
        "histories": [had.tolist() for had in histories],
        "lists": [best.tolist() for best in lists],
        "expected": expected,
    },
    sys.stdout,
)
sys.stdout.write("\n")
