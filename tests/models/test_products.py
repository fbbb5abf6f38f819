import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.models.products import dot_general, product


def _random(*shape: int):
    return jax.random.normal(jax.random.key(len(shape)), shape)


def test_product_contracts_last_axes_with_first():
    x, w = _random(2, 3, 4, 5), _random(4, 5, 6)
    np.testing.assert_allclose(product(x, w, over=(0, 1)), jnp.einsum("abcd,cde->abe", x, w), atol=1e-5)
    np.testing.assert_allclose(product(x, w[0]), jnp.einsum("abcd,de->abce", x, w[0]), atol=1e-5)


@pytest.mark.parametrize("numbers", [(((2,), (0,)), ((), ())), (((1,), (0,)), ((), ())), (((2,), (1,)), ((0,), (0,)))])
def test_dot_general_is_lax_dot_general(numbers):
    x, w = _random(4, 4, 4), _random(4, 4, 4)
    np.testing.assert_allclose(dot_general(x, w, numbers), jax.lax.dot_general(x, w, numbers), atol=1e-5)
