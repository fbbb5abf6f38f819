"""Is the noise found with which simulated participants answered, and does its interval hold it?"""

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import stats

from vlmcog.evaluation import fitted_noise, observers
from vlmcog.evaluation.people import People
from vlmcog.humans import heuristics
from vlmcog.humans.noisy_simulator import Noise, p_fall
from vlmcog.scenes import generate
from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.looks import LOOKS, dress
from vlmcog.scenes.scene import Block
from vlmcog.statistics import ceilings

SIDE = 0.2


def towers(count, seed=0):
    """Random towers of four cubes, about half of which stand."""
    xy = SIDE * np.random.default_rng(seed).normal(0, 0.23, size=(count, 4, 2)).cumsum(1)
    return [[Block((SIDE,) * 3, (x, y, SIDE * (k + 0.5))) for k, (x, y) in enumerate(tower)] for tower in xy]


def people_of(responses, name="people"):
    given = ~np.isnan(responses)
    return People(ceilings.item_means(responses), given.sum(0), responses, name=name)


@pytest.fixture
def shown(trials):
    """Trials of 24 towers, with their scenes."""
    scenes = [dress("tower", tuple(blocks), LOOKS["cubeworld"], np.random.default_rng(0)) for blocks in towers(24)]
    source = trials(24)
    for k, scene in enumerate(scenes):
        outcome = Outcome((False,) * 4).to_json()  # whatever fell: nothing was taken away
        source[k] = dataclasses.replace(source[k], scene=scene.to_json(), outcome=outcome)
    return source


def test_the_noise_of_simulated_participants_is_found_and_observes_under_its_name(shown, answers_table):
    rng = np.random.default_rng(0)
    falls = np.array([p_fall(blocks, Noise(0.15), n=2000, seed=1) for blocks in towers(24)])
    responses = (rng.random((40, 24)) < 0.98 * falls + 0.01).astype(float)
    responses[3, :5] = np.nan
    found = fitted_noise.fit(shown, people_of(responses, "simulated participants"))
    assert 0.15 in found.interval
    assert found.position == pytest.approx(0.15, rel=0.25)
    assert found.interval.low < found.position < found.interval.high < 4 * found.interval.low
    assert found.name == f"noisy simulator (fitted to simulated participants: {found.position:.2g} sides)"

    answers = answers_table(np.full((24, 2), 0.5), [trial.answer for trial in shown])
    table = observers.observer_answers(shown, answers, noise=found)
    rows = table[table.model == f"observer: {found.name}"]
    p_yes = [json.loads(probabilities)[1] for probabilities in rows.probabilities]
    assert p_yes == [p_fall(blocks, found.noise) for blocks in towers(24)]
    (metric,) = observers.fitted(found)
    assert (metric.model, metric.name, metric.value) == (f"observer: {found.name}", "fitted_noise", found.position)
    assert observers.fitted(None) == []


def test_without_scenes_or_single_answers_there_is_nothing_to_fit(shown, trials):
    responses = np.ones((3, 24))
    assert fitted_noise.fit(shown, None) is None
    assert fitted_noise.fit(shown, People(responses.mean(0), np.full(24, 3))) is None
    assert fitted_noise.fit(trials(24), people_of(responses)) is None  # photographs
    shown[5] = dataclasses.replace(shown[5], task="red_block_count")
    assert fitted_noise.fit(shown, people_of(responses)) is None


@pytest.mark.slow
def test_it_is_fitted_to_scenes_that_have_to_be_simulated(trials):
    """Pyramids, with fewer noises and simulations; people here see as badly as the simulator at 0.2 sides."""
    make = generate.maker("pyramids", seed=0, split="test", split_size="small", look="cubeworld")
    source = trials(12, task="red_block_any")
    for index in range(12):
        labelled = make(index).labelled
        own = {"scene": labelled.scene.to_json(), "outcome": labelled.outcome.to_json()}
        source[index] = dataclasses.replace(source[index], **own)
    falls = np.array([heuristics.noisy_simulator(trial, Noise(0.2))[1] for trial in source])
    responses = (np.random.default_rng(0).random((60, 12)) < 0.98 * falls + 0.01).astype(float)
    found = fitted_noise.fit(source, people_of(responses))
    assert 0.2 in found.interval
    assert 0.1 < found.position < 0.4


def test_between_the_noises_tried_a_parabola_is_followed():
    logs = np.log(fitted_noise.TRIED)
    truth = math.log(0.137)
    likelihoods = np.stack([-3 * (logs - truth) ** 2, logs, -logs])
    np.testing.assert_allclose(fitted_noise._peaks(likelihoods, fitted_noise.TRIED), [truth, logs[-1], logs[0]])


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.05, 0.1, 0.2])
def test_the_interval_holds_the_noise_in_95_percent_of_studies(true, monkeypatch):
    """Of 300 studies with 20 people and 40 towers each, drawn from a pool; an exact binomial test at 1 %."""
    rng = np.random.default_rng(0)
    pool = towers(300, seed=1)
    exact = np.array([p_fall(blocks, Noise(true), n=4000, seed=7) for blocks in pool])
    tried = {x: np.array([p_fall(blocks, Noise(x), n=1000, seed=3) for blocks in pool]) for x in fitted_noise.TRIED}
    inside = []
    for _ in range(300):
        chosen = rng.choice(len(pool), 40, replace=False)
        responses = (rng.random((20, 40)) < 0.98 * exact[chosen] + 0.01).astype(float)
        falls = np.stack([tried[x][chosen] for x in fitted_noise.TRIED])
        inside.append(true in fitted_noise.interval(falls, responses))
    print(f"noise {true}: {np.mean(inside):.1%}")
    assert stats.binomtest(int(np.sum(inside)), 300, 0.95).pvalue > 0.01
