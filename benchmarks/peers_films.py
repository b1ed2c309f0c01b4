"""The peers on MovieLens, under the protocols of benchmarks/quality.py: part of `make bench-peers`.

They are given the same ratings, are tuned on the same validation part, and are judged by the same code on the same
users. Where the split is not by time, ages are zero: what a peer makes of time it makes of nothing.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.als_quality import K, Split
from benchmarks.quality import SPLITS
from lake.console import step
from models.metrics import ndcg_of

# Nobody comes back to a film.
SCOPE = "new"


def hand_over(split: Split, folder: Path, part: str) -> None:
    """What benchmarks/peers_environment/models.py reads of a part: each rating counts as one day with the film."""
    rows = split.before[["user_id", "item_id", "age"]].assign(days=1.0)
    rows = rows.astype({"user_id": str, "item_id": str})
    rows.to_parquet(folder / f"{part}.parquet", index=False)
    wanted = split.new.tocoo()
    frame = pd.DataFrame({"user_id": split.users[wanted.row].astype(str), "item": split.items[wanted.col].astype(str)})
    asked = frame.groupby("user_id")["item"].agg(list).rename("relevant").reset_index()
    asked.assign(relevant_new=asked["relevant"]).to_parquet(folder / f"{part}_users.parquet", index=False)


def by_user(split: Split, lists: pd.DataFrame) -> np.ndarray:
    """nDCG@10 of each user of whom something is asked, as Split.by_user gives it; without a list it is zero.

    lists: user_id, items (best first).
    """
    users, items = ({str(id_): place for place, id_ in enumerate(ids)} for ids in (split.users, split.items))
    best = np.full((len(users), K), -1, np.int64)
    for user, found in zip(lists["user_id"], lists["items"], strict=True):
        places = [items[item] for item in found[:K]]
        best[users[user], : len(places)] = places
    asked = np.flatnonzero(np.diff(split.new.indptr))
    return ndcg_of(best[asked], split.new[asked])


def of_peers(
    name: str, python: Path, script: Path, work: Path
) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
    """nDCG@10 of each user by peer, and the peers' seconds. work: a folder for what they are given and give."""
    tuning, test = SPLITS[name]()
    work.mkdir(parents=True, exist_ok=True)
    for part, split in {"early": tuning, "train": test}.items():
        hand_over(split, work, part)
    with step(f"the peers of other packages on {name}"):
        subprocess.run([str(python), str(script), str(work), SCOPE], check=True)
    lists = pd.read_parquet(work / "lists.parquet")
    found = {str(model): by_user(test, of_model) for model, of_model in lists.groupby("model", sort=False)}
    return found, json.loads((work / "seconds.json").read_text())
