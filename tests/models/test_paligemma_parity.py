"""Parity with google-research/big_vision's PaliGemma on random weights.

The image tokens' tolerance is relative to the largest of them (13.4): the reference itself is float32, and its own
rounding, magnified by near-one-hot attention, is 1e-4 from a float64 evaluation. The decoder, given the reference's
image tokens, is held to 1e-5 as it stands.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import jit

from vlmcog.checkpoints import big_vision
from vlmcog.models.config import VisionConfig
from vlmcog.models.gemma import GemmaConfig
from vlmcog.models.paligemma import PaliGemmaModule, PaliGemmaNetworks

VOCABULARY = 64
NETWORKS = PaliGemmaNetworks(
    VisionConfig(width=16, depth=2, mlp_dim=32, num_heads=2, patch_size=14),
    GemmaConfig(width=32, depth=2, mlp_dim=64, num_heads=4, num_kv_heads=1, head_dim=16),
)


@pytest.fixture(scope="module")
def golden(big_vision_tiny):
    with np.load(big_vision_tiny / "paligemma_tiny_io.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def abstract(golden):
    module = PaliGemmaModule(NETWORKS, VOCABULARY)
    text = jnp.zeros((1, 2), jnp.int32)

    def init(rng):
        return module.init(rng, jnp.asarray(golden["image"][:1]), text, text, method=_logits_of_image)

    return jax.eval_shape(init, jax.random.key(0))["params"]


@pytest.fixture(scope="module")
def params(big_vision_tiny, abstract):
    return big_vision.load(big_vision_tiny / "paligemma_tiny.npz", abstract)


def _image_tokens(module: PaliGemmaModule, image):
    return module.img(image)


def _logits(module: PaliGemmaModule, image_tokens, text, mask_ar):
    return module.logits(module.join(image_tokens, text, mask_ar, jnp.ones(text.shape, bool)).hidden)


def _logits_of_image(module: PaliGemmaModule, image, text, mask_ar):
    return _logits(module, module.img(image), text, mask_ar)


def _apply(scan: bool, method, params, *args):
    module = PaliGemmaModule(NETWORKS, VOCABULARY, scan=scan)
    return jit(functools.partial(module.apply, method=method))({"params": params}, *args)


def _close(got, wanted, *, relative: float = 0.0, absolute: float = 0.0):
    np.testing.assert_allclose(got, wanted, rtol=0, atol=absolute + relative * np.abs(wanted).max())


@pytest.mark.parametrize("scan", [False, True])
def test_image_tokens(params, golden, scan):
    tokens = _apply(scan, _image_tokens, params, golden["image"])
    _close(tokens, golden["zimg"], relative=1e-5)


@pytest.mark.parametrize("scan", [False, True])
def test_logits_given_image_tokens(params, golden, scan):
    logits = _apply(scan, _logits, params, golden["zimg"], golden["text"], golden["mask_ar"])
    _close(logits, golden["logits"], absolute=1e-5)


def test_logits_given_the_image(params, golden):
    logits = _apply(True, _logits_of_image, params, golden["image"], golden["text"], golden["mask_ar"])
    _close(logits, golden["logits"], relative=2e-5)


def test_bfloat16_checkpoint_is_the_rounded_one(big_vision_tiny, abstract, params):
    loaded = big_vision.load(big_vision_tiny / "paligemma_tiny.bf16.npz", abstract)
    rounded = jax.tree.map(lambda x: x.astype(jnp.bfloat16).astype(np.float32), params)
    jax.tree.map(np.testing.assert_array_equal, loaded, rounded)
