"""The table of matrices, on the smallest model of every family, from shapes alone."""

import jax
import numpy as np
import pytest

from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.models.products import Reread
from vlmcog.training import adapters, reread
from vlmcog.training.config import LoraConfig, PartLora
from vlmcog.training.matrices import matrix_of, part_of

EVERYWHERE = PartLora(rank=2, dropout=0.1)


@pytest.fixture(scope="module", params=registry.FAMILIES)
def family(request):
    """A family's smallest model, the shapes of its parameters, and a batch."""
    multiple = registry.family(request.param).SIZES["nano"].image_multiple
    model = registry.build(ModelConfig(family=request.param, size="nano", image_size=4 * multiple, prefix_length=40))
    image = np.zeros((4 * multiple, 4 * multiple, 3), np.uint8)
    example = model.processor.train_example(image, "Will it fall?", "yes", ("yes", "no"))
    batch = {key: np.stack([value, value]) for key, value in example.items()}
    return model, jax.eval_shape(model.init, jax.random.key(0)), batch


def test_every_matrix_is_in_the_table(family):
    _, base, _ = family
    left = {name for name in adapters.flatten(base) if matrix_of(name) is None}
    left = {name for name in left if name.split("/")[-1] == "kernel"}
    assert left <= {"img/embedding/kernel", "head/kernel", "extra_head/kernel", "llm/head/kernel"}


def test_adapters_fit_every_matrix_and_merge_into_it(family):
    model, base, batch = family
    config = LoraConfig(vision=EVERYWHERE, connector=EVERYWHERE, language=EVERYWHERE)

    def adapted(base):
        params = adapters.start(config, base, jax.random.key(0))
        loss, _ = model.loss(adapters.attach(config, params, jax.random.key(1)), batch)
        return loss, adapters.merge(config, params), params

    loss, merged, params = jax.eval_shape(adapted, base)
    assert loss.shape == ()
    assert merged == base
    names = {name.removesuffix(adapters.A) for name in adapters.flatten(params) if name.endswith(adapters.A)}
    assert names == {name for name in adapters.flatten(base) if matrix_of(name)}
    assert {part_of(name) for name in names} == {"vision", "connector", "language"}


def test_every_stack_of_matrices_can_be_read_anew(family):
    model, base, batch = family
    reads = {}

    def loss(params):
        reads.update(adapters.flatten(reread.stacked(params)))
        return model.loss(reread.stacked(params), batch)[0]

    assert jax.eval_shape(jax.grad(loss), base) == base
    found = {name for name, leaf in reads.items() if isinstance(leaf, Reread)}
    assert found == {name for name, leaf in adapters.flatten(base).items() if _is_stack(name, leaf)}


def _is_stack(name, leaf):
    matrix = matrix_of(name)
    return matrix is not None and len(leaf.shape) > len(matrix.summed + matrix.left)
