"""How parameters and batches lie on the devices.

The mesh has the axes `data` (copies of the parameters), `fsdp` (devices that share a copy), and `tensor` (devices that
divide each layer); a batch is split over the first two. Where more devices share a copy than one dimension can be split
among, `fsdp_inner` splits another. The compiler adds the communication (GSPMD): the step is written as if there were
one device.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vlmcog.errors import UserError
from vlmcog.models.layers import BATCH_AXES
from vlmcog.training.config import MeshConfig
from vlmcog.training.input import ITEM
from vlmcog.training.matrices import matrix_of
from vlmcog.training.rules import apply_rules, name_of

WIDEST = 64
"""Ways to split one dimension, at most: it divides the widths of the public models, where 256 doesn't."""


def make_mesh(config: MeshConfig, batch_size: int, *, parts: int = 1) -> Mesh:
    """Lays the devices out as a mesh; devices that it doesn't need stay idle.

    Args:
      config: the mesh.
      batch_size: of all devices together.
      parts: that a batch is cut into, one after the other.

    Raises:
      UserError: the mesh needs more devices than there are, or the batch can't be split over it evenly.
    """
    devices, tensor = jax.devices(), config.tensor
    data = _fill(config.data, config.fsdp * tensor, len(devices))
    fsdp = _fill(config.fsdp, config.data * tensor, len(devices))
    named = f"mesh.data={data} x mesh.fsdp={fsdp}" + (f" x mesh.tensor={tensor}" if tensor > 1 else "")
    needed = data * fsdp * tensor
    if needed > len(devices):
        raise UserError(f"{named} needs {needed} devices but there are {len(devices)}; lower one")
    if needed < len(devices) and jax.process_count() > 1:
        raise UserError(
            f"{named} leaves some of the {len(devices)} devices without work; with several processes use all"
        )
    if batch_size % (data * fsdp * parts):
        cut = f" cut into optimizer.accumulate={parts} parts" if parts > 1 else ""
        raise UserError(
            f"data.batch_size={batch_size}{cut} can't be split evenly over the {data * fsdp} devices of "
            f"mesh.data={data} x mesh.fsdp={fsdp}; use a multiple of {data * fsdp * parts}"
        )
    # Explicit axes, the default, would want every operation of the model annotated.
    inner = fsdp // WIDEST if fsdp > WIDEST and fsdp % WIDEST == 0 else 1
    sizes = {"data": data, "fsdp": fsdp // inner, **({"fsdp_inner": inner} if inner > 1 else {}), "tensor": tensor}
    types = (AxisType.Auto,) * len(sizes)
    return jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=types, devices=devices[:needed])


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first dimension split over the devices that share a copy, and over copies."""
    return NamedSharding(mesh, PartitionSpec(batch_axes(mesh)))


def batch_axes(mesh: Mesh) -> tuple[str, ...]:
    """The axes of a mesh that a batch is split over."""
    return tuple(axis for axis in BATCH_AXES if axis in mesh.axis_names)


def process_share(mesh: Mesh, batch_size: int) -> tuple[int, int]:
    """Returns which part of every batch this process reads, and how many parts there are.

    Each part is as many rows as the devices of a process hold. Processes that divide layers among them hold the same.

    Raises:
      UserError: some processes hold rows that others hold only in part.
    """
    rows: dict[int, set[int]] = {}
    for device, (span,) in batch_sharding(mesh).devices_indices_map((batch_size,)).items():
        rows.setdefault(device.process_index, set()).update(range(batch_size)[span])
    parts = sorted({tuple(sorted(held)) for held in rows.values()})
    if sum(map(len, parts)) != batch_size or len({len(part) for part in parts}) > 1:
        raise UserError(
            f"mesh.tensor={mesh.shape['tensor']} can't be laid over {jax.process_count()} processes of "
            f"{jax.local_device_count()} devices; let one be a multiple of the other"
        )
    return parts.index(tuple(sorted(rows[jax.process_index()]))), len(parts)


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Sends a batch that every process has whole to the devices."""
    where = batch_sharding(mesh)
    if jax.process_count() == 1:
        return jax.device_put(dict(batch), where)
    return {name: jax.make_array_from_callback(leaf.shape, where, leaf.__getitem__) for name, leaf in batch.items()}


def put_share(batch: Mapping[str, jax.Array | np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Sends this process's part of a batch to its devices, without the items' names; what is there already stays."""
    where = batch_sharding(mesh)
    leaves = {name: leaf for name, leaf in batch.items() if name != ITEM}
    if jax.process_count() == 1 or all(isinstance(leaf, jax.Array) for leaf in leaves.values()):
        return jax.device_put(leaves, where)
    return {name: jax.make_array_from_process_local_data(where, np.asarray(leaf)) for name, leaf in leaves.items()}


def shard_parameters(config: MeshConfig, mesh: Mesh, params: Any) -> Any:
    """Returns the shapes `params` with the sharding of each parameter.

    Raises:
      UserError: `mesh.rules` doesn't cover every parameter or has a rule without one.
    """
    values = apply_rules("mesh.rules", config.rules, params)

    def place(path: tuple[Any, ...], leaf: Any, value: str) -> NamedSharding:
        return replicated(mesh) if value == "replicate" else _split(name_of(path), leaf.shape, mesh)

    return with_shardings(params, jax.tree_util.tree_map_with_path(place, params, values))


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


def _split(name: str, shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
    """Heads or MLP width over `tensor`, the largest other dimensions over `fsdp`, as far as they divide."""
    spec: list[str | None] = [None] * len(shape)
    matrix = matrix_of(name)
    if matrix and matrix.split and mesh.shape["tensor"] > 1 and shape[matrix.split] % mesh.shape["tensor"] == 0:
        spec[matrix.split] = "tensor"
    for name in ("fsdp", "fsdp_inner"):
        ways = mesh.shape.get(name, 1)
        free = [axis for axis, size in enumerate(shape) if spec[axis] is None and size and size % ways == 0]
        if ways > 1 and free:
            spec[max(free, key=lambda axis: shape[axis])] = name
    while spec and spec[-1] is None:
        spec.pop()
    return NamedSharding(mesh, PartitionSpec(*spec))
