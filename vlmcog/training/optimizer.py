"""Which parameters learn, how fast, and by what rule."""

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from vlmcog.models import registry
from vlmcog.models.boundary import Params
from vlmcog.training import muon
from vlmcog.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from vlmcog.training.rules import apply_rules


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optax transformation, with what else a step needs to know of it.

    Attributes:
      transform: turns gradients into updates; it holds no moments for frozen parameters.
      schedule: step to learning rate.
      trainable: one bool a parameter.
    """

    transform: optax.GradientTransformation
    schedule: optax.Schedule
    trainable: PyTree[bool]

    def freeze(self, params: Params) -> Params:
        """Cuts the gradient of frozen parameters, so that nothing is computed for it."""
        return jax.tree.map(_stop_unless, params, self.trainable)

    def apply(self, gradients: Params, state: optax.OptState, params: Params) -> tuple[Params, optax.OptState]:
        """Returns the parameters after one step, and the optimizer's new state."""
        with jax.numpy_dtype_promotion("standard"):  # optax takes powers of floats to integers
            updates, state = self.transform.update(gradients, state, params)
        return cast(Params, optax.apply_updates(params, updates)), state

    def learning_rate(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """Returns the learning rate of a step, counted from 0."""
        with jax.numpy_dtype_promotion("standard"):
            return jnp.asarray(self.schedule(step))


def build(config: TrainConfig, params: Any) -> Optimizer:
    """Builds the optimizer for parameters of the shapes `params`.

    Raises:
      UserError: `optimizer.trainable` or `optimizer.decayed` doesn't cover every parameter or has a rule without one.
    """
    trainable = apply_rules("optimizer.trainable", trainable_rules(config), params)
    decayed = apply_rules("optimizer.decayed", config.optimizer.decayed, params)
    schedule = make_schedule(config.optimizer.learning_rate, config.schedule, config.total_steps)
    transforms: dict[Hashable, optax.GradientTransformation] = {
        True: _clipped(
            METHODS[config.optimizer.method](config.optimizer, schedule, decayed), config.optimizer.clip_norm
        ),
        False: optax.set_to_zero(),
    }
    return Optimizer(optax.partition(transforms, trainable), schedule, trainable)


def trainable_rules(config: TrainConfig) -> Sequence[tuple[str, bool]]:
    """Returns the config's rules; or, left as they are in a run from a checkpoint, those of the model's family."""
    as_is = config.optimizer.trainable == OptimizerConfig().trainable
    return registry.trainable(config.model) if as_is and config.init_from else config.optimizer.trainable


def make_schedule(peak: float, config: ScheduleConfig, total_steps: int) -> optax.Schedule:
    """Returns the learning rate of each step, counted from 0: linear warm-up to `peak`, then the decay."""
    last, steps = peak * config.final, total_steps - config.warmup_steps
    decays = {
        "cosine": optax.cosine_decay_schedule(peak, steps, alpha=config.final),
        "linear": optax.linear_schedule(peak, last, steps),
        "constant": optax.constant_schedule(peak),
    }
    if not config.warmup_steps:
        return decays[config.decay]
    warmup = optax.linear_schedule(0.0, peak, config.warmup_steps)
    return optax.join_schedules([warmup, decays[config.decay]], [config.warmup_steps])


def _adamw(config: OptimizerConfig, schedule: optax.Schedule, decayed: PyTree[bool]) -> optax.GradientTransformation:
    return optax.adamw(
        schedule, b1=config.beta1, b2=config.beta2, weight_decay=config.weight_decay, mask=lambda _: decayed
    )


METHODS = {"adamw": _adamw, "muon": muon.build}


def _clipped(method: optax.GradientTransformation, norm: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(norm), method) if norm else method


def _stop_unless(leaf: jax.Array, trainable: bool) -> jax.Array:
    return leaf if trainable else jax.lax.stop_gradient(leaf)
