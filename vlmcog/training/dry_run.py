"""What a run will take, found out by compiling its step for devices that need not be there.

The compiler is that of the CPU: what it says of parameters and optimizer holds everywhere, what it says of temporary
memory is an estimate, since accelerators fuse more and lay arrays out otherwise.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.boundary import VisionLanguageModel
from vlmcog.training import optimizer, sharding, step
from vlmcog.training.config import TrainConfig
from vlmcog.training.devices import ACCELERATORS
from vlmcog.training.flops import model_flops
from vlmcog.training.rules import name_of

GIB = 1 << 30
MOST_ROWS = 400
UNOPTIMISED = {"xla_backend_optimization_level": 0}  # of the machine code, which takes longest and moves no buffer


class TracedStep(NamedTuple):
    """A step of training as a program that can be lowered and compiled, with what it is made of."""

    mesh: jax.sharding.Mesh
    model: VisionLanguageModel
    optimizer: optimizer.Optimizer
    abstract: step.TrainState
    traced: Any


def report(config: TrainConfig, device: str = "") -> str:
    """Returns a table of parameters, and the memory and arithmetic of a step on each device.

    Args:
      config: the run; its mesh must fit the devices that jax shows.
      device: a key of `ACCELERATORS` that the run is to fit; empty for none.

    Raises:
      UserError: the config doesn't allow the run, or `device` is unknown.
    """
    if device and device not in ACCELERATORS:
        raise UserError(f"device {device!r} is unknown; use one of {', '.join(ACCELERATORS)}")
    program = trace(config)
    mesh, abstract = program.mesh, program.abstract
    memory = program.traced.lower().compile(UNOPTIMISED).memory_analysis()
    kept, temporary = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    needed = kept + temporary + max(memory.output_size_in_bytes - memory.alias_size_in_bytes, 0)
    lines = [*_table(abstract.params, program.optimizer.learning), ""]
    lines += [f"{mesh.size} devices ({', '.join(f'{name} {size}' for name, size in mesh.shape.items())}); on each:"]
    lines += [
        f"  parameters   {bytes_on_a_device(abstract.params) / GIB:9.3f} GiB",
        f"  optimizer    {bytes_on_a_device((abstract.opt_state, abstract.ema)) / GIB:9.3f} GiB",
        f"  temporary    {temporary / GIB:9.3f} GiB (estimate)",
        f"  in all       {needed / GIB:9.3f} GiB (estimate)",
        f"  arithmetic   {model_flops(program.traced.jaxpr) / mesh.size / 1e12:9.3f} TFLOP a step (of the model alone)",
    ]
    if device:
        lines.append(_verdict(needed, device, config))
    return "\n".join(lines)


def trace(config: TrainConfig) -> TracedStep:
    """Returns the step of a run, traced for its shapes; nothing of its size is allocated.

    Raises:
      UserError: the config doesn't allow the run.
    """
    mesh = sharding.make_mesh(config.mesh, config.data.batch_size, parts=config.optimizer.accumulate)
    model = registry.build(config.model)
    built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    abstract = step.abstract_state(model, built, config.mesh, mesh)
    optimizer.check_precision(built, abstract.params)
    with jax.set_mesh(mesh):
        traced = step.compiled_step(model, built, abstract).trace(abstract, _abstract_batch(model, config, mesh))
    return TracedStep(mesh, model, built, abstract, traced)


def _abstract_batch(model: VisionLanguageModel, config: TrainConfig, mesh: jax.sharding.Mesh) -> dict[str, Any]:
    """Returns the shapes, dtypes and shardings of a batch of answers."""
    blank = np.zeros((config.model.image_size, config.model.image_size, 3), np.uint8)
    example = model.processor.train_example(blank, "?", "?", ("?",))
    where = sharding.batch_sharding(mesh)
    return {
        key: jax.ShapeDtypeStruct((config.data.batch_size, *value.shape), value.dtype, sharding=where)
        for key, value in example.items()
    }


def bytes_on_a_device(tree: Any) -> int:
    """Returns the bytes of a tree's leaves that one device holds, read from their shardings."""
    return sum(_bytes(leaf) for leaf in jax.tree.leaves(tree))


def _bytes(leaf: Any) -> int:
    bits = jax.dtypes.itemsize_bits(leaf.dtype)
    return math.ceil(math.prod(leaf.sharding.shard_shape(leaf.shape)) * bits / 8)


def _table(params: Any, learning: frozenset[str]) -> Iterator[str]:
    rows = [("parameter", "shape", "dtype", "learns", "layout")]
    for path, leaf in jax.tree.leaves_with_path(params)[:MOST_ROWS]:
        name, spec = name_of(path), leaf.sharding.spec
        layout = "x".join(str(axis) for axis in spec if axis) or "whole"
        rows.append((name, str(list(leaf.shape)), str(leaf.dtype), "yes" if name in learning else "no", layout))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _verdict(needed: int, device: str, config: TrainConfig) -> str:
    room = ACCELERATORS[device].memory
    if needed <= room * GIB:
        return f"fits {device} ({room} GiB), by this estimate"
    advice = [
        f"optimizer.accumulate={2 * config.optimizer.accumulate}",
        "" if config.model.remat else "model.remat=True",
        "" if config.lora.active else "lora.language.rank=8",
        "more devices with mesh.fsdp=-1",
    ]
    return f"does not fit {device} ({room} GiB); in this order, try {', '.join(filter(None, advice))}"
