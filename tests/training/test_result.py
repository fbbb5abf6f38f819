import jax
import numpy as np
import pytest

from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.errors import UserError
from vlmcog.training import adapters, optimizer, result, sharding, step, workdir
from vlmcog.training.config import from_config_dict


class Matrices:
    """Only what restoring needs; its names are those that adapters know."""

    def init(self, rng):
        first, second = jax.random.split(rng)
        return {
            "img": {"head": {"kernel": jax.random.normal(first, (8, 4))}},
            "llm": {"layers": {"mlp": {"linear": jax.random.normal(second, (2, 8, 4))}}},
        }


@pytest.mark.parametrize("lora", [{}, {"language": {"rank": 2}}])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_a_run_learnt_is_its_mean_with_adapters_merged(tmp_path, lora, ema):
    config = from_config_dict(
        {"lora": lora, "optimizer": {"method": "adamw", "ema": ema, "decayed": ((".*", True),)}, "mesh": {"fsdp": 2}}
    )
    model, mesh = Matrices(), sharding.make_mesh(config.mesh, 32)
    built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    abstract = step.abstract_state(model, built, config.mesh, mesh)
    state = step.first_state(model, built, abstract, seed=config.seed)
    learning, frozen = built.split(state.params)
    moved = jax.tree.map(lambda leaf: leaf + 1.0, learning)
    state = step.TrainState(
        state.step, built.join(moved, frozen), state.opt_state, state.rng, jax.tree.map(lambda x: x + 2.0, state.ema)
    )
    workdir.claim(tmp_path, config)
    with Checkpoints(tmp_path / "checkpoints", keep=1) as checkpoints:
        checkpoints.save(3, step.saved(built, state), {})
    judged = jax.tree.map(lambda leaf: leaf + 2.0, learning) if ema else moved
    wanted = adapters.merge(config.lora, built.join(judged, frozen))
    jax.tree.map(np.testing.assert_array_equal, result.restore(tmp_path, model), wanted)


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    workdir.claim(tmp_path, from_config_dict({"optimizer": {"decayed": ((".*", True),)}}))
    with pytest.raises(UserError, match="no checkpoint in"):
        result.restore(tmp_path, Matrices())
