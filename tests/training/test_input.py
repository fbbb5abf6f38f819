import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.training import input
from vlmcog.training.config import DataConfig


@pytest.fixture(scope="module")
def batches_of(make_trials):
    """A function that opens the batches of 20 trials."""
    opened = []

    class Identity:
        """Shows what a batch was made of."""

        def train_example(self, image, question, answer, options):
            return {"image": image, "answer": np.str_(answer)}

    def open_batches(seed=0, share=(0, 1), **changes):
        config = DataConfig(**{"batch_size": 6, **changes})
        opened.append(input.train_batches(make_trials(20), Identity(), config, seed=seed, share=share))
        return opened[-1]

    yield open_batches
    for batches in opened:
        batches.close()


def _take(batches, count):
    return [next(batches) for _ in range(count)]


def _assert_equal(some, others):
    for one, other in zip(some, others, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), stop=st.integers(0, 12), threads=st.integers(1, 3))
def test_taken_up_anywhere_the_stream_is_the_same(batches_of, seed, stop, threads):
    undisturbed = _take(batches_of(seed), 15)
    first = batches_of(seed, threads=threads)
    _assert_equal(_take(first, stop), undisturbed[:stop])
    second = batches_of(seed)
    second.set_state(first.get_state())
    _assert_equal(_take(second, 15 - stop), undisturbed[stop:])


@pytest.mark.parametrize("count", [2, 3])
def test_shares_make_up_the_batch_and_are_taken_up_by_another_number(batches_of, count):
    whole = _take(batches_of(), 9)
    shares = [batches_of(share=(index, count)) for index in range(count)]
    taken = [_take(share, 5) for share in shares]
    joined = [
        {key: np.concatenate([part[key] for part in parts]) for key in parts[0]} for parts in zip(*taken, strict=True)
    ]
    _assert_equal(joined, whole[:5])
    alone = batches_of()
    alone.set_state(shares[-1].get_state())
    _assert_equal(_take(alone, 4), whole[5:])


def test_an_epoch_has_every_trial_once_in_an_order_of_its_own(batches_of):
    epochs = [_take(batches_of(augment=(), batch_size=20), 1)[0], *_take(batches_of(augment=(), batch_size=20), 2)]
    same, first, second = ([image.tobytes() for image in batch["image"]] for batch in epochs)
    assert same == first != second
    assert len(set(first)) == 20
    assert set(first) == set(second)


def test_epochs_and_trials_are_augmented_differently(batches_of):
    first, second = _take(batches_of(augment=("shift",), batch_size=20), 2)
    assert {image.tobytes() for image in first["image"]} != {image.tobytes() for image in second["image"]}


def test_another_seed_gives_other_batches(batches_of):
    assert not np.array_equal(next(batches_of(0))["image"], next(batches_of(1))["image"])


def test_answers_stay_with_their_images(batches_of):
    for batch in _take(batches_of(), 10):
        bright = batch["image"].reshape(6, -1).min(axis=1) >= 127
        np.testing.assert_array_equal(bright, batch["answer"] == "yes")


def test_a_dataset_shorter_than_a_batch_is_refused(batches_of):
    with pytest.raises(UserError, match=r"data.batch_size=21 is more than the 20 trials"):
        batches_of(batch_size=21)


def test_a_trial_without_truth_is_refused(make_trials, bright_model):
    trials = [dataclasses.replace(trial, answer=-1) for trial in make_trials(4)]
    batches = input.train_batches(trials, bright_model.processor, DataConfig(batch_size=4), seed=0)
    with pytest.raises(UserError, match=r"item0|item1|item2|item3"):
        next(batches)
    batches.close()
