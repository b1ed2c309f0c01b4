"""The training loop of ALS, without Spark, beside solutions that are known to be right."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ModelError
from models.als_parameters import AlsParameters
from models.als_train import Rows, State, first_items, objective, train
from models.collective import Alone


def matrix(users: int, items: int, seed: int, density: float = 0.2) -> sp.csr_matrix:
    found = sp.random(users, items, density, "csr", random_state=seed, dtype=np.float32)
    found.data += np.float32(0.5)
    return found


def rows_of(found: sp.csr_matrix) -> Rows:
    return Rows(found.indptr.astype(np.int64), found.indices.astype(np.int32), found.data)


def fitted(found: sp.csr_matrix, parameters: AlsParameters) -> State:
    users = np.zeros((found.shape[0], parameters.rank), np.float32)
    return train(rows_of(found), State(users, first_items(found.shape[1], parameters)), parameters, Alone())


def dense(found: sp.csr_matrix, parameters: AlsParameters) -> tuple[np.ndarray, np.ndarray]:
    """The same alternations, every equation written out and solved in float64."""
    confidence = found.toarray().astype(np.float64)
    both = parameters.unobserved if parameters.objective == "ials" else 0.0
    items = first_items(found.shape[1], parameters).astype(np.float64)
    users = np.zeros((found.shape[0], parameters.rank))

    def half(confidence: np.ndarray, other: np.ndarray) -> np.ndarray:
        solved = np.zeros((len(confidence), parameters.rank))
        for one, row in enumerate(confidence):
            weights = np.where(row > 0, row + both, parameters.unobserved)
            count = (row > 0).sum() + parameters.unobserved * len(other)
            ridge = parameters.regularisation * count**parameters.exponent * np.eye(parameters.rank)
            solved[one] = np.linalg.solve(other.T @ (weights[:, None] * other) + ridge, other.T @ row)
        return solved

    for _ in range(parameters.epochs):
        users = half(confidence, items)
        items = half(confidence.T, users)
    return users, items


@pytest.mark.parametrize(("objective_of", "exponent"), [("ials", 1.0), ("ials", 0.5), ("hu", 1.0)])
def test_equals_a_dense_solution(objective_of: str, exponent: float) -> None:
    found = matrix(40, 25, seed=1)
    parameters = AlsParameters(
        rank=6, epochs=3, steps=12, unobserved=0.5, regularisation=0.1, exponent=exponent, objective=objective_of,
    )  # fmt: skip
    state = fitted(found, parameters)
    users, items = dense(found, parameters)
    np.testing.assert_allclose(state.users, users, atol=1e-4)
    np.testing.assert_allclose(state.items, items, atol=1e-4)
    np.testing.assert_allclose(state.users @ state.items.T, users @ items.T, atol=1e-4)


@pytest.mark.parametrize("objective_of", ["ials", "hu"])
def test_the_loss_is_the_objective_written_out(objective_of: str) -> None:
    found = matrix(30, 20, seed=2)
    parameters = AlsParameters(rank=5, epochs=2, unobserved=0.3, objective=objective_of)
    state = fitted(found, parameters)
    scores = state.users.astype(np.float64) @ state.items.T.astype(np.float64)
    confidence = found.toarray()
    had = confidence > 0
    elsewhere = np.ones_like(had) if objective_of == "ials" else ~had
    by_user = parameters.regularisation * (had.sum(axis=1) + 0.3 * 20)
    by_item = parameters.regularisation * (had.sum(axis=0) + 0.3 * 30)
    expected = (confidence * (1 - scores) ** 2).sum() + 0.3 * (scores**2 * elsewhere).sum()
    expected += by_user @ (state.users**2).sum(axis=1) + by_item @ (state.items**2).sum(axis=1)
    assert objective(rows_of(found), state.users, state.items, parameters, Alone()) == pytest.approx(expected, rel=1e-5)


def test_reaches_the_loss_of_implicit_given_its_objective() -> None:
    implicit = pytest.importorskip("implicit.als")
    found = matrix(300, 200, seed=3, density=0.05)
    theirs = implicit.AlternatingLeastSquares(
        factors=16, regularization=0.1, alpha=1.0, iterations=60, use_cg=True, num_threads=1, random_state=1
    )
    theirs.fit(found, show_progress=False)
    parameters = AlsParameters(
        rank=16, epochs=60, unobserved=1.0, regularisation=0.1, exponent=0.0, objective="hu", steps=3
    )
    ours = fitted(found, parameters)
    loss = objective(rows_of(found), ours.users, ours.items, parameters, Alone())
    reached = objective(rows_of(found), theirs.user_factors, theirs.item_factors, parameters, Alone())
    assert loss <= reached * 1.001


@settings(max_examples=40, deadline=None)
@given(
    users=st.integers(1, 30), items=st.integers(1, 30), seed=st.integers(0, 10_000), rank=st.integers(1, 12),
    steps=st.integers(1, 3), unobserved=st.sampled_from([0.0, 0.1, 1.0]), objective_of=st.sampled_from(["ials", "hu"]),
)  # fmt: skip
def test_the_loss_never_rises_and_vectors_stay_finite(
    users: int, items: int, seed: int, rank: int, steps: int, unobserved: float, objective_of: str
) -> None:
    found = matrix(users, items, seed, density=0.3)
    parameters = AlsParameters(rank=rank, epochs=5, steps=steps, unobserved=unobserved, objective=objective_of)
    state = fitted(found, parameters)
    losses = [epoch.loss for epoch in state.log]
    assert np.isfinite(state.users).all() and np.isfinite(state.items).all()
    room = 1e-4 * abs(losses[0]) + 1e-4
    assert all(later <= earlier + room for earlier, later in pairwise(losses)), losses


@pytest.mark.parametrize(
    ("name", "value"), [("rank", 0), ("epochs", 0), ("alpha", -1.0), ("regularisation", float("nan")), ("steps", 0)]
)
def test_a_wrong_parameter_is_named(name: str, value: float) -> None:
    with pytest.raises(ModelError, match=f"{name}={value}"):
        AlsParameters(**{name: value}).check()


def test_an_unknown_objective_is_named_with_what_is_allowed() -> None:
    with pytest.raises(ModelError, match="objective='bpr'; allowed: ials, hu"):
        AlsParameters(objective="bpr").check()  # type: ignore[arg-type]
