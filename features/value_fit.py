"""BG/NBD and Gamma-Gamma: how often customers come back and what they spend, fitted by maximum likelihood on arrays.

BG/NBD: while alive a customer buys as a Poisson process of rate lambda ~ Gamma(r, alpha); after each purchase the
customer drops out for good with probability p ~ Beta(a, b). Fader, Hardie & Lee, "'Counting Your Customers' the Easy
Way: An Alternative to the Pareto/NBD Model", Marketing Science 24(2), 2005; being alive: Fader, Hardie & Lee,
"Computing P(alive) Using the BG/NBD Model", 2008.
Gamma-Gamma: the value of a purchase ~ Gamma(p, nu), with nu ~ Gamma(q, gamma) among customers, independent of how often
they buy. Colombo & Jiang, "A stochastic RFM model", Journal of Interactive Marketing 13(3), 1999; Fader & Hardie, "The
Gamma-Gamma Model of Monetary Value", 2013.

Arrays are of shape (groups,): a group is so many `users` who share what the model looks at. Grouping changes no sum, so
the fit costs what groups there are, however many users they stand for. x: purchases after the first. t_x: time from
the first purchase to the last. age (T in the paper): time from the first purchase to the end of what was observed. All
times are in one unit, and alpha is in the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, digamma, expit, gammaln

from lake.errors import ModelError

Array = np.ndarray[Any, np.dtype[np.float64]]
Objective = Callable[[Array], tuple[float, Array]]

# With fewer the parameters say nothing. Repeaters have bought more than once: the rest cannot tell who drops out,
# nor how much the values of one person differ.
LEAST_USERS, LEAST_REPEATERS = 100, 20

# Where parameters may lie, as natural logarithms. A population without differences has its optimum at infinity; the
# model at the bound is the same to four digits.
LOW, HIGH = np.log(1e-4), np.log(1e4)
# The steepest slope, by the logarithm of a parameter and a user, at which a fit counts as converged.
FLAT = 1e-6
# Where expected purchases are summed: see BgNbd.purchases_if_alive. Good to six digits for a and b from .05 up, to
# two at the bounds.
NODES = np.linspace(-5, 5, 101)
SMALLEST = 1e-300


@dataclass(frozen=True)
class BgNbd:
    """A fitted BG/NBD. alpha is in the unit of time of what it was fitted on."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihoods(self, x: Array, t_x: Array, age: Array) -> Array:
        """Of one user of each group."""
        return _bg_nbd(self, x, t_x, age)[0]

    def alive(self, x: Array, t_x: Array, age: Array) -> Array:
        """Probability of not having dropped out. 1 for x = 0: one drops out only by a purchase after the first."""
        return 1 - _bg_nbd(self, x, t_x, age)[1]

    def purchases_if_alive(self, x: Array, age: Array, horizon: float) -> Array:
        """Expected purchases of the coming `horizon`, of one who is alive: the paper's E(Y(t)) over P(alive).

        Of one who is alive, lambda ~ Gamma(r + x, alpha + T) and p ~ Beta(a, b + x). Purchases that end with chance p
        each number (1 - exp(-lambda p t)) / p on average; over lambda (1 - (1 + p t / (alpha + T))^-(r + x)) / p. Over
        p it is a 2F1, that scipy takes for infinite in some places (at 1, 1; 101; .91 for one), and whose factors
        overflow in others. So it is summed over nodes, all terms positive: by the trapezoid rule in w, where
        logit p = log(a / (b + x)) + width sinh w, which is dense in the middle and reaches far into the tails.
        """
        a, b, shape = self.a, self.b + x, self.r + x
        share = horizon / (self.alpha + age)
        middle, width = np.log(a / b), np.sqrt((a + b + 1) / (a * b))
        highest = _log_beta(middle, a, b)
        weights, found = np.zeros_like(share), np.zeros_like(share)
        for node in NODES:
            logit = middle + width * np.sinh(node)
            weight = np.cosh(node) * np.exp(_log_beta(logit, a, b) - highest)
            p = np.maximum(expit(logit), SMALLEST)
            weights += weight
            found += weight * -np.expm1(-shape * np.log1p(p * share)) / p
        return found / weights


@dataclass(frozen=True)
class GammaGamma:
    """A fitted Gamma-Gamma. gamma is in the currency of what it was fitted on."""

    p: float
    q: float
    gamma: float

    def log_likelihoods(self, count: Array, mean: Array) -> Array:
        """Of one user of each group. mean: value of a purchase, above 0."""
        return _gamma_gamma(self, count, mean)[0]

    def value(self, count: Any, mean: Any) -> Any:
        """Expected value of a purchase of one whose `count` purchases had this mean.

        A mean of own purchases and of the population's, the more of the former the more purchases. Arrays or Columns.
        """
        return (mean * count + self.gamma) * self.p / (count * self.p + (self.q - 1))


@dataclass(frozen=True)
class Fitted:
    """Parameters at the maximum, and the log-likelihood of all users there."""

    model: Any
    log_likelihood: float


def fit_bg_nbd(x: Array, t_x: Array, age: Array, users: Array) -> Fitted:
    """The BG/NBD of greatest likelihood. Raises ModelError with too little data, or when no start converges."""
    x, t_x, age, users = (np.asarray(values, dtype=float) for values in (x, t_x, age, users))
    _enough(users, x > 0, "BG/NBD", "users with a purchase")
    total = users.sum()

    def objective(logs: Array) -> tuple[float, Array]:
        model = BgNbd(*np.exp(logs))
        each, _, slopes = _bg_nbd(model, x, t_x, age)
        return -(users @ each) / total, -(slopes @ users) / total * np.exp(logs)

    week = max(float(users @ age / total), 1e-3) / 4
    starts = [(0.5, week, 1.0, 2.0), (0.2, 0.1 * week, 0.3, 5.0), (5.0, 5 * week, 0.05, 1.0)]
    logs, loss = _best(objective, starts, "BG/NBD")
    return Fitted(BgNbd(*map(float, np.exp(logs))), float(-loss * total))


def fit_gamma_gamma(count: Array, mean: Array, users: Array) -> Fitted:
    """The Gamma-Gamma of greatest likelihood with q > 1, below which the population has no mean.

    count: purchases, mean: their mean value; groups without a value above 0 are left out. Raises ModelError with too
    little data, or when no start converges.
    """
    count, mean, users = (np.asarray(values, dtype=float) for values in (count, mean, users))
    kept = (count > 0) & (mean > 0) & np.isfinite(mean)
    count, mean, users = count[kept], mean[kept], users[kept]
    _enough(users, count > 1, "Gamma-Gamma", "users whose purchases have a value")
    total = users.sum()
    # In multiples of the usual value: whether money is yen or millions leaves the optimum as easy to find.
    usual = float(np.exp(users @ np.log(mean) / total))

    def objective(logs: Array) -> tuple[float, Array]:
        p, over, gamma = np.exp(logs)
        each, slopes = _gamma_gamma(GammaGamma(p, 1 + over, gamma), count, mean / usual)
        return -(users @ each) / total, -(slopes @ users) / total * np.exp(logs)

    logs, loss = _best(objective, [(2.0, 2.0, 2.0), (10.0, 5.0, 0.5), (0.5, 0.5, 5.0)], "Gamma-Gamma")
    p, over, gamma = map(float, np.exp(logs))
    return Fitted(GammaGamma(p, 1 + over, gamma * usual), float(-(loss + np.log(usual)) * total))


def _bg_nbd(model: BgNbd, x: Array, t_x: Array, age: Array) -> tuple[Array, Array, Array]:
    """Log-likelihoods and probabilities of having dropped out, (groups,), and slopes by r, alpha, a, b, (4, groups)."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    again = x > 0
    after = np.where(again, b + x - 1, 1.0)
    log_age, log_last = np.log(alpha + age), np.log(alpha + t_x)
    # Still alive at the end, or dropped out right after the last purchase.
    lives = -(r + x) * log_age
    left = np.where(again, np.log(a) - np.log(after) - (r + x) * log_last, -np.inf)
    both = np.logaddexp(lives, left)
    each = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b) + both
    dead = np.exp(left - both)
    common = digamma(a + b) - digamma(a + b + x)
    slopes = np.stack(
        [
            digamma(r + x) - digamma(r) + np.log(alpha) - (1 - dead) * log_age - dead * log_last,
            r / alpha - (r + x) * ((1 - dead) / (alpha + age) + dead / (alpha + t_x)),
            common + dead / a,
            common + digamma(b + x) - digamma(b) - dead / after,
        ]
    )
    return each, dead, slopes


def _gamma_gamma(model: GammaGamma, count: Array, mean: Array) -> tuple[Array, Array]:
    """Log-likelihoods (groups,), and slopes (3, groups) by p, q, gamma."""
    p, q, gamma = model.p, model.q, model.gamma
    shape, spent = p * count, np.log(gamma + count * mean)
    each = q * np.log(gamma) - betaln(shape, q) + shape * np.log(count) + (shape - 1) * np.log(mean)
    each = each - (shape + q) * spent
    slopes = np.stack(
        [
            count * (digamma(shape + q) - digamma(shape) + np.log(count * mean) - spent),
            digamma(shape + q) - digamma(q) + np.log(gamma) - spent,
            q / gamma - (shape + q) / (gamma + count * mean),
        ]
    )
    return each, slopes


def _log_beta(logit: Array, a: float, b: Array) -> Array:
    """Density of a Beta(a, b) by its logit, as a logarithm and but for a factor."""
    return -a * np.logaddexp(0, -logit) - b * np.logaddexp(0, logit)


def _enough(users: Array, repeaters: np.ndarray[Any, np.dtype[np.bool_]], model: str, what: str) -> None:
    """Raises ModelError where there are too few users, or too few who bought more than once."""
    total, again = round(float(users.sum())), round(float(users[repeaters].sum()))
    if total < LEAST_USERS or again < LEAST_REPEATERS:
        raise ModelError(
            f"{model} cannot be fitted: got {total:,} {what}, {again:,} of whom bought more than once; needed are "
            f"{LEAST_USERS} and {LEAST_REPEATERS}: wait for more history, or load more of it"
        )


def _best(objective: Objective, starts: Sequence[tuple[float, ...]], model: str) -> tuple[Array, float]:
    """The logarithms of the parameters at the lowest loss, and the loss. Raises ModelError when no start converges."""
    bounds = [(LOW, HIGH)] * len(starts[0])
    found = []
    for start in starts:
        options = {"maxiter": 1000, "maxfun": 5000, "ftol": 1e-15, "gtol": FLAT / 1000}
        ended = minimize(objective, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        if np.isfinite(ended.fun) and _slope(ended.x, ended.jac) <= FLAT:
            found.append((float(ended.fun), ended.x))
    if not found:
        raise ModelError(
            f"{model} cannot be fitted: none of {len(starts)} starts came to a point where the likelihood is level to "
            f"{FLAT:g}; look at the purchases it is given for times or values out of all proportion"
        )
    loss, logs = min(found, key=lambda one: one[0])
    return logs, loss


def _slope(logs: Array, slopes: Array) -> float:
    """The steepest way down that the bounds leave."""
    held = ((logs <= LOW) & (slopes > 0)) | ((logs >= HIGH) & (slopes < 0))
    return float(np.abs(np.where(held, 0.0, slopes)).max())
