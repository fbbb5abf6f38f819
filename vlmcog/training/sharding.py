"""How parameters and batches lie on the devices.

The mesh has the axes `data` (copies of the parameters) and `fsdp` (devices that share a copy); a batch is split over
both. The compiler adds the communication (GSPMD): the step is written as if there were one device.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vlmcog.errors import UserError
from vlmcog.training.config import MeshConfig
from vlmcog.training.rules import apply_rules, name_of

AXES = ("data", "fsdp")


def make_mesh(config: MeshConfig, batch_size: int) -> Mesh:
    """Lays the devices out as a mesh; devices that it doesn't need stay idle.

    Raises:
      UserError: the mesh needs more devices than there are, or the batch can't be split over it evenly.
    """
    devices = jax.devices()
    data, fsdp = _fill(config.data, config.fsdp, len(devices)), _fill(config.fsdp, config.data, len(devices))
    if data * fsdp > len(devices):
        raise UserError(
            f"mesh.data={data} x mesh.fsdp={fsdp} needs {data * fsdp} devices but there are {len(devices)}; lower one"
        )
    if batch_size % (data * fsdp):
        raise UserError(
            f"data.batch_size={batch_size} can't be split evenly over the {data * fsdp} devices of "
            f"mesh.data={data} x mesh.fsdp={fsdp}; use a multiple of {data * fsdp}"
        )
    # Explicit axes, the default, would want every operation of the model annotated.
    return jax.make_mesh((data, fsdp), AXES, axis_types=(AxisType.Auto,) * 2, devices=devices[: data * fsdp])


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first dimension split over all devices."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def put_batch(batch: Mapping[str, jax.Array | np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Sends a batch to the devices; what is there already stays."""
    return jax.device_put(dict(batch), batch_sharding(mesh))


def shard_parameters(config: MeshConfig, mesh: Mesh, params: Any) -> Any:
    """Returns the shapes `params` with the sharding of each parameter.

    Raises:
      UserError: `mesh.rules` doesn't cover every parameter or has a rule without one.
    """
    values = apply_rules("mesh.rules", config.rules, params)
    where = jax.tree.map(lambda leaf, value: _sharding(leaf.shape, value, mesh), params, values)
    return with_shardings(params, where)


def with_shardings(shapes: Any, where: Any) -> Any:
    """Returns a tree of shapes with a sharding each."""
    return jax.tree.map(lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), shapes, where)


def shard_like(state: Any, params: Any, mesh: Mesh) -> Any:
    """Returns the sharding of each leaf of the optimizer's state: a parameter's moments lie where it lies.

    Args:
      state: shapes of the optimizer's state. A moment's name ends with that of its parameter.
      params: shapes of the parameters, with their shardings.
      mesh: the devices.
    """
    named = {name_of(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        parts = name_of(path).split("/")
        for start in range(len(parts)):
            param = named.get("/".join(parts[start:]))
            if param is not None and param.shape == leaf.shape:
                return param.sharding
        return replicated(mesh)

    return jax.tree_util.tree_map_with_path(place, state)


def _fill(size: int, other: int, devices: int) -> int:
    return max(devices // other, 1) if size == -1 else size


def _sharding(shape: tuple[int, ...], value: str, mesh: Mesh) -> NamedSharding:
    ways = mesh.shape["fsdp"]
    divisible = [axis for axis, size in enumerate(shape) if size and size % ways == 0]
    if value == "replicate" or ways == 1 or not divisible:
        return replicated(mesh)
    axis = max(divisible, key=lambda axis: shape[axis])
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "fsdp"))
