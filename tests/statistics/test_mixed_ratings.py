"""Effects that are integrated out, against the normal distribution of all answers written out in full."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vlmcog.statistics import mixed_ratings, mixed_sampler
from vlmcog.statistics.cells import add_up
from vlmcog.statistics.mixed_ratings import Population

PEOPLE, ITEMS = 5, 7
MEAN, COV = np.array([0.3, -0.6]), np.array([[0.8, -0.3], [-0.3, 0.5]])
SIGMA, OF_ITEMS = 0.7, 0.9


@pytest.fixture(autouse=True)
def _loose_types():
    with mixed_sampler.loose_types():
        yield


@pytest.fixture(scope="module")
def rows():
    """Unequal numbers of answers, one person with a single answer, one whose predictor never varies."""
    rng = np.random.default_rng(0)
    person, item = (index.ravel() for index in np.indices((PEOPLE, ITEMS)))
    kept = (rng.random(person.shape) < 0.8) & ((person != 2) | (item == 3))
    person, item = person[kept], item[kept]
    x = rng.normal(size=ITEMS)[item] * (person != 4)
    return person, item, x, rng.normal(size=len(x))


def population(of_items=None):
    spread, items = np.sqrt(np.diagonal(COV)), None if of_items is None else jnp.float32(of_items)
    correlation = COV[0, 1] / spread.prod()
    return Population(jnp.float32(MEAN), jnp.float32(spread), jnp.float32(correlation), jnp.float32(SIGMA), items)


def covariance(person, item, x, of_items=0.0):
    design = np.stack([np.ones_like(x), x], 1)
    of_people = (person[:, None] == person) * (design @ COV @ design.T)
    return of_people + of_items**2 * (item[:, None] == item) + SIGMA**2 * np.eye(len(x))


def log_p(person, item, x, y, of_items=0.0):
    constant = len(y) / 2 * np.log(2 * np.pi)
    mean = MEAN[0] + MEAN[1] * x
    return stats.multivariate_normal(mean, covariance(person, item, x, of_items)).logpdf(y) + constant


def test_people_are_integrated_out(rows):
    person, _, x, y = rows
    arrays = mixed_ratings.sufficient(add_up(person, np.zeros_like(person), x, y), by_item=False)
    found = mixed_ratings.log_likelihood(population(), arrays)
    assert float(found) == pytest.approx(log_p(*rows), rel=1e-4)


@pytest.mark.parametrize("of_items", [1e-6, OF_ITEMS, 30.0])
def test_items_are_integrated_out_too(of_items):
    rng = np.random.default_rng(1)
    person, item = (index.ravel()[rng.permutation(PEOPLE * ITEMS)[:28]] for index in np.indices((PEOPLE, ITEMS)))
    person[0], item[0] = person[1], item[1]  # one person answers one item twice
    x, y = rng.normal(size=ITEMS)[item], rng.normal(size=len(item))
    arrays = mixed_ratings.sufficient(add_up(person, item, x, y), by_item=True)
    found = mixed_ratings.log_likelihood(population(of_items), arrays)
    assert float(found) == pytest.approx(log_p(person, item, x, y, of_items), rel=1e-4)


def test_people_are_drawn_from_what_their_answers_say(rows):
    """Mean and covariance of 20,000 draws, against those of the joint normal distribution of effects and answers."""
    person, item, x, y = rows
    arrays = mixed_ratings.sufficient(add_up(person, np.zeros_like(person), x, y), by_item=False)
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = np.asarray(jax.vmap(lambda key: mixed_ratings.draw_people(key, population(), arrays))(keys), float)
    for one in range(PEOPLE):
        own = person == one
        with_answers = COV @ np.stack([np.ones(own.sum()), x[own]])
        gain = with_answers @ np.linalg.inv(covariance(person, item, x)[np.ix_(own, own)])
        mean, cov = MEAN + gain @ (y[own] - MEAN[0] - MEAN[1] * x[own]), COV - gain @ with_answers.T
        np.testing.assert_allclose(draws[:, :, one].mean(0), mean, atol=0.03)  # 4 standard errors at most
        np.testing.assert_allclose(np.cov(draws[:, :, one].T), cov, atol=0.03)
