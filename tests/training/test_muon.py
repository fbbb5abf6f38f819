import jax
import jax.numpy as jnp
import numpy as np

from vlmcog.training import muon, optimizer
from vlmcog.training.config import OptimizerConfig, TrainConfig

KEY = jax.random.key(0)
# [l, f, d], a matrix a layer; [l, d, n, h], one over all heads; the last two are no matrices of a layer.
PARAMS = {
    "img": {
        "block": {"query": {"kernel": jax.random.normal(KEY, (2, 16, 2, 4))}},
        "head": {"kernel": jnp.ones((4, 4))},
    },
    "llm": {"layers": {"mlp": {"linear": jax.random.normal(KEY, (2, 24, 16))}, "norm": {"scale": jnp.ones((2, 16))}}},
}


def test_matrices_of_layers_are_orthogonalised_and_all_else_left_to_adam():
    axes = muon.dimension_numbers(PARAMS)
    assert axes["llm"]["layers"]["mlp"]["linear"] == ((-2,), (-1,))
    assert axes["img"]["block"]["query"]["kernel"] == ((-3,), (-2, -1))
    assert axes["llm"]["layers"]["norm"]["scale"] is axes["img"]["head"]["kernel"] is None


def test_one_step_moves_every_matrix_alike_in_all_directions():
    """The update of a matrix has singular values near 0.2 sqrt(max(fan_in, fan_out)), whatever the gradient's are."""
    config = TrainConfig(optimizer=OptimizerConfig(learning_rate=1.0, weight_decay=0.0, clip_norm=0.0))
    built = optimizer.build(config, PARAMS)
    gradients = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(1), leaf.shape) ** 3, PARAMS)
    state, apply = built.transform.init(PARAMS), jax.jit(built.apply)
    for _ in range(2):  # the learning rate of the first step is 0
        after, state = apply(gradients, state, PARAMS)
    moved = jax.tree.map(jnp.subtract, after, PARAMS)
    rate = float(built.learning_rate(jnp.int32(1)))
    for matrix in (moved["llm"]["layers"]["mlp"]["linear"], moved["img"]["block"]["query"]["kernel"].reshape(2, 16, 8)):
        values = np.linalg.svd(np.asarray(matrix), compute_uv=False) / (rate * 0.2 * np.sqrt(max(matrix.shape[1:])))
        assert 0.6 < values.min() <= values.max() < 1.3
    before = np.linalg.svd(np.asarray(gradients["llm"]["layers"]["mlp"]["linear"]), compute_uv=False)
    assert before.max() / before.min() > 3
