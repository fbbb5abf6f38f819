"""Gradients of a batch that is cut into parts, one after the other, so that the memory of one part is enough."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from vlmcog.models.boundary import Batch, Metrics, Params

Loss = Callable[[Params, Batch, PRNGKeyArray], tuple[Float[Array, ""], Metrics]]


def value_and_grad(
    loss: Loss, params: Params, batch: Batch, rng: PRNGKeyArray, *, parts: int, average: str
) -> tuple[Metrics, Params]:
    """Returns the metrics of `loss` over the batch and its gradient.

    With K parts of n_k answer tokens, mean losses l_k and gradients g_k, the metrics and the gradient are averaged with
    the weights n_k / sum(n) where `average` is `tokens` (one batch's, whatever K), and 1 / K where it is `parts`.
    """
    gradient = jax.value_and_grad(loss, has_aux=True)
    if parts == 1:
        (_, metrics), gradients = gradient(params, batch, rng)
        return metrics, gradients

    def weighted(batch: Batch, number: Array) -> tuple[Metrics, Params]:
        (_, metrics), gradients = gradient(params, batch, jax.random.fold_in(rng, number))
        weight = metrics["n_tokens"] if average == "tokens" else jnp.float32(1)
        scaled = {name: weight * value for name, value in metrics.items()}
        return scaled | {"weight": weight, "n_tokens": metrics["n_tokens"]}, _scaled(gradients, weight)

    def add(total: tuple[Metrics, Params], part: tuple[Batch, Array]) -> tuple[tuple[Metrics, Params], None]:
        return jax.tree.map(jnp.add, total, weighted(*part)), None

    cut = (_cut(batch, parts), jnp.arange(parts))
    shapes = jax.eval_shape(weighted, *jax.tree.map(lambda leaf: leaf[0], cut))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (sums, gradients), _ = jax.lax.scan(add, zeros, cut)
    weight = sums.pop("weight")
    means = {name: value / weight for name, value in sums.items()}
    return means | {"n_tokens": sums["n_tokens"]}, _scaled(gradients, 1 / weight)


def _scaled(tree: Params, factor: Array) -> Params:
    return jax.tree.map(lambda leaf: (leaf * factor).astype(leaf.dtype), tree)


def _cut(batch: Batch, parts: int) -> Batch:
    """Every K-th example to one part, so that each device keeps its own: [b, ...] -> [K, b / K, ...]."""
    return {name: jnp.swapaxes(leaf.reshape(-1, parts, *leaf.shape[1:]), 0, 1) for name, leaf in batch.items()}
