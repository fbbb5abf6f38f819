"""Answers in a model's own words, to any number of questions."""

import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from vlmcog.models.boundary import Params, VisionLanguageModel


def reply(
    model: VisionLanguageModel,
    params: Params,
    images: Sequence[np.ndarray],
    questions: Sequence[str],
    *,
    max_tokens: int = 16,
    batch_size: int = 8,
    temperature: float = 0.0,
    top_p: float = 1.0,
    rng: PRNGKeyArray | None = None,
) -> list[str]:
    """Returns a reply to each image and question, in order.

    Prompts run in batches of one size, padded to few lengths, so that few shapes are ever compiled; greedy replies
    depend on neither.

    Args:
      model: one that writes.
      params: its parameters.
      images: uint8 [h, w, 3], one a question.
      questions: what is asked.
      max_tokens: the most tokens of a reply.
      batch_size: prompts at a time.
      temperature: 0 takes the likeliest token; above it tokens are drawn, with `rng`.
      top_p: drawn are the likeliest that hold so much probability together.
      rng: of the draws.

    Raises:
      UserError: a question is too long, an image isn't uint8 [h, w, 3], or the model doesn't write.
    """
    generate, replies = _compiled(model, max_tokens, temperature, top_p), []
    for start in range(0, len(questions), batch_size):
        asked = list(zip(images, questions, strict=True))[start : start + batch_size]
        padded = asked + asked[-1:] * (batch_size - len(asked))
        batch = model.processor.prefix_batch(*zip(*padded, strict=True))
        key = None if rng is None else jax.random.fold_in(rng, start)
        tokens = np.asarray(generate(params, batch, rng=key))
        replies += [model.processor.decode(each) for each in tokens[: len(asked)]]
    return replies


@functools.lru_cache(maxsize=4)
def _compiled(
    model: VisionLanguageModel, max_tokens: int, temperature: float, top_p: float
) -> Callable[..., Int[Array, "b n"]]:
    """One compilation for all calls; a fresh `jit` of a bound method would compile for each."""
    how = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p}
    return jax.jit(functools.partial(model.generate, **how))
