import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from vlmcog.errors import UserError
from vlmcog.evaluation.answers import COLUMNS, answer
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig


class KnownScores:
    """A model whose score of option k is `params[image's first pixel, k]`."""

    name = "known"

    class processor:  # noqa: N801
        @staticmethod
        def score_example(image, question, options):
            return {
                "image": image.astype(np.float32),
                "text": np.zeros(4, np.int32),
                "mask_input": np.ones(4, bool),
                "options": np.ones((len(options), 2), np.int32),
                "options_mask": np.ones((len(options), 2), bool),
            }

    @staticmethod
    def score(params, batch):
        chosen = params[batch["image"][:, 0, 0, 0].astype(jnp.int32)]
        return jnp.where(batch["options_mask"].any(-1), chosen[:, : batch["options"].shape[1]], -jnp.inf)


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(-3, 2, size=(256, 15)).astype(np.float32)


@pytest.fixture(scope="module")
def nano():
    model = registry.build(ModelConfig(size="nano", image_size=16, prefix_length=32))
    return model, jax.jit(model.init)(jax.random.key(0))


def ask(model, params, source, batch_size=5):
    return answer(model, params, source, batch_size=batch_size, run="r", evaluated_on="s")


def test_the_answer_is_the_likeliest_option(trials, scores):
    source = trials(11)
    table = ask(KnownScores, scores, source)
    assert list(table.columns) == list(COLUMNS)
    assert list(table.item) == [trial.item for trial in source]
    for trial, row in zip(source, table.itertuples(), strict=True):
        known = scores[trial.image[0, 0, 0], :2]
        np.testing.assert_allclose(json.loads(row.probabilities), special.softmax(known.astype(float)), rtol=1e-6)
        assert row.response == known.argmax()
        assert row.log_probability == pytest.approx(known.max())
        assert (row.answer, json.loads(row.options)) == (trial.answer, ["no", "yes"])
    assert (set(table.run), set(table.model), set(table.evaluated_on)) == ({"r"}, {"known"}, {"s"})


def test_probabilities_are_over_the_trial_s_own_options(trials, scores):
    """Questions with 2 and with 15 options, in batches of one shape."""
    source = trials(7)
    source += trials(5, task="red_block_count", seed=1)
    shapes = []

    class Watched(KnownScores):
        @staticmethod
        def score(params, batch):
            shapes.append(batch["options"].shape)
            return KnownScores.score(params, batch)

    for trial, row in zip(source, ask(Watched, scores, source).itertuples(), strict=True):
        probabilities = json.loads(row.probabilities)
        assert len(probabilities) == len(trial.options)
        assert sum(probabilities) == pytest.approx(1)
    assert shapes == [(5, 15, 2)]  # traced once


@pytest.mark.parametrize("batch_size", [1, 16])
def test_the_batch_size_changes_nothing(nano, trials, batch_size):
    source = trials(10)
    one, other = ask(*nano, source), ask(*nano, source, batch_size=batch_size)
    of = [np.array(table.probabilities.map(json.loads).tolist()) for table in (one, other)]
    np.testing.assert_allclose(*of, atol=1e-6)
    assert list(one.response) == list(other.response)


def test_the_order_of_trials_changes_nothing(nano, trials):
    source = trials(9)
    one = ask(*nano, source).set_index("item")
    other = ask(*nano, type(source)(source[::-1])).set_index("item").loc[one.index]
    np.testing.assert_allclose(one.log_probability, other.log_probability, atol=1e-5)


def test_scores_that_are_no_numbers_are_named(trials, scores):
    with pytest.raises(UserError, match=r"item 'item-0' are \[nan.*diverged"):
        ask(KnownScores, np.full_like(scores, np.nan), trials(3))
