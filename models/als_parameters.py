"""What can be said about an ALS: its parameters, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from lake.errors import ModelError

Solver = Literal["barrier", "mllib"]
Objective = Literal["ials", "hu"]


@dataclass(frozen=True)
class AlsParameters:
    """rank: length of a vector. epochs: full alternations, at most. unobserved: weight of every pair that is not
    an interaction (alpha0). alpha: confidence of an interaction is alpha times its value. regularisation and
    exponent: lambda and nu of lambda * (n + unobserved * size of the other side) ** nu. spread: standard deviation
    of the first item vectors, times the square root of the rank. steps: of conjugate gradient, a half epoch.

    objective: "ials" counts interactions among the unobserved too (Rendle et al. 2021); "hu" does not (Hu, Koren
    & Volinsky 2008, what implicit minimises). least_users: who must want an item before it says anything about
    others. patience: epochs without a better validation after which training stops. checkpoint_every: epochs
    between checkpoints. replicated_bytes: memory for item vectors in each task, before the solver gives way
    to MLlib. solver: "barrier" is this project's own, "mllib" Spark's.
    """

    rank: int = 64
    epochs: int = 10
    unobserved: float = 0.6
    alpha: float = 1.0
    regularisation: float = 0.002
    exponent: float = 1.0
    spread: float = 0.1
    steps: int = 2
    seed: int = 42
    objective: Objective = "ials"
    least_users: int = 2
    patience: int = 3
    checkpoint_every: int = 5
    replicated_bytes: int = 2 << 30
    solver: Solver = "barrier"

    def check(self) -> None:
        """Raises ModelError that names the first wrong parameter, what was got and what is allowed."""
        whole = ("rank", "epochs", "steps", "least_users", "patience", "checkpoint_every")
        for name, least in (*((name, 1) for name in whole), ("alpha", 0), ("unobserved", 0), ("regularisation", 0),
                            ("exponent", 0), ("spread", 0)):  # fmt: skip
            value: Any = getattr(self, name)
            if not math.isfinite(value) or value < least:
                raise ModelError(f"ALS: got {name}={value}; it must be at least {least}")
        for name, allowed in (("objective", ("ials", "hu")), ("solver", ("barrier", "mllib"))):
            if getattr(self, name) not in allowed:
                raise ModelError(f"ALS: got {name}={getattr(self, name)!r}; allowed: {', '.join(allowed)}")

    @property
    def shift(self) -> float:
        """What an interaction's confidence gives up because it is not among the unobserved."""
        return self.unobserved if self.objective == "hu" else 0.0
