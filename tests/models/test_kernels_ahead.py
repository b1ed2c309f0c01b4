"""What the set-up compiles is what runs: a kernel of other types would be compiled again by every first training."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import scipy.sparse as sp

from jobs.processes import PROJECT
from models import als_kernels, row_kernels, top_k_kernels
from models.als_parameters import AlsParameters
from models.als_train import Rows, State, first_items, train
from models.collective import Alone
from models.item_rest import solve_neighbourhoods
from models.kernels_ahead import compile_all
from models.scorers import LinearScorer, UserBlock
from models.top_k import best_of


def signatures() -> dict[str, set[object]]:
    """By kernel, the types that it was compiled for in this process."""
    modules = (als_kernels, row_kernels, top_k_kernels)
    kernels = {name: item for module in modules for name, item in vars(module).items() if hasattr(item, "signatures")}
    return {name: set(kernel.signatures) for name, kernel in kernels.items()}


def compiled_later() -> list[str]:
    """Kernels that a training and scoring compile beyond what is compiled ahead."""
    compile_all()
    ahead = signatures()

    found = sp.random(30, 20, 0.3, "csr", random_state=1, dtype=np.float32)
    rows = Rows(found.indptr.astype(np.int64), found.indices.astype(np.int32), found.data)
    parameters = AlsParameters(rank=4, epochs=2)
    items = first_items(20, parameters)
    state = train(rows, State(np.zeros((30, 4), np.float32), items), parameters, Alone())
    best_of(state.users, state.items, 3)
    best_of(state.users, state.items, 3, found.indptr.astype(np.int64), found.indices)
    solve_neighbourhoods((found.T @ found).toarray(), (found.T @ found).tocsr(), 1.0, 5)
    everything, weights = np.arange(20), sp.csr_matrix(np.eye(20, dtype=np.float32))
    scorer = LinearScorer("next", 5, everything, np.ones((20, 7), np.float32), everything[7:], weights[:, 7:])
    scorer.best(UserBlock(state.users, found, found, found, np.full(30, None, object)))
    return sorted(name for name, types in signatures().items() if types != ahead[name])


def test_training_and_scoring_compile_nothing_that_was_not_compiled_ahead() -> None:
    # In a process of its own: in this one other tests may have had the same kernels compiled.
    told = "from tests.models.test_kernels_ahead import compiled_later; print(compiled_later())"
    done = subprocess.run([sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
