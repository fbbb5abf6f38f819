"""How the crossed model's effects are drawn: another walk, the same distribution."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import distributions as dist
from numpyro import handlers
from scipy import special

from vlmcog.statistics import mixed, mixed_sampler


@pytest.fixture(autouse=True)
def _loose_types():
    with mixed_sampler.loose_types():
        yield


def test_drawn_either_way_or_between_effects_have_one_density():
    """The log-density of what is drawn, less the logarithm of how far effects move with it, is that of the effects."""
    mean, scale, drawn = jnp.array([0.5, -2.0]), jnp.array(0.3), jnp.array([0.7, -1.1])
    for told in (0.0, 0.4, 1.0):
        model = handlers.substitute(mixed_sampler._partly_centred, {"effects": drawn})
        trace = handlers.trace(model)
        effects = trace(name="effects", mean=mean, scale=scale, told=jnp.array(told))
        found = trace.trace["effects"]["fn"].log_prob(drawn) - (1 - told) * jnp.log(scale)
        np.testing.assert_allclose(found, dist.Normal(mean, scale).log_prob(effects), rtol=1e-5)


def answers(rng, *, intercepts=0.0, slopes=0.0, items=0.0):
    """Of 80 people to 60 items, x among them, with effects of those standard deviations."""
    x = rng.normal(size=60)
    eta = rng.normal(0, intercepts, (80, 1)) + (1 + rng.normal(0, slopes, (80, 1))) * x + rng.normal(0, items, 60)
    return x, np.ones((80, 60)), (rng.random((80, 60)) < special.expit(eta)).astype(float)


def test_what_differs_is_told_and_what_does_not_is_not():
    rng = np.random.default_rng(0)
    alike = mixed_sampler.told(*answers(rng))
    assert (alike < 0.4).all()
    for index, differing in enumerate(("items", "intercepts")):
        one = mixed_sampler.told(*answers(rng, **{differing: 1.5}))
        assert one[index] > 0.7
        assert one.max() == one[index]


def test_answers_that_are_missing_or_all_the_same_leave_it_defined():
    n = np.ones((3, 4))
    n[0, 1:] = n[1, 2:] = 0
    x = np.array([1.0, 1.0, 1.0, 0.0])
    for y in (np.zeros((3, 4)), n):
        told = mixed_sampler.told(x, n, y)
        assert ((told >= 0) & (told <= 1)).all()


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.2, 1.0])
def test_the_chains_mix_however_much_people_differ(spread):
    """With people's intercepts drawn as they are, R-hat was 1.07 where they didn't differ."""
    rng = np.random.default_rng(0)
    x, _, y = answers(rng, intercepts=spread, slopes=spread, items=1.0)
    fit = mixed.crossed(y, x, family="logistic")
    assert fit.failed == ""
    assert 1.0 in fit.slope_interval
