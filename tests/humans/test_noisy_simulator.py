import math

import numpy as np
import pytest
from scipy import stats

from vlmcog.humans.noisy_simulator import Noise, fit, n_falling, p_fall
from vlmcog.humans.simulated_participants import Population, simulated_judgments
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import tower_margin

NOISES = [Noise(position) for position in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)]


def block(x, z, *, y=0.0, size=(0.2, 0.2, 0.2)):
    return Block(size=size, position=(x, y, z))


def two(offset):
    """Two cubes, the upper one `offset` sides out of place."""
    return [block(0.0, 0.1), block(0.2 * offset, 0.3)]


def towers(count, *, n_blocks=4, seed=0):
    """Random towers of cubes, about half of which stand."""
    rng = np.random.default_rng(seed)
    xy = 0.2 * rng.normal(0, 0.23, size=(count, n_blocks, 2)).cumsum(1)
    return [[block(x, 0.1 + 0.2 * k, y=y) for k, (x, y) in enumerate(tower)] for tower in xy]


@pytest.mark.parametrize("offset", [0.0, 0.2, 0.45, 0.6, 1.2])
@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_two_blocks_fall_as_often_as_the_normal_distribution_says(offset, noise):
    """The upper centre must be seen over the lower face: |offset + e| < 1/2 along, |e| < 1/2 across."""
    seen = stats.norm(0, math.sqrt(2) * noise)
    stands = (seen.cdf(0.5 - offset) - seen.cdf(-0.5 - offset)) * (seen.cdf(0.5) - seen.cdf(-0.5))
    assert p_fall(two(offset), Noise(noise), n=40_000) == pytest.approx(1 - stands, abs=0.01)


def test_without_noise_it_is_the_exact_simulator():
    for tower in towers(30):
        assert p_fall(tower, Noise(0.0), n=3) == (tower_margin(tower) < 0)


def test_the_more_noise_the_more_often_a_standing_tower_falls():
    standing = [tower for tower in towers(30) if tower_margin(tower) > 0.02]
    falls = np.array([[p_fall(tower, noise, n=1000) for noise in NOISES] for tower in standing])
    assert (np.diff(falls.mean(0)) > 0.02).all()
    assert (np.diff(falls) > -0.06).all()  # each by itself, but for chance
    assert falls[:, -1].min() > 0.8


def test_the_more_noise_the_less_often_it_is_right():
    falling = [tower for tower in towers(80) if tower_margin(tower) < -0.02]
    standing = [tower for tower in towers(80) if tower_margin(tower) > 0.02]
    n = min(len(falling), len(standing))
    right = [
        np.mean([p_fall(tower, noise, n=500) for tower in falling[:n]])
        + np.mean([1 - p_fall(tower, noise, n=500) for tower in standing[:n]])
        for noise in NOISES
    ]
    accuracy = np.array(right) / 2
    assert accuracy[0] == 1
    assert (np.diff(accuracy) < -0.01).all()
    assert accuracy[-1] == pytest.approx(0.5, abs=0.05)  # everything falls


def test_other_scenes_are_simulated_and_agree():
    """A fixed block far away makes a tower no column, so that MuJoCo decides."""
    elsewhere = Block(size=(0.2, 0.2, 0.2), position=(3.0, 0.0, 0.1), fixed=True)
    for offset in (0.35, 0.5):
        analytic = p_fall(two(offset), Noise(0.1), n=10_000)
        simulated = p_fall([*two(offset), elsewhere], Noise(0.1), n=100)
        assert simulated == pytest.approx(analytic, abs=4 * math.sqrt(analytic * (1 - analytic) / 100))


def test_a_push_topples_a_slim_block_as_often_as_statics_says():
    """A steady horizontal force of f weights turns a box over an edge where f > width / height in that direction."""
    slim = [block(0.0, 0.2, size=(0.1, 0.1, 0.4))]
    force, ratio = 0.3, 0.25
    rng = np.random.default_rng(1)
    pushes, directions = np.abs(rng.normal(size=200_000)) * force, rng.uniform(0, 2 * math.pi, 200_000)
    expected = np.mean(pushes * np.maximum(np.abs(np.cos(directions)), np.abs(np.sin(directions))) > ratio)
    found = p_fall(slim, Noise(0.0, force), n=100)
    assert found == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 100))
    assert p_fall(slim, Noise(0.0), n=2) == 0


def test_a_block_taken_away_lets_fall_what_stood_on_it():
    scene = [*two(0.1), block(2.0, 0.1)]
    assert n_falling(scene, Noise(0.01), removed=0, n=4).tolist() == [1] * 4
    assert n_falling(scene, Noise(0.01), removed=2, n=4).tolist() == [0] * 4


def test_equal_seeds_are_equal_draws():
    tower = towers(1)[0]
    assert p_fall(tower, Noise(0.1), seed=3) == p_fall(tower, Noise(0.1), seed=3)


@pytest.mark.parametrize("true", [0.05, 0.1, 0.2])
def test_the_noise_of_simulated_participants_is_recovered(true):
    scenes = {f"tower-{index}": tower for index, tower in enumerate(towers(30))}
    population = Population(Noise(true), lapse=0.02)
    table = simulated_judgments(scenes, population, participants=15, simulations=20, seed=int(100 * true))
    votes = table.groupby("item").response.agg(["sum", "count"]).loc[list(scenes)]
    tried = [Noise(float(position)) for position in np.geomspace(0.02, 0.5, 13)]
    found = fit(list(scenes.values()), votes["sum"].to_numpy(int), votes["count"].to_numpy(int), tried=tried, n=200)
    step = math.log(tried[1].position / tried[0].position)
    assert abs(math.log(found.noise.position / true)) < 1.5 * step
    assert found.log_likelihoods.shape == (13,)
    assert found.log_likelihoods.max() == found.log_likelihoods[tried.index(found.noise)]
