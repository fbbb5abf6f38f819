"""What the layers of every network share: how they are stacked, and how they are told to compute."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vlmcog.models.config import ModelConfig

OUTER, INNER = "fsdp", "fsdp_inner"
BATCH_AXES = ("data", OUTER, INNER)  # of a mesh that has them, over which batches are split
STATES = "states"  # the collection of what is kept of layers where it is asked for


class Network(nn.Module, kw_only=True):
    """A network, with how it computes beside what its own fields make of it.

    Attributes:
      dropout: share of activations dropped where there is an rng of that name.
      dtype: of activations.
      param_dtype: of parameters.
      scan: run the layers as one rolled loop.
      remat: recompute activations in the backward pass.
    """

    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scan: bool = False
    remat: bool = False


class Layer(nn.Module):
    """A layer of a decoder or a tower: `hidden_states` sees its first argument and its first result."""


def computing(network: Network) -> dict[str, Any]:
    """How a network computes, to hand on to the networks in it."""
    return {"dropout": network.dropout, "scan": network.scan, "remat": network.remat, **dtypes_of(network)}


def computing_as(config: ModelConfig) -> dict[str, Any]:
    """How the networks of a model compute."""
    dtypes = {"dtype": jnp.dtype(config.compute_dtype), "param_dtype": jnp.dtype(config.parameter_dtype)}
    return {"dropout": config.dropout, "scan": config.scan, "remat": config.remat, **dtypes}


def stack_layers(block: type[nn.Module], *, depth: int, scan: bool, remat: bool, n_broadcast: int = 0):
    """Returns a module class that runs `depth` blocks in a row: `carry, out = block(carry, in, *broadcast)`.

    `in` and `out` hold one slice a layer on their first axis, and so does every parameter, as in big_vision's
    checkpoints. The parameters are the same with and without `scan`: without, the loop is unrolled, which runs faster
    on CPU and compiles slower.
    """
    if remat:
        block = nn.remat(block, prevent_cse=not scan)
    in_axes: Any = (0, *[nn.broadcast] * n_broadcast)
    return nn.scan(
        block,
        variable_axes={"params": 0, STATES: 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=in_axes,
        length=depth,
        unroll=1 if scan else depth,
    )


def dropout(module: Any) -> nn.Dropout:
    """Drops the module's share of activations, where there is an rng for it."""
    return nn.Dropout(module.dropout, deterministic=not module.has_rng("dropout"))


def dtypes_of(module: Any) -> dict[str, Any]:
    """The module's `dtype` (of activations) and `param_dtype`, to hand on to its parts."""
    return {"dtype": module.dtype, "param_dtype": module.param_dtype}


def split_batch(x: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
    """Keeps activations split over the devices of `jax.set_mesh` as the batch is; without a mesh, leaves them alone.

    Left to itself the compiler may gather the activations of all devices to spare itself gathering the weights.
    """
    mesh = jax.sharding.get_abstract_mesh()
    axes = tuple(axis for axis in BATCH_AXES if axis in mesh.axis_names)
    ways = math.prod(mesh.shape[axis] for axis in axes)
    if ways == 1 or x.shape[0] % ways:  # one example, as when parameters are made
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(axes, *[PartitionSpec.UNCONSTRAINED] * (x.ndim - 1)))


def whole_rows(table: Float[Array, "v d"]) -> Float[Array, "v d"]:
    """Gathers the rows of an embedding where a second axis splits them; the vocabulary stays split over the first.

    Left to itself the compiler moves the logits of all devices instead, which are many times as large.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if INNER not in mesh.axis_names or table.shape[0] % mesh.shape[OUTER]:
        return table
    return jax.lax.with_sharding_constraint(table, PartitionSpec(OUTER))
