"""One step of training, as a pure function. This is where the science is; the rest is around it."""

import dataclasses
import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Int, PRNGKeyArray

from vlmcog.models.boundary import Batch, Metrics, Params, VisionLanguageModel
from vlmcog.training import accumulation, objective, reread, sharding
from vlmcog.training.config import MeshConfig
from vlmcog.training.flops import OPTIMIZER
from vlmcog.training.optimizer import Optimizer

# XLA's own order on CPU is for many kernels at once: it copies all layers' weights out of their stacks first. It stays
# on several devices, which in this order wait for each other in different collectives.
LEAN = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a step changes or draws on, and all that a checkpoint holds beside the place in the data.

    Attributes:
      step: steps done.
      params: the model's parameters, and adapters.
      opt_state: the optimizer's.
      rng: never changes; each step folds its number in.
      ema: the running mean of the parameters that learn; empty without one.
    """

    step: Int[Array, ""]
    params: Params
    opt_state: optax.OptState
    rng: PRNGKeyArray
    ema: Params


class TrainStep(Protocol):
    """A jitted step, as `jax.jit` returns it."""

    def __call__(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        """The state after a step that learns from a batch, and the step's metrics."""
        ...

    def trace(self, state: Any, batch: Any) -> Any:
        """The program for such shapes, from which it can be lowered and compiled."""
        ...


def train_step(
    model: VisionLanguageModel, optimizer: Optimizer, state: TrainState, batch: Batch, *, lean: bool = False
) -> tuple[TrainState, Metrics]:
    """Learns from one batch; `lean`, of programs in the order `LEAN`, reads the weights of unrolled layers twice.

    The metrics are `loss` (nats an answer token) and `token_accuracy` before the step, `grad_norm` before clipping, and
    `learning_rate`.
    """
    settings = optimizer.config
    rng = jax.random.fold_in(state.rng, state.step)
    learning, frozen = optimizer.split(state.params)

    def loss(learning: Params, batch: Batch, rng: PRNGKeyArray) -> tuple[Array, Metrics]:
        params = optimizer.attach(optimizer.join(learning, frozen), jax.random.fold_in(rng, 1))
        params = reread.stacked(params) if lean and settings.accumulate > 1 and not model.config.scan else params
        return objective.loss(model, params, batch, rng)

    metrics, gradients = accumulation.value_and_grad(
        loss, learning, batch, rng, parts=settings.accumulate, average=settings.average
    )
    with jax.named_scope(OPTIMIZER):
        learning, opt_state = optimizer.apply(gradients, state.opt_state, learning)
        ema = optimizer.average(state.ema, learning) if settings.ema else state.ema
    params = optimizer.join(learning, frozen)
    return TrainState(state.step + 1, params, opt_state, state.rng, ema), {
        "loss": metrics["loss"],
        "token_accuracy": metrics["accuracy"],
        "grad_norm": optax.tree.norm(gradients),
        "learning_rate": optimizer.learning_rate(state.step),
    }


def initial_state(
    model: VisionLanguageModel, optimizer: Optimizer, rng: PRNGKeyArray, base: Params | None = None
) -> TrainState:
    """Returns the state before the first step, from the model's parameters `base`, random where they are None."""
    init_rng, train_rng = jax.random.split(rng)
    base = model.init(init_rng) if base is None else base
    params = optimizer.start(base, jax.random.fold_in(init_rng, 1))
    learning, _ = optimizer.split(params)
    ema = jax.tree.map(jnp.copy, learning) if optimizer.config.ema else {}
    return TrainState(jnp.int32(0), params, optimizer.transform.init(learning), train_rng, ema)


def abstract_state(model: VisionLanguageModel, optimizer: Optimizer, config: MeshConfig, mesh: Mesh) -> TrainState:
    """Returns the shape, dtype and sharding of everything in a state; nothing is computed."""
    shapes = jax.eval_shape(functools.partial(initial_state, model, optimizer), jax.random.key(0))
    params = sharding.shard_parameters(config, mesh, shapes.params)
    moments, ema = (sharding.shard_like(tree, params, mesh) for tree in (shapes.opt_state, shapes.ema))
    whole = sharding.replicated(mesh)
    where = dataclasses.replace(shapes, step=whole, params=_shardings(params), opt_state=moments, rng=whole, ema=ema)
    return sharding.with_shardings(shapes, where)


def first_state(
    model: VisionLanguageModel,
    optimizer: Optimizer,
    abstract: TrainState,
    *,
    seed: int,
    base: Params | None = None,
) -> TrainState:
    """Returns the state before the first step, each part made where `abstract` puts it.

    Args:
      model: the model.
      optimizer: the optimizer.
      abstract: from `abstract_state`.
      seed: of the parameters, and of all randomness in the steps to come.
      base: the model's parameters to start from; random where they are None.
    """
    init = jax.jit(
        functools.partial(initial_state, model, optimizer),
        out_shardings=_shardings(abstract),
        compiler_options={"xla_backend_optimization_level": 0},  # it runs once, sooner than it could be optimised
    )
    return init(jax.random.key(seed), base)


def saved(optimizer: Optimizer, state: TrainState) -> TrainState:
    """Returns what a checkpoint holds of a state: all of it, or with adapters only the parameters that learn."""
    if not optimizer.lora.active:
        return state
    return dataclasses.replace(state, params=optimizer.split(state.params)[0])


def resumed(optimizer: Optimizer, first: TrainState, kept: TrainState) -> TrainState:
    """Returns the state of a checkpoint that holds `saved` of it, on the frozen parameters of the run's first one."""
    return dataclasses.replace(kept, params=optimizer.join(kept.params, first.params))


def evaluated(optimizer: Optimizer, state: TrainState) -> Params:
    """Returns the parameters that a run is judged by, as its model takes them: the running mean where there is one."""
    return optimizer.attach(optimizer.join(state.ema, state.params))


def compiled_step(model: VisionLanguageModel, optimizer: Optimizer, abstract: TrainState) -> TrainStep:
    """Returns `train_step` as a function of state and batch, which takes over the memory of the state it is given."""
    lean = jax.default_backend() == "cpu" and abstract.step.sharding.num_devices == 1
    return jax.jit(
        functools.partial(train_step, model, optimizer, lean=lean),
        donate_argnums=0,
        out_shardings=(_shardings(abstract), abstract.step.sharding),
        compiler_options=LEAN if lean else None,
    )


def _shardings(abstract: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)
