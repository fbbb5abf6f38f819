import jax
import numpy as np
import pytest

from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.training import adapters, dry_run, reread
from vlmcog.training.config import LoraConfig, PartLora, from_config_dict


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of the order in which XLA's CPU backend computes")
def test_a_step_in_parts_keeps_no_second_set_of_the_weights(monkeypatch):
    config = {"model": {"size": "tiny"}, "mesh": {"fsdp": 1}, "optimizer": {"method": "adamw", "accumulate": 4}}

    def temporaries():
        program = dry_run.trace(from_config_dict(config))
        weights = dry_run.bytes_on_a_device(program.abstract.params)
        with jax.set_mesh(program.mesh):
            analysis = program.traced.lower().compile().memory_analysis()
        return analysis.temp_size_in_bytes / weights

    anew = temporaries()
    monkeypatch.setattr(reread, "stacked", lambda params: params)
    assert temporaries() - anew > 0.5


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
