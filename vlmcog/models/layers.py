"""What the layers of every network share: how they are stacked and in which dtypes they compute."""

import math
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

BATCH_AXES = ("data", "fsdp")  # of a mesh, over which batches are split


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
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=in_axes,
        length=depth,
        unroll=1 if scan else depth,
    )


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
