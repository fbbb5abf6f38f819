import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.models.products import NARROW, Reread, dot_general, product
from vlmcog.training.flops import model_flops


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


@pytest.mark.parametrize("width", [1, NARROW, NARROW + 1])
def test_a_narrow_weight_has_the_gradients_of_a_product(width):
    x, w, dy = _random(2, 3, 16), _random(16, width), _random(2, 3, width)
    y, pull = jax.vjp(product, x, w)
    dx, dw = pull(dy)
    np.testing.assert_allclose(y, jnp.einsum("abc,cd->abd", x, w), atol=1e-5)
    np.testing.assert_allclose(dx, jnp.einsum("abd,cd->abc", dy, w), atol=1e-4)
    np.testing.assert_allclose(dw, jnp.einsum("abc,abd->cd", x, dy), atol=1e-5)


@pytest.mark.parametrize(("shape", "over"), [((5, 4, 2), (0,)), ((5, 4, 2), (1,)), ((4, 5, 2), (0, 1))])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_weight_that_is_read_anew_has_the_products_and_gradients_of_one_that_is_kept(shape, over, dtype):
    w, x = _random(*shape), _random(3, *(shape[axis] for axis in over)).astype(dtype)

    def loss(x, w, how):
        y = product(x, how(w).astype(dtype), over=over)
        return jnp.sum(jnp.sin(y.astype(jnp.float32)))

    kept, anew = (jax.value_and_grad(loss, (0, 1))(x, w, how) for how in (lambda w: w, Reread.of))
    jax.tree.map(np.testing.assert_array_equal, anew, kept)
    assert anew[1][1].dtype == jnp.float32


def test_nothing_is_computed_for_the_gradient_of_a_frozen_weight_that_is_read_anew():
    x, w, one = _random(3, 5), _random(5, 7), 2 * 3 * 5 * 7

    def loss(x, w):
        return product(x, Reread.of(w)).sum()

    assert model_flops(jax.make_jaxpr(jax.grad(loss, (0, 1)))(x, w)) == 3 * one
    assert model_flops(jax.make_jaxpr(jax.grad(loss))(x, w)) == 2 * one
