"""Where a parameter goes as it is read: straight to the devices that its sharding names, each its own part."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding


def place(leaf: Any, value: np.ndarray) -> np.ndarray | jax.Array:
    """A whole parameter of the shape of `leaf`, in its dtype: on the devices of its sharding, or numpy without one."""
    value, sharding = np.asarray(value, leaf.dtype, order="C"), getattr(leaf, "sharding", None)
    return value if sharding is None else _put(value, sharding)


def blank(leaf: Any) -> np.ndarray | jax.Array:
    """Zeros in its place."""
    sharding = getattr(leaf, "sharding", None)
    return np.zeros(leaf.shape, leaf.dtype) if sharding is None else _zeros(leaf.shape, leaf.dtype, sharding)


def write(whole: Any, value: np.ndarray, index: tuple[int, ...]) -> Any:
    """The parameter with a slice of it at `index` of its first axes; its memory is taken over."""
    if isinstance(whole, np.ndarray):
        whole[index] = value
        return whole
    sharding, start = whole.sharding, tuple(jnp.int32(place) for place in index)
    return _written(sharding)(whole, _put(value.astype(whole.dtype, copy=False), _rest(sharding, len(index))), start)


def _put(value: np.ndarray, sharding: Sharding) -> jax.Array:
    """The array on the devices; each process gives the parts of its own."""
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])


def _rest(sharding: Sharding, n_leading: int) -> Sharding:
    """How a slice lies whose parameter lies as `sharding` says."""
    if isinstance(sharding, NamedSharding):
        return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[n_leading:]))
    return sharding


def _zeros(shape: tuple[int, ...], dtype: Any, sharding: Sharding) -> jax.Array:
    return jax.jit(functools.partial(jnp.zeros, shape, dtype), out_shardings=sharding)()


@functools.lru_cache
def _written(sharding: Sharding) -> Any:
    def write(whole, value, start):
        zeros = (jnp.int32(0),) * value.ndim
        value = value.reshape((1,) * len(start) + value.shape)
        return jax.lax.dynamic_update_slice(whole, value, (*start, *zeros))

    return jax.jit(write, donate_argnums=0, out_shardings=sharding)
