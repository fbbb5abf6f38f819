import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.training import accumulation, objective

QUICKLY = {"xla_backend_optimization_level": 0}
WEIGHTS = {"w": jnp.array([1.0, -2.0])}
BATCH = {
    "x": np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32),
    "n": np.array([1, 1, 1, 1, 1, 1, 1, 9], np.float32),
}


def _loss(params, batch, rng):
    """A squared error for each token; examples have different numbers of them."""
    del rng
    each = (batch["x"] @ params["w"] - 1.0) ** 2
    mean = jnp.sum(each * batch["n"]) / batch["n"].sum()
    return mean, {"loss": mean, "accuracy": each.max(), "n_tokens": batch["n"].sum()}


def _gradient(batch, **options):
    return accumulation.value_and_grad(_loss, WEIGHTS, batch, jax.random.key(0), **options)


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_by_tokens_the_parts_of_a_batch_give_its_gradient(parts):
    whole, wanted = _gradient(BATCH, parts=1, average="tokens")
    metrics, gradient = _gradient(BATCH, parts=parts, average="tokens")
    np.testing.assert_allclose(gradient["w"], wanted["w"], rtol=1e-5)
    assert float(metrics["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-5)
    assert float(metrics["n_tokens"]) == 16


def test_by_parts_each_part_weighs_the_same():
    """The mean of the parts' gradients, written out: every fourth example makes a part."""
    _, gradient = _gradient(BATCH, parts=4, average="parts")
    each = [_gradient({k: v[i::4] for k, v in BATCH.items()}, parts=1, average="tokens")[1]["w"] for i in range(4)]
    np.testing.assert_allclose(gradient["w"], np.mean(each, axis=0), rtol=1e-5)
    assert not np.allclose(gradient["w"], _gradient(BATCH, parts=1, average="tokens")[1]["w"], rtol=1e-2)


def test_parts_draw_their_own_dropout():
    def loss(params, batch, rng):
        return params["w"].sum() * jax.random.uniform(rng), {
            "loss": jax.random.uniform(rng),
            "n_tokens": jnp.float32(1),
        }

    key = jax.random.key(0)
    metrics, _ = accumulation.value_and_grad(loss, WEIGHTS, BATCH, key, parts=2, average="tokens")
    each = [float(jax.random.uniform(jax.random.fold_in(key, i))) for i in range(2)]
    assert float(metrics["loss"]) == pytest.approx(np.mean(each))


@pytest.fixture(scope="module")
def compiled_loss(make_real_batch):
    """The loss of the real architecture as a function of a batch."""
    model, params, _, _ = make_real_batch([1.0, 0.0])
    loss = jax.jit(lambda p, batch: objective.loss(model, p, batch, None), compiler_options=QUICKLY)
    return lambda batch: loss(params, batch)


def test_a_target_of_one_option_is_learnt_as_an_answer(make_real_batch, compiled_loss):
    """The loss of a distribution that is all on one option is that of the option's tokens."""
    _, _, hard, soft = make_real_batch([1.0, 0.0])
    one, (other, metrics) = compiled_loss(hard)[0], compiled_loss(soft)
    assert float(one) == pytest.approx(float(other), rel=1e-5)
    assert float(metrics["n_tokens"]) == hard["mask_loss"].sum()


def test_a_distribution_is_learnt_as_its_expected_answer(make_real_batch, compiled_loss):
    half, only_yes, only_no = (
        float(compiled_loss(make_real_batch(target)[3])[0]) for target in ([0.25, 0.75], [1.0, 0.0], [0.0, 1.0])
    )
    assert half == pytest.approx(0.25 * only_yes + 0.75 * only_no, rel=1e-5)


@pytest.mark.parametrize("by_token", [False, True])
def test_by_token_the_loss_never_holds_more_logits_than_one_token_has(make_real_batch, by_token):
    model, params, hard, _ = make_real_batch([1.0, 0.0])
    config = dataclasses.replace(model.config, loss_by_token=by_token)
    loss = dataclasses.replace(model, config=config).loss
    written = str(jax.make_jaxpr(jax.value_and_grad(lambda p: loss(p, hard)[0]))(params))
    rows = model.processor.tokenizer.vocab_size
    assert (f"f32[2,{config.suffix_length},{rows}]" in written) != by_token
    assert f"f32[2,{rows}]" in written or not by_token
