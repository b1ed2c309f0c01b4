"""What a search tries next, and how MLflow keeps it."""

from __future__ import annotations

import math

import pytest

from lake.settings import Settings
from models.hybrid import Parameters
from models.tracking import Registry, connect
from models.trials import Trial, end_search, log_trial, search, trials
from models.tuning import SPACES, suggestion
from models.values import Value, value_names, with_values

DEFAULTS = value_names(Parameters())


def _worth(values: dict[str, Value]) -> float:
    """Highest where the rank is 112 and the half life 200 days."""
    rank, days = float(values["als.rank"]), float(values["confidence.half_life"])
    return -abs(math.log(rank / 112)) - abs(math.log(days / 200))


def _search(past: list[Trial], until: int) -> list[Trial]:
    for number in range(len(past), until):
        values = suggestion(SPACES["als"], DEFAULTS, past, "worth", seed=3)
        past = [*past, Trial(number, values, {"worth": _worth(values)})]
    return past


@pytest.mark.parametrize("model", SPACES)
def test_the_first_trial_is_the_defaults(model: str) -> None:
    values = suggestion(SPACES[model], DEFAULTS, [], "worth", seed=1)
    assert values == {name: DEFAULTS[name] for name in SPACES[model]}


@pytest.mark.parametrize("model", SPACES)
def test_what_is_tried_is_a_setting_of_the_parameters(model: str) -> None:
    first = Trial(0, {name: DEFAULTS[name] for name in SPACES[model]}, {"worth": 0.0})
    values = suggestion(SPACES[model], DEFAULTS, [first], "worth", seed=1)
    found = value_names(with_values(Parameters(), values))
    assert {name: found[name] for name in values} == values != first.values
    with_values(Parameters(), values).check()


def test_defaults_outside_of_the_space_are_not_tried() -> None:
    values = suggestion(SPACES["als"], {**DEFAULTS, "als.rank": 512}, [], "worth", seed=1)
    assert 16 <= float(values["als.rank"]) <= 160


def test_a_search_finds_what_is_better_and_goes_on_as_if_it_had_not_been_stopped() -> None:
    whole = _search([], 40)
    assert _search(whole[:17], 40) == whole
    assert max(trial.metrics["worth"] for trial in whole[10:]) > max(trial.metrics["worth"] for trial in whole[:10])
    assert max(trial.metrics["worth"] for trial in whole) > whole[0].metrics["worth"] + 0.5


def test_a_search_is_a_run_with_a_nested_run_a_trial_that_counts_once_it_has_ended(settings: Settings) -> None:
    where = Registry(settings.tracking_uri, ("local",), settings.home / "mlartifacts")
    described = {"model": "als", "as_of": "2020-06-01"}
    first = search(where, "search of als", described)
    assert trials(where, first) == []
    made = [Trial(n, {"als.rank": 32 + n, "confidence.damping": "log"}, {"all/ndcg@10": n / 7}) for n in range(3)]
    for trial in (made[1], made[0]):
        log_trial(where, first, trial)
    # One that was killed before its run ended.
    client = connect(where)
    place = client.get_run(first).info.experiment_id
    client.create_run(place, tags={"mlflow.parentRunId": first, "attune.trial": "{"})
    assert trials(where, search(where, "search of als", dict(described))) == made[:2]
    end_search(where, first, made[1], {"git_commit": "abc"})
    kept = client.get_run(first)
    assert kept.info.status == "FINISHED" and kept.data.metrics == {"best/all/ndcg_at_10": pytest.approx(1 / 7)}
    assert (kept.data.params["model"], kept.data.tags["best_trial"], kept.data.tags["git_commit"]) == (
        "als",
        "1",
        "abc",
    )
    # After its end it goes on, and other data is another search.
    log_trial(where, first, made[2])
    assert trials(where, search(where, "search of als", described)) == made
    assert search(where, "search of als", {**described, "as_of": "2020-06-02"}) != first
    (child,) = client.search_runs([place], "attributes.run_name = 'trial 2'")
    assert (child.data.params["als.rank"], child.data.metrics["all/ndcg_at_10"]) == ("34", pytest.approx(2 / 7))
