"""BG/NBD and Gamma-Gamma: numbers by hand, laws, slopes, and parameters found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import betaln

from features.value_fit import Array, BgNbd, GammaGamma, _bg_nbd, _gamma_gamma, fit_bg_nbd, fit_gamma_gamma
from lake.errors import ModelError

# The published parameters of the CDNOW sample, in weeks and dollars.
CDNOW, CDNOW_VALUE = BgNbd(0.243, 4.414, 0.793, 2.426), GammaGamma(6.25, 3.74, 15.44)

MODELS = st.builds(
    BgNbd, st.floats(0.05, 20), st.floats(0.1, 50), st.one_of(st.just(1.0), st.floats(0.05, 5)), st.floats(0.05, 20)
)


def _one(*values: float) -> list[Array]:
    return [np.array([value], dtype=float) for value in values]


def test_likelihood_alive_and_value_by_hand() -> None:
    """With all parameters 1: x = 0 gives 1 / (1 + T); x = 1 gives 1/2 x (1/4^2 + 1/2^2), of which 1/4^2 is alive."""
    plain = BgNbd(1, 1, 1, 1)
    assert plain.log_likelihoods(*_one(0, 0, 3))[0] == pytest.approx(np.log(1 / 4))
    assert plain.log_likelihoods(*_one(1, 1, 3))[0] == pytest.approx(np.log(5 / 32))
    assert plain.alive(*_one(1, 1, 3))[0] == pytest.approx(1 / 5)
    assert GammaGamma(2, 3, 10).value(3, 20) == pytest.approx((3 * 20 + 10) * 2 / (3 * 2 + 3 - 1))
    # Gamma(1, nu) with nu ~ Gamma(2, 1): density 2 / (1 + z)^3.
    assert GammaGamma(1, 2, 1).log_likelihoods(*_one(1, 3))[0] == pytest.approx(np.log(2 / 4**3))


def test_expected_purchases_of_the_first_customer_of_cdnow() -> None:
    """x = 2, t_x = 30.43, T = 38.86: 1.226 in the next 39 weeks, as the authors' worked example has it."""
    x, t_x, age = _one(2, 30.43, 38.86)
    assert (CDNOW.alive(x, t_x, age) * CDNOW.purchases_if_alive(x, age, 39))[0] == pytest.approx(1.226, abs=0.001)


@examples(max_examples=200, deadline=None)
@given(MODELS, st.integers(0, 300), st.floats(0, 500), st.floats(0.1, 100))
def test_expected_purchases_are_the_integral_over_who_one_may_be(
    model: BgNbd, x: int, age: float, horizon: float
) -> None:
    """Alive with x purchases, p ~ Beta(a, b + x) and lambda ~ Gamma(r + x, alpha + T); a Poisson process that ends with
    probability p at each event has (1 - exp(-lambda p t)) / p of them on average.
    """
    share = horizon / (model.alpha + age)

    def on_average(p: float) -> float:
        return float(-np.expm1(-(model.r + x) * np.log1p(p * share)) / p) if p else (model.r + x) * share

    # weight="alg": times p^(a-1) (1-p)^(b+x-1), poles and all.
    whole, _ = quad(on_average, 0, 1, weight="alg", wvar=(model.a - 1, model.b + x - 1), epsabs=0, limit=500)
    whole /= np.exp(betaln(model.a, model.b + x))
    found = model.purchases_if_alive(*_one(x, age), horizon)[0]
    assert found == pytest.approx(whole, rel=1e-5)


@examples(deadline=None)
@given(MODELS, st.integers(1, 200), st.floats(0, 100), st.floats(0, 100), st.floats(0.1, 100))
def test_silence_makes_dropping_out_likelier_and_a_later_purchase_less_likely(
    model: BgNbd, x: int, t_x: float, silence: float, more: float
) -> None:
    ages = np.array([t_x + silence, t_x + silence + more])
    both, last = np.full(2, float(x)), np.full(2, t_x)
    alive = model.alive(both, last, ages)
    assert 0 <= alive[1] <= alive[0] + 1e-12 <= 1 + 1e-12
    later = model.alive(*_one(x, t_x + silence, ages[1]))[0]
    assert later >= alive[1] - 1e-12
    assert model.alive(*_one(0, 0, ages[1]))[0] == 1.0
    horizons = [float(model.purchases_if_alive(*_one(x, t_x), horizon)[0]) for horizon in (1.0, 2.0, 50.0)]
    assert 0 <= horizons[0] <= horizons[1] * (1 + 1e-9) <= horizons[2] * (1 + 2e-9)


@given(
    st.builds(GammaGamma, st.floats(0.1, 50), st.floats(1.01, 50), st.floats(0.01, 1e4)),
    st.integers(1, 1000),
    st.floats(0, 1e6),
    st.floats(0.01, 1e6),
)
def test_an_expected_value_grows_with_the_mean_and_lies_between_it_and_the_populations(
    model: GammaGamma, count: int, mean: float, more: float
) -> None:
    population = model.p * model.gamma / (model.q - 1)
    low, high = sorted((mean, population))
    assert low * (1 - 1e-9) <= model.value(count, mean) <= high * (1 + 1e-9)
    assert model.value(count, mean + more) > model.value(count, mean)


def test_slopes_are_those_of_the_likelihood() -> None:
    x, t_x, age = np.array([0.0, 1, 3, 40]), np.array([0.0, 2, 9, 30]), np.array([5.0, 2, 20, 39])
    for number in range(4):
        values = _one(x[number], t_x[number], age[number])
        at = np.array([0.243, 4.414, 0.793, 2.426])
        numeric = approx_fprime(at, lambda point: _bg_nbd(BgNbd(*point), *values)[0][0], 1e-7)  # noqa: B023
        np.testing.assert_allclose(_bg_nbd(CDNOW, *values)[2][:, 0], numeric, rtol=1e-4, atol=1e-5)
    at = np.array([6.25, 3.74, 15.44])
    numeric = approx_fprime(at, lambda point: _gamma_gamma(GammaGamma(*point), *_one(3, 20))[0][0], 1e-7)
    np.testing.assert_allclose(_gamma_gamma(CDNOW_VALUE, *_one(3, 20))[1][:, 0], numeric, rtol=1e-4, atol=1e-5)


def simulated(model: BgNbd, spending: GammaGamma, users: int, seed: int) -> tuple[Array, ...]:
    """x, t_x, age, purchases and their mean value of users who live as the models say, first seen over 26 weeks."""
    random = np.random.default_rng(seed)
    age = random.uniform(26, 52, users)
    rate, out = random.gamma(model.r, 1 / model.alpha, users), random.beta(model.a, model.b, users)
    x, t_x, alive, now = np.zeros(users), np.zeros(users), np.ones(users, dtype=bool), np.zeros(users)
    while alive.any():
        now = now + random.exponential(1, users) / rate
        alive &= now <= age
        x, t_x = x + alive, np.where(alive, now, t_x)
        alive &= random.random(users) > out
    nu = random.gamma(spending.q, 1 / spending.gamma, users)
    return x, t_x, age, x + 1, random.gamma(spending.p * (x + 1)) / nu / (x + 1)


def test_parameters_of_a_simulated_population_are_found_again() -> None:
    true, value = BgNbd(0.8, 4.0, 0.8, 2.5), GammaGamma(6.25, 3.74, 15.44)
    x, t_x, age, count, mean = simulated(true, value, 20_000, 1)
    each = np.ones_like(x)
    found = fit_bg_nbd(x, t_x, age, each)
    np.testing.assert_allclose(list(vars(found.model).values()), list(vars(true).values()), rtol=0.1)
    assert found.log_likelihood >= true.log_likelihoods(x, t_x, age).sum()
    spent = fit_gamma_gamma(count, mean, each)
    np.testing.assert_allclose(list(vars(spent.model).values()), list(vars(value).values()), rtol=0.1)
    assert spent.log_likelihood >= value.log_likelihoods(count, mean).sum()
    # Money in another currency is the same population, and grouping changes no sum.
    yen = fit_gamma_gamma(count, mean * 150, each).model
    assert (yen.p, yen.q, yen.gamma) == pytest.approx((spent.model.p, spent.model.q, 150 * spent.model.gamma), rel=1e-3)
    x, t_x, age = x[:2000], np.floor(t_x[:2000] / 4) * 4, np.ceil(age[:2000] / 4) * 4
    keys, users = np.unique(np.stack([x, t_x, age]), axis=1, return_counts=True)
    assert len(users) < 1000
    grouped, alone = fit_bg_nbd(*keys, users), fit_bg_nbd(x, t_x, age, np.ones(2000))
    assert list(vars(grouped.model).values()) == pytest.approx(list(vars(alone.model).values()), rel=1e-4)
    assert grouped.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-9)


def test_a_population_without_differences_ends_at_the_bounds_and_not_in_an_error() -> None:
    random = np.random.default_rng(2)
    x = random.poisson(10, 500).astype(float)
    model = fit_bg_nbd(x, np.where(x > 0, 49.0, 0.0), np.full(500, 50.0), np.ones(500)).model
    assert model.r / model.alpha == pytest.approx(10 / 50, rel=0.05)
    assert model.alive(*_one(10, 49, 50))[0] > 0.99


def test_too_little_data_is_said_with_what_there_is_and_what_is_needed() -> None:
    nobody = np.zeros(0)
    with pytest.raises(ModelError, match=r"BG/NBD cannot be fitted: got 0 users with .* needed are 100 and 20"):
        fit_bg_nbd(nobody, nobody, nobody, nobody)
    with pytest.raises(ModelError, match="got 500 users with a purchase, 0 of whom bought more than once"):
        fit_bg_nbd(*_one(0, 0, 10, 500))
    with pytest.raises(ModelError, match="Gamma-Gamma cannot be fitted: got 0 users"):
        fit_gamma_gamma(np.array([1.0, 2.0, 2.0]), np.array([0.0, -5.0, np.nan]), np.full(3, 100.0))
