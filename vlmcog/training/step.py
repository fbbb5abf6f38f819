"""One step of training, as a pure function. This is where the science is; the rest is around it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Int, PRNGKeyArray

from vlmcog.checkpoints import pretrained
from vlmcog.models.boundary import Batch, Metrics, Params, VisionLanguageModel
from vlmcog.training import sharding
from vlmcog.training.config import MeshConfig
from vlmcog.training.optimizer import Optimizer


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a step changes or draws on, and all that a checkpoint holds beside the place in the data.

    Attributes:
      step: steps done.
      params: the model's parameters.
      opt_state: the optimizer's.
      rng: never changes; each step folds its number in.
    """

    step: Int[Array, ""]
    params: Params
    opt_state: optax.OptState
    rng: PRNGKeyArray


TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def train_step(
    model: VisionLanguageModel, optimizer: Optimizer, state: TrainState, batch: Batch
) -> tuple[TrainState, Metrics]:
    """Learns from one batch.

    The metrics are `loss` (nats an answer token) and `token_accuracy` before the step, `grad_norm` before clipping, and
    `learning_rate`.
    """
    rng = jax.random.fold_in(state.rng, state.step)

    def loss(params: Params) -> tuple[Array, Metrics]:
        return model.loss(optimizer.freeze(params), batch, rng)

    (mean_loss, metrics), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
    params, opt_state = optimizer.apply(gradients, state.opt_state, state.params)
    return TrainState(state.step + 1, params, opt_state, state.rng), {
        "loss": mean_loss,
        "token_accuracy": metrics["accuracy"],
        "grad_norm": optax.tree.norm(gradients),
        "learning_rate": optimizer.learning_rate(state.step),
    }


def initial_state(model: VisionLanguageModel, optimizer: Optimizer, rng: PRNGKeyArray) -> TrainState:
    """Returns the state before the first step, with random parameters."""
    init_rng, train_rng = jax.random.split(rng)
    params = model.init(init_rng)
    return TrainState(jnp.int32(0), params, optimizer.transform.init(params), train_rng)


def abstract_state(model: VisionLanguageModel, optimizer: Optimizer, config: MeshConfig, mesh: Mesh) -> TrainState:
    """Returns the shape, dtype and sharding of everything in a state; nothing is computed."""
    shapes = jax.eval_shape(functools.partial(initial_state, model, optimizer), jax.random.key(0))
    params = sharding.shard_parameters(config, mesh, shapes.params)
    moments = sharding.shard_optimizer(shapes.opt_state, params, mesh)
    whole = sharding.replicated(mesh)
    where = dataclasses.replace(shapes, step=whole, params=_shardings(params), opt_state=moments, rng=whole)
    return sharding.with_shardings(shapes, where)


def first_state(
    model: VisionLanguageModel, optimizer: Optimizer, abstract: TrainState, *, seed: int, init_from: str = ""
) -> TrainState:
    """Returns the state before the first step, each part made where `abstract` puts it.

    Args:
      model: the model.
      optimizer: the optimizer.
      abstract: from `abstract_state`.
      seed: of the parameters, and of all randomness in the steps to come.
      init_from: a checkpoint that has the parameters, as `pretrained.load` takes it; empty for random ones.

    Raises:
      UserError: the checkpoint can't be read or is one of another model.
    """
    params = pretrained.load(init_from, model, abstract.params) if init_from else None
    init = jax.jit(
        functools.partial(initial_state, model, optimizer),
        out_shardings=_shardings(abstract),
        compiler_options={"xla_backend_optimization_level": 0},  # it runs once, sooner than it could be optimised
    )
    state = init(jax.random.key(seed))
    if params is None:
        return state
    return dataclasses.replace(state, params=jax.device_put(params, _shardings(abstract).params))


def compiled_step(model: VisionLanguageModel, optimizer: Optimizer, abstract: TrainState) -> TrainStep:
    """Returns `train_step` as a function of state and batch, which takes over the memory of the state it is given."""
    step = functools.partial(train_step, model, optimizer)
    return jax.jit(step, donate_argnums=0, out_shardings=(_shardings(abstract), abstract.step.sharding))


def _shardings(abstract: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)
