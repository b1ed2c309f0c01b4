"""Implicit ALS over rows that are spread by user: the loop itself, in NumPy and compiled kernels, without Spark.

Minimised over user vectors w and item vectors h (Rendle, Krichene, Zhang & Koren 2021, "Revisiting the Performance
of iALS on Item Recommendation Benchmarks"):

    sum over interactions of c_ui (1 - w_u.h_i)²  +  alpha0 * sum over all users and items of (w_u.h_i)²
    + lambda * sum_u (n_u + alpha0 |I|)^nu |w_u|²  +  lambda * sum_i (n_i + alpha0 |U|)^nu |h_i|²

With objective "hu" the second sum leaves the interactions out. Every task holds some users' rows and vectors, and
all item vectors. A half epoch for users needs nobody else. One for items is conjugate gradient across the tasks:
each step is one pass over the own rows and one sum of (items, rank) numbers. All tasks hold the same item vectors
at every instant, because they add the same sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import numpy as np

from models.als_kernels import group_by_item, item_product, item_residual, solve_users
from models.als_parameters import AlsParameters
from models.collective import Collective

# A squared length below it is rounding.
_SOLVED = 1e-20


@dataclass(frozen=True)
class Rows:
    """Interactions of one task's users, CSR over items: indptr int64 (users + 1,), indices int32 and confidence
    float32 (interactions,). No pair twice.
    """

    indptr: np.ndarray
    indices: np.ndarray
    confidence: np.ndarray

    @property
    def users(self) -> int:
        """How many."""
        return len(self.indptr) - 1


@dataclass(frozen=True)
class Epoch:
    """What an epoch left. loss: of the objective, all tasks together, after the users' half of the epoch; it never
    rises. seconds: since training began. validation: nDCG@10, where there is a validation.
    """

    epoch: int
    loss: float
    seconds: float
    validation: float | None = None


@dataclass
class State:
    """Vectors of one task's users and of all items, float32, after the epochs in `log`; and the best ones by
    validation, when they are not the last.
    """

    users: np.ndarray
    items: np.ndarray
    log: list[Epoch] = field(default_factory=list)
    best: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def final(self) -> tuple[np.ndarray, np.ndarray]:
        """The vectors to use."""
        return self.best if self.best is not None else (self.users, self.items)


Validate = Callable[[np.ndarray, np.ndarray], float]


def first_items(count: int, parameters: AlsParameters) -> np.ndarray:
    """Item vectors to start from, (items, rank): normal, with standard deviation spread / sqrt(rank)."""
    random = np.random.default_rng(parameters.seed)
    vectors = random.standard_normal((count, parameters.rank), dtype=np.float32)
    return vectors * np.float32(parameters.spread / np.sqrt(parameters.rank))


def train(
    rows: Rows,
    state: State,
    parameters: AlsParameters,
    together: Collective,
    *,
    validate: Validate | None = None,
    after: Callable[[State], None] = lambda state: None,
) -> State:
    """Epochs from where the state stands until parameters.epochs, or until the validation no longer rises.

    validate: a number of the users' and items' vectors that should rise, the same in all tasks. after: called
    after each epoch. The state is changed and returned.
    """
    problem = _Problem.of(rows, len(state.items), parameters, together)
    started = monotonic() - (state.log[-1].seconds if state.log else 0.0)
    while len(state.log) < parameters.epochs and not _stalled(state.log, parameters.patience):
        problem.improve_users(state)
        loss = problem.improve_items(state)
        value = validate(state.users, state.items) if validate else None
        if value is not None and value > max((_validation(entry) for entry in state.log), default=-1.0):
            state.best = (state.users.copy(), state.items.copy())
        state.log.append(Epoch(len(state.log) + 1, loss, monotonic() - started, value))
        after(state)
    return state


def objective(
    rows: Rows, users: np.ndarray, items: np.ndarray, parameters: AlsParameters, together: Collective
) -> float:
    """The loss of the vectors, all tasks together."""
    problem = _Problem.of(rows, len(items), parameters, together)
    part = item_residual(*problem.grouped, problem.shift, items, users, np.zeros_like(items))
    return problem.loss(part, users, items, problem.gram_of_users(users))


def _validation(entry: Epoch) -> float:
    return -1.0 if entry.validation is None else entry.validation


def _stalled(log: list[Epoch], patience: int) -> bool:
    """Whether the best validation is `patience` epochs old."""
    values = [_validation(entry) for entry in log if entry.validation is not None]
    return len(values) > patience and int(np.argmax(values)) < len(values) - patience


@dataclass(frozen=True)
class _Problem:
    """What does not change from epoch to epoch. user_weights, item_weights: lambda * (n + alpha0 * other side)^nu,
    float32, of this task's users and of all items. shift: see AlsParameters. grouped: the rows by item.
    """

    rows: Rows
    grouped: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    user_weights: np.ndarray
    item_weights: np.ndarray
    parameters: AlsParameters
    together: Collective
    shift: np.float32

    @classmethod
    def of(cls, rows: Rows, items: int, parameters: AlsParameters, together: Collective) -> _Problem:
        counts = np.bincount(rows.indices, minlength=items).astype(np.int64)
        sums = together.sum(np.concatenate([counts, [rows.users]]))
        alpha0, nu = parameters.unobserved, parameters.exponent
        by_user = (np.diff(rows.indptr) + alpha0 * items) ** nu
        by_item = (sums[:-1] + alpha0 * sums[-1]) ** nu
        return cls(
            rows,
            group_by_item(rows.indptr, rows.indices, rows.confidence, items),
            (parameters.regularisation * by_user).astype(np.float32),
            (parameters.regularisation * by_item).astype(np.float32),
            parameters,
            together,
            np.float32(parameters.shift),
        )

    def improve_users(self, state: State) -> None:
        """The users' half of an epoch; every task on its own."""
        rows, alpha0 = self.rows, np.float32(self.parameters.unobserved)
        gram = alpha0 * (state.items.T @ state.items)
        solve_users(
            rows.indptr, rows.indices, rows.confidence, self.shift, state.items, gram, self.user_weights,
            state.users, self.parameters.steps,
        )  # fmt: skip

    def improve_items(self, state: State) -> float:
        """The items' half, all tasks together. The loss before it."""
        users, items = state.users, state.items
        summed = self.gram_of_users(users)
        gram = np.float32(self.parameters.unobserved) * summed
        weights = self.item_weights[:, None]
        out = np.zeros_like(items)
        part = item_residual(*self.grouped, self.shift, items, users, out)
        loss = self.loss(part, users, items, summed)
        residual = self.together.sum(out) - items @ gram - weights * items
        direction, squared = residual.copy(), _dots(residual, residual)
        for _ in range(self.parameters.steps):
            out = np.zeros_like(items)
            item_product(*self.grouped, self.shift, direction, users, out)
            product = self.together.sum(out) + direction @ gram + weights * direction
            length = _quotients(squared, _dots(direction, product))
            items += length * direction
            residual -= length * product
            new = _dots(residual, residual)
            direction = residual + _quotients(new, squared) * direction
            squared = new
        return loss

    def gram_of_users(self, users: np.ndarray) -> np.ndarray:
        """Sum of w w' over all tasks' users, (rank, rank)."""
        return self.together.sum(users.T @ users)

    def loss(self, part: float, users: np.ndarray, items: np.ndarray, summed: np.ndarray) -> float:
        """The objective, from this task's sum over its rows and the users' Gram matrix."""
        own = part + float(self.user_weights @ _dots(users, users)[:, 0])
        rows_and_users = float(self.together.sum(np.array([own]))[0])
        everything = float((summed.astype(np.float64) * (items.T @ items)).sum())
        kept_small = float(self.item_weights @ _dots(items, items)[:, 0])
        return rows_and_users + self.parameters.unobserved * everything + kept_small


def _dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Row by row products, as a column."""
    return np.einsum("nf,nf->n", left, right)[:, None]


def _quotients(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Zero where there is nothing left to divide: those items are solved."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > _SOLVED)
