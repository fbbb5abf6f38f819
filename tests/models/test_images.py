"""Pixels as the reference processors of Hugging Face transformers make them; all to 1/255 or better."""

import importlib

import numpy as np
import pytest
from parity import GOLDENS, VOCABULARY

from vlmcog.errors import UserError
from vlmcog.models import images
from vlmcog.models.config import ModelConfig
from vlmcog.models.qwen import cut, smart_resize
from vlmcog.models.registry import build


def _picture(height, width, seed=0):
    """Smooth shapes and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((height, width))
    waves = np.stack([np.sin(rows / 7), np.cos(columns / 5), np.sin((rows + columns) / 11)], axis=-1)
    return np.clip(128 + 90 * waves + rng.normal(0, 20, waves.shape), 0, 255).astype(np.uint8)


def _close(got, wanted, std):
    """Within one 255th of the range, in the reference's units."""
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got * np.array(std), wanted * np.array(std), atol=1 / 255)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(61, 47), (40, 90), (16, 16)])
@pytest.mark.parametrize(
    ("module", "name", "recipe"),
    [
        ("siglip", "SiglipImageProcessorPil", images.SIGLIP),
        ("clip", "CLIPImageProcessorPil", images.CLIP),
        ("idefics", "IdeficsImageProcessorPil", images.CLIP_SQUARE),
        ("gemma3", "Gemma3ImageProcessorPil", images.BIG_VISION),
    ],
)
def test_squares_equal_the_references(module, name, recipe, shape):
    pytest.importorskip("transformers")
    reference = getattr(importlib.import_module(f"transformers.models.{module}.image_processing_pil_{module}"), name)
    size = {"shortest_edge": 32} if recipe.crop else {"height": 32, "width": 32}
    crop = {"crop_size": {"height": 32, "width": 32}} if recipe.crop else {}
    wanted = reference(size=size, **crop)(_picture(*shape), return_tensors="np")
    wanted = np.asarray(wanted if module == "idefics" else wanted["pixel_values"])
    _close(recipe.square(_picture(*shape), 32), wanted[0].transpose(1, 2, 0), recipe.std)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(61, 47), (200, 90), (16, 30), (112, 112)])
def test_patches_equal_the_references(shape):
    pytest.importorskip("transformers")
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = build(ModelConfig(family="qwen", size="nano", image_size=96)).processor
    size = {"shortest_edge": 16**2, "longest_edge": 96**2}
    wanted = Qwen2VLImageProcessorPil(size=size, patch_size=4)(_picture(*shape), return_tensors="np")
    read = processor.read_image(_picture(*shape))
    assert read["grid"].tolist() == wanted["image_grid_thw"][0, 1:].tolist()
    patches = read["patches"][: read["grid"].prod()]
    wanted = wanted["pixel_values"].reshape(patches.shape)
    got, wanted = (np.moveaxis(x, 1, -1) for x in (patches, wanted))
    _close(got, wanted, images.CLIP.std)


@pytest.mark.parametrize(
    ("family", "name", "recipe"),
    [
        ("paligemma", "paligemma", images.SIGLIP),  # its processor in transformers is SigLIP's
        ("paligemma", "", images.BIG_VISION),
        ("gemma3", "gemma3", images.BIG_VISION),
        ("siglip", "siglip", images.SIGLIP),
        ("flamingo", "idefics", images.CLIP_SQUARE),
    ],
)
def test_a_checkpoint_s_pictures_are_prepared_as_its_reference_prepares_them(family, name, recipe):
    config_json = str(GOLDENS / name / "config.json") if name else ""
    own = {"size": "custom", "config_json": config_json, "vocabulary": VOCABULARY} if name else {"size": "nano"}
    config = ModelConfig(family=family, image_size=48, **own)
    processor = build(config).processor
    np.testing.assert_array_equal(processor.image(_picture(61, 47)), recipe.square(_picture(61, 47), 48))


def test_whole_images_are_only_scaled():
    picture = _picture(8, 8)
    for recipe in (images.BIG_VISION, images.SIGLIP, images.CLIP):
        wanted = (picture / 255 - np.array(recipe.mean)) / np.array(recipe.std)
        np.testing.assert_allclose(recipe.square(picture, 8), wanted, atol=1e-5)


def test_cropping_keeps_the_middle_and_squeezing_all():
    picture = np.zeros((8, 24, 3), np.uint8)
    picture[:, 8:16] = 255
    assert images.CLIP.square(picture, 8).min() > 1
    assert images.SIGLIP.square(picture, 8)[:, 0].max() < 0


@pytest.mark.parametrize(
    ("shape", "wanted"), [((56, 84), (56, 84)), ((60, 80), (56, 84)), ((8, 8), (56, 56)), ((560, 280), (308, 140))]
)
def test_sides_are_whole_blocks_within_the_bounds(shape, wanted):
    assert smart_resize(*shape, factor=28, least=56**2, most=224**2) == wanted


def test_a_ribbon_is_refused():
    with pytest.raises(UserError, match="too narrow"):
        smart_resize(1, 300, factor=28, least=56**2, most=224**2)


def test_patches_come_block_by_block_and_twice():
    pixels = np.arange(16, dtype=np.float32).reshape(4, 4, 1).repeat(3, axis=-1)
    patches = cut(pixels, 1)
    assert patches[:, 0, 0, 0, 0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
    np.testing.assert_array_equal(patches[:, :, 0], patches[:, :, 1])
