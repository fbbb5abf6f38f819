"""What must hold of families around a decoder like Llama's: options and losses are those of full passes."""

import functools

import jax
import numpy as np
import pytest
from parity import jit

from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.training import optimizer
from vlmcog.training.config import from_config_dict
from vlmcog.training.rules import apply_rules, name_of

FAMILIES = (("qwen", "nano"), ("qwen", "2.5-nano"), ("flamingo", "nano"))
QUESTIONS, OPTIONS = ("Will it fall?", "Would it?"), ("yes", "no", "14")


@functools.lru_cache
def _made(family, size):
    model = registry.build(ModelConfig(family=family, size=size, image_size=32, prefix_length=14, scan=True))
    rng = np.random.default_rng(0)
    params = jit(model.init)(jax.random.key(0))
    return model, jax.tree.map(lambda leaf: leaf + 0.2 * rng.standard_normal(leaf.shape, np.float32), params)


def _stack(examples):
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def _images():
    """Two pictures of other shapes, which Qwen cuts into other numbers of patches."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((32, 32, 3), (32, 16, 3))]


@pytest.mark.parametrize(("family", "size"), [FAMILIES[1], pytest.param(*FAMILIES[2], marks=pytest.mark.slow)])
def test_scores_and_losses_are_those_of_full_forward_passes(family, size):
    model, params = _made(family, size)
    trials, make = list(zip(_images(), QUESTIONS, strict=True)), model.processor
    scores = jit(model.score)(
        params, _stack([make.score_example(image, question, OPTIONS) for image, question in trials])
    )

    def forward(params, batch):
        def logits(module):
            return module.logits(module.read(batch).hidden)

        return model.module.apply({"params": params}, method=logits), model.loss(params, batch)[0]

    compiled = jit(forward)
    for index, option in enumerate(OPTIONS):
        batch = _stack([make.train_example(image, question, option) for image, question in trials])
        logits, loss = compiled(params, batch)
        log_probability = np.asarray(jax.nn.log_softmax(logits, axis=-1))[:, :-1]
        tokens = np.take_along_axis(log_probability, batch["text"][:, 1:, None], axis=-1)[..., 0]
        answers = batch["mask_loss"][:, 1:]
        np.testing.assert_allclose(scores[:, index], np.where(answers, tokens, 0).sum(axis=-1), rtol=1e-4)
        np.testing.assert_allclose(loss, -tokens[answers].mean(), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "size"), FAMILIES)
def test_a_bfloat16_gradient_is_finite(family, size):
    model, params = _made(family, size)
    low = registry.build(ModelConfig(**{**vars(model.config), "compute_dtype": "bfloat16", "remat": True}))
    example = low.processor.train_example(_images()[1], QUESTIONS[0], OPTIONS[0])
    batch = {key: value[None] for key, value in example.items()}
    gradients = jit(jax.grad(lambda p: low.loss(p, batch)[0]))(params)
    assert all(np.isfinite(leaf).all() and leaf.dtype == np.float32 for leaf in jax.tree.leaves(gradients))


def _learns(init_from="", **model):
    config = from_config_dict({"init_from": init_from, "model": {"image_size": 32, "size": "nano", **model}})
    built = registry.build(config.model)
    shapes = jax.eval_shape(built.init, jax.random.key(0))
    flags = apply_rules("optimizer.trainable", optimizer.trainable_rules(config), shapes)
    return {name_of(path) for path, flag in jax.tree.leaves_with_path(flags) if flag}


def test_a_flamingo_from_a_checkpoint_learns_its_new_parts_alone():
    learns = _learns("idefics", family="flamingo")
    assert {name.split("/")[0] for name in learns} == {"resampler", "groups", "extra_embedder", "extra_head"}
    assert all("/block_" not in name for name in learns)
    assert "groups/cross/attention_gate" in learns
    assert {"img/cls", "embedder/embedding"} <= _learns(family="flamingo")


def test_a_linear_read_out_of_a_checkpoint_learns_alone():
    assert _learns("clip", family="clip", objective="linear") == {"readout/kernel", "readout/bias"}
    assert "img/cls" in _learns("clip", family="clip", objective="softmax")


def test_a_tokenizer_of_another_family_is_refused(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.models.WordLevel({"<pad>": 0, "<eos>": 1, "<bos>": 2, "a": 3}, unk_token="a")
    tokenizers.Tokenizer(words).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match=r"tokenizer.json has no marker <\|endoftext\|>"):
        registry.build(ModelConfig(family="clip", size="nano", vocabulary=str(tmp_path / "tokenizer.json")))
