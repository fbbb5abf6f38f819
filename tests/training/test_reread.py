import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.models.products import product
from vlmcog.training import accumulation, adapters, reread, step
from vlmcog.training.config import LoraConfig, PartLora

N_LAYERS = 8


def _loss(params, batch, rng):
    """Unrolled layers, as a model's; their weights are nearly all of the memory."""
    del rng

    def layer(x, weights):
        return x + product(jnp.tanh(product(x, weights["gating_einsum"])), weights["linear"]), None

    x, _ = jax.lax.scan(layer, batch["x"], params["llm"]["mlp"], unroll=N_LAYERS)
    return x.sum(), {"loss": x.sum(), "n_tokens": jnp.float32(1)}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of the order in which XLA's CPU backend computes")
def test_a_step_in_parts_keeps_no_second_set_of_the_weights():
    mlp = {"gating_einsum": jnp.ones((N_LAYERS, 256, 1024)), "linear": jnp.ones((N_LAYERS, 1024, 256))}
    params, batch = {"llm": {"mlp": mlp}}, {"x": jnp.ones((32, 256))}

    def temporaries(read):
        def gradient(params, batch):
            def loss(params, batch, rng):
                return _loss(read(params), batch, rng)

            return accumulation.value_and_grad(loss, params, batch, jax.random.key(0), parts=2, average="parts")

        analysis = jax.jit(gradient, compiler_options=step.LEAN).lower(params, batch).compile().memory_analysis()
        return analysis.temp_size_in_bytes / sum(weight.nbytes for weight in mlp.values())

    assert temporaries(lambda params: params) > 0.9
    assert temporaries(reread.stacked) < 0.7


@pytest.fixture(scope="module")
def nano():
    model = registry.build(ModelConfig(family="paligemma", size="nano", image_size=16))
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    example = model.processor.train_example(image, "Will it fall?", "yes", ("yes", "no"))
    params = jax.jit(model.init, compiler_options={"xla_backend_optimization_level": 0})(jax.random.key(0))
    return model, params, {key: np.stack([value, value]) for key, value in example.items()}


@pytest.mark.parametrize("rank", [0, 2])
def test_weights_that_are_read_anew_give_the_loss_and_gradients_of_weights_that_are_kept(nano, rank):
    model, base, batch = nano
    part = PartLora(rank=rank)
    lora = LoraConfig(vision=part, connector=part, language=part) if rank else LoraConfig()
    params = adapters.start(lora, base, jax.random.key(1))

    def gradients(read):
        def loss(params):
            return model.loss(read(adapters.attach(lora, params)), batch)[0]

        return jax.jit(jax.value_and_grad(loss))(params)

    def assert_close(one, other):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)

    jax.tree.map(assert_close, gradients(reread.stacked), gradients(lambda params: params))
