"""What a run has learnt, as plain parameters of its model."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vlmcog.checkpoints import pretrained
from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.errors import UserError
from vlmcog.files import atomic_folder
from vlmcog.models import registry
from vlmcog.models.boundary import Params, VisionLanguageModel
from vlmcog.training import adapters, optimizer, sharding, step
from vlmcog.training.config import MeshConfig, TrainConfig
from vlmcog.training.workdir import CHECKPOINTS, claim, read_config

_ONE = MeshConfig(fsdp=1)


def restore(workdir: pathlib.Path, model: VisionLanguageModel) -> Params:
    """Returns the parameters that the run in `workdir` is judged by on one device: adapters merged, means in place.

    A run with adapters saves them alone, so that what they were trained on is made or read again.

    Raises:
      UserError: there is no checkpoint, or one of another model.
    """
    config, mesh = read_config(workdir), sharding.make_mesh(_ONE, batch_size=1)
    built, abstract = _described(config, model, mesh)
    params = _judged(workdir, config, built, abstract)
    if config.lora.active:
        base = load_base(model, config.init_from, _ONE, mesh) if config.init_from else None
        first = step.first_state(model, built, abstract, seed=config.seed, base=base)
        params = built.join(params, first.params)
    return adapters.merge(config.lora, params)


def saved(workdir: pathlib.Path, model: VisionLanguageModel) -> Params:
    """Returns what the checkpoint that the run in `workdir` is judged by holds, means in place; adapters alone.

    Raises:
      UserError: there is no checkpoint, or one of another model.
    """
    config = read_config(workdir)
    return _judged(workdir, config, *_described(config, model, sharding.make_mesh(_ONE, batch_size=1)))


def write(folder: pathlib.Path, config: TrainConfig, params: Params) -> None:
    """Writes parameters as a run of no steps into an empty folder."""
    claim(folder, config)
    with Checkpoints(folder / CHECKPOINTS, keep=1) as checkpoints:
        checkpoints.save(0, {"params": jax.tree.map(jnp.asarray, params)}, {})


def take(path: str, config: TrainConfig, workdir: pathlib.Path) -> None:
    """Makes a run of no steps of what `load_base` takes; the folder is whole or absent."""
    model, mesh = registry.build(config.model), sharding.make_mesh(_ONE, batch_size=1)
    params = load_base(model, path, _ONE, mesh)
    with atomic_folder(workdir) as folder:
        write(folder, config, params)


def judged_step(checkpoints: Checkpoints, config: TrainConfig) -> int | None:
    """Returns the step of the checkpoint that a run is judged by: the best where it keeps one, else the last."""
    best = checkpoints.best() if config.keep_best else None
    return checkpoints.latest() if best is None else best


def load_base(model: VisionLanguageModel, path: str, config: MeshConfig, mesh: Mesh) -> Params:
    """Returns the parameters to start from, laid out on the devices: another run's, or those of a public checkpoint.

    They are read in the dtype that they are kept in, and turned into the model's.

    Args:
      model: whose parameters they are.
      path: the folder of a run, or what `pretrained.load` takes.
      config: how parameters lie on the mesh.
      mesh: the devices.

    Raises:
      UserError: the checkpoint can't be read or is one of another model.
    """
    where = sharding.shard_parameters(config, mesh, jax.eval_shape(model.init, jax.random.key(0)))
    is_run = (pathlib.Path(path) / CHECKPOINTS).is_dir()
    if not is_run:
        pretrained.check_tokenizer(path, model)
    params = _of_run(pathlib.Path(path), model) if is_run else pretrained.load(path, model, where)
    return jax.tree.map(lambda leaf, wanted: jax.device_put(leaf, wanted.sharding).astype(wanted.dtype), params, where)


def _of_run(workdir: pathlib.Path, model: VisionLanguageModel) -> Params:
    """The parameters of a run in the dtype that it keeps them in, which need not be the model's."""
    dtype = read_config(workdir).model.parameter_dtype
    return restore(workdir, registry.build(dataclasses.replace(model.config, parameter_dtype=dtype)))


def _described(
    config: TrainConfig, model: VisionLanguageModel, mesh: Mesh
) -> tuple[optimizer.Optimizer, step.TrainState]:
    """The optimizer of a run, and the shapes of its state."""
    built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    return built, step.abstract_state(model, built, _ONE, mesh)


def _judged(
    workdir: pathlib.Path, config: TrainConfig, built: optimizer.Optimizer, abstract: step.TrainState
) -> Params:
    wanted = {"params": step.saved(built, abstract).params, "ema": abstract.ema}
    directory = workdir / CHECKPOINTS
    if directory.is_dir():
        with Checkpoints(directory) as checkpoints:
            number = judged_step(checkpoints, config)
            if number is not None:
                kept = checkpoints.restore_state(number, wanted)
                return built.join(kept["ema"], kept["params"])
    raise UserError(f"no checkpoint in {directory}; train first, or name the --workdir of a run that has saved one")
