"""Which parameters learn, how fast, and by what rule."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.boundary import Params
from vlmcog.training import adapters, muon
from vlmcog.training.config import LoraConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from vlmcog.training.rules import apply_rules


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optax transformation of the parameters that learn, with what else a step needs to know of it.

    Attributes:
      transform: turns their gradients into updates.
      schedule: step to learning rate.
      config: the settings it was built from.
      lora: the settings of the adapters.
      learning: the names of the parameters that learn.
    """

    transform: optax.GradientTransformation
    schedule: optax.Schedule
    config: OptimizerConfig
    lora: LoraConfig
    learning: frozenset[str]

    def start(self, base: Params, rng: PRNGKeyArray) -> Params:
        """Returns the parameters of a run from those of a model: the same, unless adapters are asked for."""
        return adapters.start(self.lora, base, rng)

    def attach(self, params: Params, rng: PRNGKeyArray | None = None) -> Params:
        """Returns the parameters of a run as its model takes them; `rng` switches the adapters' dropout on."""
        return adapters.attach(self.lora, params, rng)

    def split(self, params: Params) -> tuple[Params, Params]:
        """Returns the parameters that learn, and those that are frozen: nothing is computed for their gradient."""
        leaves = adapters.flatten(params)
        learning = {name: leaf for name, leaf in leaves.items() if name in self.learning}
        frozen = {name: leaf for name, leaf in leaves.items() if name not in self.learning}
        return adapters.unflatten(learning), adapters.unflatten(frozen)

    def join(self, learning: Params, frozen: Params) -> Params:
        """Returns what `split` split; either may be incomplete."""
        return adapters.unflatten({**adapters.flatten(frozen), **adapters.flatten(learning)})

    def apply(self, gradients: Params, state: optax.OptState, learning: Params) -> tuple[Params, optax.OptState]:
        """Returns the parameters that learn after one step, and the optimizer's new state."""
        with jax.numpy_dtype_promotion("standard"):  # optax takes powers of floats to integers
            updates, state = self.transform.update(gradients, state, learning)
        return cast(Params, optax.apply_updates(learning, updates)), state

    def average(self, mean: Params, learning: Params) -> Params:
        """Returns the running mean after one more step: ema * mean + (1 - ema) * learning."""
        keep = self.config.ema
        return jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, mean, learning)

    def learning_rate(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """Returns the learning rate of a step, counted from 0."""
        with jax.numpy_dtype_promotion("standard"):
            return jnp.asarray(self.schedule(step))


def build(config: TrainConfig, base: Any) -> Optimizer:
    """Builds the optimizer for a model whose parameters have the shapes `base`.

    Raises:
      UserError: `optimizer.trainable` or `optimizer.decayed` doesn't cover every parameter or has a rule without one;
        adapters have nothing to adapt.
    """
    adapters.check(config.lora, base)
    params = jax.eval_shape(lambda base: adapters.start(config.lora, base, jax.random.key(0)), base)
    learning = _learning(config, params)
    decayed = apply_rules("optimizer.decayed", config.optimizer.decayed, params)
    schedule = make_schedule(config.optimizer.learning_rate, config.schedule, config.total_steps)
    kept = adapters.unflatten({name: leaf for name, leaf in adapters.flatten(decayed).items() if name in learning})
    method = METHODS[config.optimizer.method](config.optimizer, schedule, kept)
    return Optimizer(_clipped(method, config.optimizer.clip_norm), schedule, config.optimizer, config.lora, learning)


def check_precision(optimizer: Optimizer, params: Any) -> None:
    """Raises UserError where a parameter would learn in bfloat16.

    At a learning rate of 1e-5 a step of Adam is rounded away in all but some 6 % of such weights.
    """
    shapes = adapters.flatten(params)
    for name in sorted(optimizer.learning):
        if shapes[name].dtype == jnp.bfloat16:
            raise UserError(
                f"{name} would learn in bfloat16, which rounds most updates away; set model.parameter_dtype='float32' "
                "(model.compute_dtype='bfloat16' keeps the speed), or learn adapters: lora.language.rank=8"
            )


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


def _learning(config: TrainConfig, params: Any) -> frozenset[str]:
    """The names of the parameters that learn."""
    if config.lora.active:
        rules = [(f".*({adapters.A}|{adapters.B})", True), *((also, True) for also in config.lora.also), (".*", False)]
        values = apply_rules("lora.also", rules, params)
    else:
        values = apply_rules("optimizer.trainable", trainable_rules(config), params)
    learning = frozenset(name for name, value in adapters.flatten(values).items() if value is True)
    if not learning:
        raise UserError("optimizer.trainable freezes every parameter; leave some that learn")
    return learning


def _adamw(config: OptimizerConfig, schedule: optax.Schedule, decayed: PyTree[bool]) -> optax.GradientTransformation:
    moments = optax.scale_by_adam(config.beta1, config.beta2, mu_dtype=config.moment_dtype)
    return _decoupled(moments, config, schedule, decayed)


def _adafactor(
    config: OptimizerConfig, schedule: optax.Schedule, decayed: PyTree[bool]
) -> optax.GradientTransformation:
    """Factored second moments (https://arxiv.org/abs/1804.04235), without its step sizes relative to the weights'."""
    moments = [optax.scale_by_factored_rms(), optax.clip_by_block_rms(1.0)]
    return _decoupled(optax.chain(*moments), config, schedule, decayed)


def _sgd(config: OptimizerConfig, schedule: optax.Schedule, decayed: PyTree[bool]) -> optax.GradientTransformation:
    momentum = optax.trace(config.beta1, accumulator_dtype=config.moment_dtype)
    return _decoupled(momentum, config, schedule, decayed)


def _decoupled(
    direction: optax.GradientTransformation, config: OptimizerConfig, schedule: optax.Schedule, decayed: PyTree[bool]
) -> optax.GradientTransformation:
    decay = optax.add_decayed_weights(config.weight_decay, mask=lambda _: decayed)
    return optax.chain(direction, decay, optax.scale_by_learning_rate(schedule))


Method = Callable[[OptimizerConfig, optax.Schedule, PyTree[bool]], optax.GradientTransformation]
METHODS: dict[str, Method] = {"adamw": _adamw, "muon": muon.build, "adafactor": _adafactor, "sgd": _sgd}


def _clipped(method: optax.GradientTransformation, norm: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(norm), method) if norm else method
