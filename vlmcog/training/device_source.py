"""Batches drawn, dressed and rendered on the devices: fresh pictures at every step, and none stored.

A batch depends on the seed and the step alone, so the state of the stream is the number of steps taken.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, PRNGKeyArray

from vlmcog.datasets.bank import Bank
from vlmcog.datasets.redress import redress
from vlmcog.errors import UserError
from vlmcog.models.boundary import Batch
from vlmcog.models.processor import Example, Processor
from vlmcog.scenes.looks import Look, get_look
from vlmcog.scenes.render import trace
from vlmcog.tasks.registry import get_task
from vlmcog.training.config import DataConfig
from vlmcog.training.sharding import batch_axes, replicated


class DeviceBatches:
    """An endless iterator over batches for training, each device drawing its own part.

    Every draw takes a scene of the bank, a task, and another appearance from the look (see `redress`). Pictures are
    rendered at the size that the model takes, as by a perfect camera: a look's sensor acts on the host's pictures
    alone. `data.augment` has no part in it.

    Raises:
      UserError: the bank has no trial of a task that `config` names.
    """

    def __init__(self, bank: Bank, processor: Processor, config: DataConfig, *, seed: int, mesh: Mesh):
        tasks = _columns(bank, config.tasks)
        drawn = functools.partial(_draw, look=get_look(bank.spec.look), processor=processor)
        draws = _each(drawn, on_accelerator=mesh.devices.flat[0].platform != "cpu")
        split = PartitionSpec(batch_axes(mesh))
        # check_vma off: loops in the renderer start from constants, which aren't marked as differing by device.
        sharded = jax.shard_map(draws, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False)
        self._make = jax.jit(lambda data, step: sharded(data, _keys(seed, step, config.batch_size)))
        self._data = jax.device_put(_data(bank, processor, tasks), replicated(mesh))
        self._step = 0

    def __next__(self) -> Batch:
        batch = self._make(self._data, np.uint32(self._step))
        self._step += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        """Returns where the stream is."""
        return {"step": self._step}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes the stream up where `get_state` was called."""
        self._step = state["step"]

    def close(self) -> None:
        """Lets go of the bank's place on the devices."""
        self._data = None


def _each(draw: Any, *, on_accelerator: bool) -> Any:
    """The draws of many keys: at once on an accelerator, one by one on a CPU, whose cache holds no more."""
    if on_accelerator:
        return jax.vmap(draw, in_axes=(None, 0))
    return lambda data, keys: jax.lax.map(functools.partial(draw, data), keys)


def _keys(seed: int, step: Array, count: int) -> PRNGKeyArray:
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), step), count)


def _draw(data: dict[str, Any], key: PRNGKeyArray, *, look: Look, processor: Processor) -> dict[str, Array]:
    for_scene, for_other, for_task, for_look = jax.random.split(key, 4)
    index, other = (_index(k, len(data["names"])) for k in (for_scene, for_other))
    task = _index(for_task, data["answers"].shape[1])
    scene, second = (jax.tree.map(lambda leaf, at=at: leaf[at], data["scenes"]) for at in (index, other))
    dressed = redress(scene, second, data["names"][index], data["keep_camera"][index], look, for_look)
    image = processor.recipe.scale(trace(dressed, size=processor.image_size).astype(jnp.float32))
    answer = data["answers"][index, task]
    return {"image": image} | {name: rows[task, answer] for name, rows in data["words"].items()}


def _index(key: PRNGKeyArray, count: int) -> Array:
    return jax.random.randint(key, (), 0, count, jnp.int32)


def _data(bank: Bank, processor: Processor, tasks: list[int]) -> dict[str, Any]:
    return {
        "scenes": bank.scenes,
        "names": bank.names,
        "keep_camera": bank.keep_camera,
        "answers": bank.answers[:, tasks],
        "words": _words([bank.tasks[task] for task in tasks], processor),
    }


def _words(tasks: list[str], processor: Processor) -> Example:
    """All of an example but its image, for each task and option; tasks with fewer options repeat their last."""
    asked = [get_task(task) for task in tasks]
    most = max(len(task.answers.options) for task in asked)
    blank = np.zeros((processor.image_size, processor.image_size, 3), np.uint8)
    if list(processor.read_image(blank)) != ["image"]:
        raise UserError("data.online='device' draws whole squares, which this model.family cuts up; use 'grain'")
    rows = [
        [
            processor.train_example(blank, task.question, options[min(option, len(options) - 1)], options)
            for option in range(most)
        ]
        for task in asked
        for options in [task.answers.options]
    ]
    names = [name for name in rows[0][0] if name != "image"]
    return {name: np.stack([np.stack([example[name] for example in row]) for row in rows]) for name in names}


def _columns(bank: Bank, names: tuple[str, ...]) -> list[int]:
    for name in names:
        if name not in bank.tasks:
            raise UserError(f"the bank of {bank.spec} has no task {name!r}; it has {', '.join(bank.tasks)}")
    return [index for index, task in enumerate(bank.tasks) if not names or task in names]
