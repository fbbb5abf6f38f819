import jax
import jax.numpy as jnp
import numpy as np

from vlmcog.models.attention import attend, options_mask, prefix_lm_mask, softmax


def _drawn(*rows: str) -> np.ndarray:
    return np.array([[cell == "x" for cell in row] for row in rows])


def test_prefix_lm_mask_is_as_drawn():
    mask_ar = jnp.array([[0, 0, 0, 0, 1, 1, 0]])
    mask_input = jnp.array([[True] * 6 + [False]])
    mask = prefix_lm_mask(mask_ar, mask_input)[0]
    drawn = _drawn("xxxx...", "xxxx...", "xxxx...", "xxxx...", "xxxxx..", "xxxxxx.", "xxxxxx.")
    np.testing.assert_array_equal(mask, drawn)


def test_prefix_lm_mask_with_padding_in_the_middle():
    mask_ar = jnp.array([[0, 0, 0, 1, 1]])
    mask_input = jnp.array([[True, True, False, True, True]])
    mask = np.asarray(prefix_lm_mask(mask_ar, mask_input)[0])
    np.testing.assert_array_equal(mask[[0, 1, 3, 4]], _drawn("xx...", "xx...", "xx.x.", "xx.xx"))


def test_options_mask_is_as_drawn():
    prefix = jnp.array([[True, True, False]])
    options = jnp.ones((1, 2, 2), bool)
    drawn = _drawn("xx.x...", "xx.xx..", "xx...x.", "xx...xx")
    np.testing.assert_array_equal(options_mask(prefix, options)[0], drawn)


def test_options_mask_hides_padding_of_an_option():
    options = jnp.array([[[True, False], [True, True]]])
    mask = np.asarray(options_mask(jnp.ones((1, 1), bool), options)[0])
    assert not mask[:, 2].any()


def test_attend_is_softmax_attention_with_shared_key_value_heads():
    query, key, value = (
        jax.random.normal(jax.random.key(seed), (2, 5, heads, 8)) for seed, heads in ((0, 4), (1, 2), (2, 2))
    )
    mask = jnp.broadcast_to(jnp.tril(jnp.ones((5, 5), bool))[None], (2, 5, 5))
    got = attend(query, key, value, mask)
    for b, n in np.ndindex(2, 4):
        scores = query[b, :, n] @ key[b, :, n // 2].T / 8**0.5
        weights = jax.nn.softmax(jnp.where(mask[b], scores, -jnp.inf), axis=-1)
        np.testing.assert_allclose(got[b, :, n], weights @ value[b, :, n // 2], atol=1e-6)


def test_softmax_and_its_gradient_are_those_of_jax():
    scores, d = jax.random.normal(jax.random.key(0), (2, 3, 4, 9)) * 5
    scores = scores.at[0, 0].set(-1e30)  # a row that may see nothing
    expected, own = (jax.vjp(function, scores) for function in (jax.nn.softmax, softmax))
    np.testing.assert_array_equal(own[0], expected[0])
    np.testing.assert_allclose(own[1](d)[0], expected[1](d)[0], atol=1e-6)
