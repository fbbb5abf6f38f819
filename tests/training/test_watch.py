import numpy as np

from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.training.watch import describe, pictures


def test_the_first_batch_is_told_by_its_own_masks(make_real_batch):
    model, _, hard, soft = make_real_batch([0.25, 0.75])
    told = describe(hard, model.processor)
    assert told.startswith("first batch: of 2, one reads 'Will it fall?")
    assert told.endswith("learns 'yes' (2 tokens with the one that ends it)")
    assert describe(soft, model.processor).endswith("shares of its options: 'yes' 0.25, 'no' 0.75")
    masked = hard | {"mask_loss": np.zeros_like(hard["mask_loss"])}
    assert "learns '' (0 tokens" in describe(masked, model.processor)


def test_a_family_that_compares_tells_its_options():
    processor = registry.build(ModelConfig(family="siglip", size="nano", image_size=32, prefix_length=40)).processor
    example = processor.train_example(np.zeros((32, 32, 3), np.uint8), "Will it fall?", "no", ("yes", "no"))
    told = describe({name: value[None] for name, value in example.items()}, processor)
    assert " 0, " in told
    assert told.endswith(" 1")


def test_pictures_are_scaled_to_what_shows_them(make_real_batch):
    _, _, batch, _ = make_real_batch([1.0, 0.0])
    images = pictures(batch)
    assert (images.shape, images.min(), images.max()) == ((2, 16, 16, 3), 0, 1)
    assert len(pictures({"image": np.zeros((2, 9, 48))})) == 0


def test_a_family_that_takes_patches_shows_no_pictures():
    processor = registry.build(ModelConfig(family="qwen", size="nano", image_size=32, prefix_length=40)).processor
    example = processor.train_example(np.zeros((32, 32, 3), np.uint8), "Will it fall?", "no", ("yes", "no"))
    assert len(pictures({name: value[None] for name, value in example.items()})) == 0
