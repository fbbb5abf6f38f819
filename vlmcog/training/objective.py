"""What a batch is to teach: the answer's tokens, or a distribution over the options of the question.

A batch for the second holds `options` and `options_mask` (see `models.boundary`) and

    target       float32 [b, o]        the share of each option; rows sum to 1

Its loss is -sum_b sum_o p_bo log P(option o of b) / sum_b sum_o p_bo n_bo with n_bo tokens in an option: nats an
expected answer token. Where each row has all of its weight on one option it is the loss of the first.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from vlmcog.models.boundary import Batch, Metrics, Params, VisionLanguageModel


def loss(
    model: VisionLanguageModel, params: Params, batch: Batch, rng: PRNGKeyArray | None
) -> tuple[Float[Array, ""], Metrics]:
    """Returns the loss in nats a token, with the metrics `loss`, `accuracy` and `n_tokens` of `VisionLanguageModel`.

    For a distribution, `accuracy` is the share of trials whose likeliest option is the target's.
    """
    if "target" not in batch:
        return model.loss(params, batch, rng)
    target, real = jnp.asarray(batch["target"]), jnp.asarray(batch["options_mask"])
    scores = model.score(params, batch)
    n_tokens = jnp.sum(target * real.sum(axis=-1).astype(jnp.float32))
    mean = -jnp.sum(target * scores, where=target > 0) / n_tokens
    accuracy = jnp.mean((scores.argmax(axis=-1) == target.argmax(axis=-1)).astype(jnp.float32))
    return mean, {"loss": mean, "accuracy": accuracy, "n_tokens": n_tokens}
