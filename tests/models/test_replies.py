import dataclasses
import functools

import jax
import numpy as np
import pytest
from parity import jit

from vlmcog.errors import UserError
from vlmcog.models import replies
from vlmcog.models.config import ModelConfig
from vlmcog.models.registry import build

QUESTIONS = ("Will it fall?", "Would any other block fall?", "Will this block tower fall? " * 3, "How many?")


@functools.lru_cache
def _made(family):
    model = build(ModelConfig(family=family, size="nano", image_size=16, prefix_length=32, scan=True))
    rng = np.random.default_rng(0)
    params = jit(model.init)(jax.random.key(0))
    return model, jax.tree.map(lambda leaf: leaf + 0.2 * rng.standard_normal(leaf.shape, np.float32), params)


def _images():
    return list(np.random.default_rng(1).integers(0, 256, (len(QUESTIONS), 16, 20, 3), dtype=np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["paligemma", "flamingo"])
def test_replies_are_those_of_prompts_one_by_one(family, monkeypatch):
    model, params = _made(family)
    lengths = set()
    generate = type(model).generate

    def watched(self, params, batch, **how):
        lengths.add(batch["text"].shape)
        return generate(self, params, batch, **how)

    monkeypatch.setattr(type(model), "generate", watched)
    together = replies.reply(model, params, _images(), QUESTIONS, max_tokens=6, batch_size=3)
    assert lengths == {(3, 16), (3, 32)}
    assert len(set(together)) > 1
    for image, question, wanted in zip(_images(), QUESTIONS, together, strict=True):
        example = model.processor.prefix_example(image, question)
        tokens = generate(model, params, {key: value[None] for key, value in example.items()}, max_tokens=6)
        assert model.processor.decode(np.asarray(tokens)[0]) == wanted


def test_draws_differ_by_their_key():
    model, params = _made("paligemma")
    draw = functools.partial(replies.reply, model, params, _images(), QUESTIONS, temperature=2.0, batch_size=4)
    first, again, other = (draw(rng=jax.random.key(number)) for number in (0, 0, 1))
    assert first == again != other


def test_a_question_that_is_too_long_and_a_model_that_compares_are_refused():
    model, params = _made("paligemma")
    short = dataclasses.replace(model, processor=dataclasses.replace(model.processor, prefix_length=8))
    with pytest.raises(UserError, match=r"set model\.prefix_length="):
        replies.reply(short, params, _images(), QUESTIONS)
    dual = build(ModelConfig(family="siglip", size="nano", image_size=16))
    with pytest.raises(UserError, match="can't reply in its own words"):
        replies.reply(dual, {}, _images(), QUESTIONS)
