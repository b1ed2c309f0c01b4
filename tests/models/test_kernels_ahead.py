"""What the set-up compiles is what runs: a kernel of other types would be compiled again by every first training."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

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


def test_training_and_scoring_compile_nothing_that_was_not_compiled_ahead() -> None:
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

    assert signatures() == ahead
