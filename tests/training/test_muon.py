import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.training import muon, optimizer
from vlmcog.training.config import OptimizerConfig, TrainConfig
from vlmcog.training.rules import name_of


@pytest.fixture(scope="module")
def params():
    model = registry.build(ModelConfig(size="nano", image_size=32))
    return jax.jit(model.init, compiler_options={"xla_backend_optimization_level": 0})(jax.random.key(0))


def test_every_matrix_of_a_layer_is_in_the_table(params):
    names = [name_of(path) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    is_none = jax.tree.map(lambda _, axes: axes is None, params, muon.dimension_numbers(params))
    left_to_adam = {name for name, none in zip(names, jax.tree.leaves(is_none), strict=True) if none}
    layers = {name for name in names if "encoderblock" in name or "/layers/" in name}
    assert len(layers) > 10
    assert layers & left_to_adam == {name for name in layers if name.endswith(("bias", "scale"))}


def test_one_step_moves_every_matrix_alike_in_all_directions(params):
    """The update of a matrix has singular values near 0.2 sqrt(max(fan_in, fan_out)), whatever the gradient's are."""
    config = TrainConfig(optimizer=OptimizerConfig(learning_rate=1.0, weight_decay=0.0, clip_norm=0.0))
    built = optimizer.build(config, params)
    keys = iter(jax.random.split(jax.random.key(1), 100))
    gradients = jax.tree.map(lambda leaf: jax.random.normal(next(keys), leaf.shape) ** 3, params)
    state = built.transform.init(params)
    apply = jax.jit(built.apply, compiler_options={"xla_backend_optimization_level": 0})
    for _ in range(2):  # the learning rate of the first step is 0
        after, state = apply(gradients, state, params)
    moved = jax.tree.map(jnp.subtract, after, params)["llm"]["layers"]["mlp"]["linear"]
    rate = float(built.learning_rate(jnp.int32(1)))
    values = np.linalg.svd(np.asarray(moved), compute_uv=False) / (rate * 0.2 * np.sqrt(max(moved.shape[1:])))
    assert 0.6 < values.min() <= values.max() < 1.3
    before = np.linalg.svd(np.asarray(gradients["llm"]["layers"]["mlp"]["linear"]), compute_uv=False)
    assert before.max() / before.min() > 3
