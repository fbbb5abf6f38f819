import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.tasks.registry import TASKS
from vlmcog.training.augment import AUGMENTATIONS, augment, mirror, recolour, shift

seeds = st.integers(0, 2**32 - 1)


def _image(seed, side=32):
    image = np.random.default_rng(seed).integers(0, 256, (side, side + 4, 3), dtype=np.uint8)
    image.setflags(write=False)
    return image


@given(seeds, st.sampled_from(sorted(AUGMENTATIONS)))
def test_shape_and_type_stay_and_the_same_seed_gives_the_same_image(seed, name):
    image = _image(seed)
    first, second = (augment(np.random.default_rng(seed), image, "Will it fall?", (name,)) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


@given(seeds)
def test_mirror_gives_the_image_or_its_mirror_image(seed):
    image = _image(seed)
    assert any(np.array_equal(mirror(np.random.default_rng(seed), image), wanted) for wanted in (image, image[:, ::-1]))


@given(seeds)
def test_recolour_permutes_the_channels(seed):
    image = _image(seed)
    wanted = [image[..., list(order)] for order in itertools.permutations(range(3))]
    assert any(np.array_equal(recolour(np.random.default_rng(seed), image), one) for one in wanted)


@given(seeds)
def test_shift_moves_everything_alike_and_by_a_sixteenth_at_most(seed):
    image = _image(seed)
    shifted = shift(np.random.default_rng(seed), image)
    reach = range(-2, 3)
    moved = [np.roll(image, (-dy, -dx), (0, 1)) for dy in reach for dx in reach]
    assert any(np.array_equal(shifted[2:-2, 2:-2], one[2:-2, 2:-2]) for one in moved)


def test_all_outcomes_occur():
    image, rng = _image(0), np.random.default_rng(0)
    outcomes = {name: {one.apply(rng, image).tobytes() for _ in range(300)} for name, one in AUGMENTATIONS.items()}
    assert {name: len(images) for name, images in outcomes.items()} == {"mirror": 2, "shift": 25, "recolour": 6}


@pytest.mark.parametrize(
    ("task", "suitable"),
    [("tower_falls", {"mirror", "shift", "recolour"}), ("red_block_any", {"mirror", "shift"})],
)
def test_what_may_change_the_answer_is_left_out(task, suitable):
    question = TASKS[task].question
    assert {name for name, augmentation in AUGMENTATIONS.items() if augmentation.suits(question)} == suitable
    image, rng = _image(0), np.random.default_rng(0)
    changed = {name for name in AUGMENTATIONS for _ in range(50) if augment(rng, image, question, (name,)) is not image}
    assert changed == suitable


def test_a_question_about_sides_is_not_mirrored():
    assert not AUGMENTATIONS["mirror"].suits("Which way will it fall, left or right?")
