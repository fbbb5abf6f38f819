import jax
import jax.numpy as jnp
import numpy as np

from vlmcog.models.generative import choose

LOGITS = jnp.log(jnp.array([[0.5, 0.3, 0.15, 0.05]]))


def _drawn(**how):
    return np.asarray(choose(jnp.tile(LOGITS, (4000, 1)), rng=jax.random.key(0), **how))


def test_greedy_takes_the_likeliest():
    assert choose(LOGITS, 0.0, 1.0, None).tolist() == [0]


def test_draws_follow_the_probabilities():
    shares = np.bincount(_drawn(temperature=1.0, top_p=1.0), minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=0.03)


def test_top_p_keeps_the_fewest_that_reach_it():
    shares = np.bincount(_drawn(temperature=1.0, top_p=0.7), minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.625, 0.375, 0, 0], atol=0.03)


def test_a_low_temperature_is_nearly_greedy():
    assert (_drawn(temperature=0.05, top_p=1.0) == 0).mean() > 0.99
