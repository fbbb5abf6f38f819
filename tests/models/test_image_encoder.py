"""The image tower against the convolution that its products stand for."""

import jax
import numpy as np

from vlmcog.models.config import VisionConfig
from vlmcog.models.image_encoder import VisionTransformer

TINY = VisionConfig(width=8, depth=1, mlp_dim=16, num_heads=2, patch_size=4)


def test_patches_are_embedded_as_a_convolution_would():
    """On an image of neither a square shape nor a side that patches fill, whose rest is left out."""
    image = jax.random.normal(jax.random.key(0), (2, 15, 9, 3))
    tower = VisionTransformer(TINY, output_width=0)
    params = tower.init(jax.random.key(1), image)["params"]
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # a bias of zero would not be seen
    _, kept = tower.apply({"params": params}, image, capture_intermediates=lambda module, _: module.name == "embedding")
    (embedded,) = kept["intermediates"]["embedding"]["__call__"]

    kernel, bias = params["embedding"]["kernel"], params["embedding"]["bias"]
    convolved = jax.lax.conv_general_dilated(image, kernel, (4, 4), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(embedded, np.asarray(convolved) + np.asarray(bias), rtol=1e-5, atol=1e-5)
