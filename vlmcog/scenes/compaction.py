"""Doing dear work only where it is needed, with arrays of fixed shape: the chosen points go through it packed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def each_chosen(
    chosen: Bool[Array, " p"], work: Callable[[Any], Array], points: Any, otherwise: Array, *, at_once: int
) -> Array:
    """Returns `otherwise` with the results of `work` at the chosen points.

    Args:
      chosen: where work is needed.
      work: takes a tree of arrays [at_once] and returns an array [at_once].
      points: a tree of arrays [p]: what there is to work on.
      otherwise: the results elsewhere [p].
      at_once: how many points are worked on at a time.
    """
    size = chosen.shape[0]
    places, count = packed(chosen, at_once)

    def some(part: Array, results: Array) -> Array:
        place = jax.lax.dynamic_slice_in_dim(places, part * at_once, at_once)
        worked = work(jax.tree.map(lambda leaf: leaf[jnp.minimum(place, size - 1)], points))
        return results.at[place].set(worked, mode="drop")

    return jax.lax.fori_loop(0, (count + at_once - 1) // at_once, some, otherwise)


def packed(chosen: Bool[Array, " p"], multiple: int) -> tuple[Int[Array, " q"], Int[Array, ""]]:
    """The places that are chosen, in order, and their number.

    After them come places beyond the end, up to a multiple of `multiple`.
    """
    size = chosen.shape[0]
    rank = jnp.cumsum(chosen, dtype=jnp.int32)
    beyond = jnp.full(-(-size // multiple) * multiple, size, jnp.int32)
    target = jnp.where(chosen, rank - 1, beyond.shape[0])
    return beyond.at[target].set(jnp.arange(size, dtype=jnp.int32), mode="drop"), rank[-1]
