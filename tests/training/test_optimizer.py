import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vlmcog.errors import UserError
from vlmcog.training import optimizer
from vlmcog.training.config import ScheduleConfig

ADAMW = {"method": "adamw", "beta2": 0.999}
PARAMS = {"img": {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0)}, "llm": {"kernel": jnp.full(4, 2.0)}}


def _apply(config, gradients, steps=1):
    built = optimizer.build(config, PARAMS)
    learning, frozen = built.split(PARAMS)
    gradients, state = built.split(gradients)[0], built.transform.init(learning)
    for _ in range(steps):
        learning, state = jax.jit(built.apply)(gradients, state, learning)
    return built.join(learning, frozen)


@pytest.mark.parametrize("decay", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 10])
def test_schedule(decay, warmup):
    schedule = optimizer.make_schedule(0.5, ScheduleConfig(warmup, decay, final=0.1), 100)
    with jax.numpy_dtype_promotion("standard"):
        rates = np.array([float(schedule(step)) for step in range(101)])
    np.testing.assert_allclose(rates[: warmup + 1], np.linspace(0 if warmup else 0.5, 0.5, warmup + 1), rtol=1e-6)
    fraction = np.arange(101 - warmup) / (100 - warmup)
    shapes = {
        "cosine": 0.1 + 0.9 * (1 + np.cos(np.pi * fraction)) / 2,
        "linear": 1 - 0.9 * fraction,
        "constant": np.ones_like(fraction),
    }
    np.testing.assert_allclose(rates[warmup:], 0.5 * shapes[decay], rtol=1e-5)


def test_adamw_is_what_its_paper_says(make_config):
    """One step of Loshchilov & Hutter 2019, algorithm 2, written out; the gradient's norm is below the clipping."""
    config = make_config(
        optimizer={**ADAMW, "learning_rate": 0.1, "weight_decay": 0.5, "decayed": (("img/bias", False), (".*", True))},
        schedule={"warmup_steps": 0, "decay": "constant"},
    )
    gradients = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01), PARAMS)
    params = _apply(config, gradients)
    step = 0.1 * 0.01 / (0.01 + 1e-8)
    np.testing.assert_allclose(params["img"]["bias"], 2.0 - step, rtol=1e-6)
    np.testing.assert_allclose(params["img"]["kernel"], 2.0 - step - 0.1 * 0.5 * 2.0, rtol=1e-6)


def test_clipping_bounds_the_gradient_and_zero_switches_it_off(make_config):
    gradients = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 5.0), PARAMS)
    norms = {}
    for clip in (0.0, 1.0):
        config = make_config(optimizer={**ADAMW, "clip_norm": clip})
        state = optimizer.build(config, PARAMS)
        _, after = state.apply(gradients, state.transform.init(PARAMS), PARAMS)
        norms[clip] = float(optax.tree.norm(optax.tree.get(after, "mu"))) / (1 - config.optimizer.beta1)
    assert norms[1.0] == pytest.approx(1.0, rel=1e-5)
    assert norms[0.0] == pytest.approx(float(optax.tree.norm(gradients)), rel=1e-5)


def test_frozen_parameters_keep_every_bit_and_cost_no_memory(make_config):
    trainable = (("img/.*", False), (".*", True))
    config = make_config(optimizer={**ADAMW, "trainable": trainable, "weight_decay": 0.5})
    gradients = jax.tree.map(jnp.ones_like, PARAMS)
    params = _apply(config, gradients, steps=5)
    jax.tree.map(np.testing.assert_array_equal, params["img"], PARAMS["img"])
    assert np.all(params["llm"]["kernel"] != PARAMS["llm"]["kernel"])
    built = optimizer.build(config, PARAMS)
    state = built.transform.init(built.split(PARAMS)[0])
    assert sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.ndim) == 2 * PARAMS["llm"]["kernel"].size


def test_nothing_is_computed_for_frozen_parameters(make_config, bright_model):
    params = bright_model.init(jax.random.key(0))
    batch = {"image": jnp.zeros((2, 8, 8, 3)), "answer": jnp.zeros(2, jnp.int32)}

    def products(trainable):
        config = make_config(optimizer={"trainable": ((".*kernel", trainable), (".*", True))})
        built = optimizer.build(config, params)
        learning, frozen = built.split(params)
        gradient = jax.grad(lambda learning: bright_model.loss(built.join(learning, frozen), batch)[0])
        return str(jax.make_jaxpr(gradient)(learning)).count("dot_general")

    assert products(trainable=False) < products(trainable=True)


@pytest.mark.parametrize("key", ["trainable", "decayed"])
def test_rules_cover_every_parameter_or_raise(make_config, key):
    config = make_config()
    config = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, **{key: (("img/.*", True),)}))
    with pytest.raises(UserError, match=f"optimizer.{key}: no rule matches the parameter llm/kernel"):
        optimizer.build(config, PARAMS)
