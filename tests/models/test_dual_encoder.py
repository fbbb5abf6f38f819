"""What must hold of dual encoders for any parameters, and of the whole journey with one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import jit

from vlmcog.datasets.build import build as build_dataset
from vlmcog.errors import UserError
from vlmcog.evaluate import evaluate
from vlmcog.models.config import ModelConfig
from vlmcog.models.dual_encoder import log_likelihood
from vlmcog.models.registry import build
from vlmcog.train import train
from vlmcog.training.config import from_config_dict

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
QUESTION, OPTIONS = "How many would fall?", ("0", "1", "2")
TOWERS = "cubeworld_towers/cubeworld_small-size16-train40-validation10-test12"


def _config(**values):
    return ModelConfig(
        **{"family": "siglip", "size": "nano", "image_size": 16, "max_options": 4, "scan": True, **values}
    )


@functools.lru_cache
def _compiled(method):
    return jit(method)


@functools.lru_cache
def _made(**values):
    model = build(_config(**values))
    rng = np.random.default_rng(0)
    params = _compiled(model.init)(jax.random.key(0))
    return model, jax.tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape, np.float32), params)


def _batch(example):
    return {key: value[None] for key, value in example.items()}


def _score(model, params, question, options):
    example = model.processor.score_example(IMAGE, question, options)
    return np.asarray(_compiled(model.score)(params, _batch(example)))[0]


LOGITS = jnp.array([[2.0, -1.0, 0.5], [30.0, -40.0, 7.0]])
REAL = jnp.array([[True, True, False], [True, True, True]])


def test_softmax_likelihoods_sum_to_one_over_the_real_options():
    scores = log_likelihood(LOGITS, REAL, independent=False)
    np.testing.assert_allclose(np.exp(scores).sum(axis=-1), 1, rtol=1e-6)
    assert np.isneginf(scores[0, 2])


def test_sigmoid_likelihoods_are_those_of_one_match_and_no_other():
    scores = np.asarray(log_likelihood(LOGITS, REAL, independent=True))
    match = 1 / (1 + np.exp(-np.asarray(LOGITS[0], np.float64)))
    np.testing.assert_allclose(np.exp(scores[0, 0]), match[0] * (1 - match[1]), rtol=1e-5)
    np.testing.assert_allclose(np.exp(scores[0, 1]), match[1] * (1 - match[0]), rtol=1e-5)
    assert np.isneginf(scores[0, 2])
    assert np.isfinite(scores[1]).all()


def test_both_objectives_give_the_same_share_to_each_option():
    softmax, sigmoid = (np.asarray(log_likelihood(LOGITS[:1], REAL[:1], independent=i)) for i in (False, True))
    share = np.exp(sigmoid) / np.exp(sigmoid).sum()
    np.testing.assert_allclose(share, np.exp(softmax), rtol=1e-5)


@pytest.mark.parametrize("objective", ["softmax", "sigmoid", "linear"])
def test_the_loss_is_minus_the_right_score(objective):
    model, params = _made(objective=objective)
    example = _batch(model.processor.train_example(IMAGE, QUESTION, "1", OPTIONS))
    loss, metrics = _compiled(model.loss)(params, example)
    scores = _score(model, params, QUESTION, OPTIONS)
    np.testing.assert_allclose(loss, -scores[1], rtol=1e-5)
    assert float(metrics["accuracy"]) == (scores.argmax() == 1)
    assert metrics["n_tokens"] == 1


def test_options_are_read_as_sentences_after_their_question():
    processor = build(_config()).processor
    example = processor.score_example(IMAGE, "Will it fall?", ("no", "yes"))
    ids = processor.tokenizer.encode("will it fall yes")
    assert example["options"][1].tolist() == [*ids, processor.tokenizer.eos] + [processor.tokenizer.pad] * (
        39 - len(ids)
    )
    assert example["options_mask"].tolist() == [[True], [True]]


def test_order_and_padding_of_options_change_no_probability():
    model, params = _made()
    forth = _score(model, params, QUESTION, OPTIONS)
    np.testing.assert_allclose(_score(model, params, QUESTION, OPTIONS[::-1])[::-1], forth, rtol=1e-4)
    example = model.processor.train_example(IMAGE, QUESTION, "1", OPTIONS)  # a fourth option, unreal
    padded = np.asarray(_compiled(model.score)(params, _batch(example)))[0]
    np.testing.assert_allclose(padded[:3], forth, rtol=1e-4)
    assert np.isneginf(padded[3])


def test_what_a_dual_encoder_cannot_do_is_said():
    model, params = _made()
    with pytest.raises(UserError, match="can't reply in its own words"):
        model.generate(params, {}, max_tokens=1)
    with pytest.raises(UserError, match=r"'3' is none of the options \['0', '1', '2'\]"):
        model.processor.train_example(IMAGE, QUESTION, "3", OPTIONS)
    with pytest.raises(UserError, match=r"has 5 options but model\.max_options=4; set model\.max_options=5"):
        model.processor.train_example(IMAGE, QUESTION, "0", ("0", "1", "2", "3", "4"))
    with pytest.raises(UserError, match=r"takes \d+ tokens but the text tower reads 40"):
        model.processor.score_example(IMAGE, "Would it fall? " * 20, ("no", "yes"))
    with pytest.raises(UserError, match="leaves nothing to tell apart"):
        _config(max_options=1)


def test_a_linear_read_out_has_as_many_answers_as_it_was_made_with():
    model = build(_config(objective="linear", max_options=2))
    params = jax.eval_shape(model.init, jax.random.key(0))
    batch = _batch(model.processor.score_example(IMAGE, QUESTION, OPTIONS))
    with pytest.raises(UserError, match=r"has 2 rows, but a question has 3 options"):
        jax.eval_shape(model.score, params, batch)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "objective"), [("siglip", "sigmoid"), ("clip", "linear")])
def test_trains_and_is_evaluated(family, objective, tmp_path):
    build_dataset(TOWERS, tmp_path / "data")
    config = {
        "total_steps": 2,
        "eval_every": 2,
        "save_every": 2,
        "log_every": 1,
        "data": {"dataset": TOWERS, "data_dir": str(tmp_path / "data"), "batch_size": 8},
        "schedule": {"warmup_steps": 1},
        "model": {"family": family, "size": "nano", "image_size": 16, "objective": objective, "scan": True},
    }
    train(from_config_dict(config), tmp_path / "run")
    metrics = evaluate(tmp_path / "run", [TOWERS], batch_size=12)
    mine = metrics[metrics.model == f"{family}-nano"].set_index("metric")
    assert mine.loc["accuracy", "n"] == 12
    assert 0 <= mine.loc["accuracy", "value"] <= 1
