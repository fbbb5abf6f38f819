"""The steps of a run, and what is done between them."""

from collections.abc import Callable
from typing import Any, Protocol

from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.distributed import is_first
from vlmcog.errors import Stopped
from vlmcog.memory import give_back_freed
from vlmcog.models.boundary import Batch
from vlmcog.progress import Progress
from vlmcog.training.config import TrainConfig
from vlmcog.training.flops import model_flops
from vlmcog.training.metrics import MetricsWriter, RunningMetrics
from vlmcog.training.optimizer import Optimizer
from vlmcog.training.step import TrainState, TrainStep, evaluated, saved
from vlmcog.training.stop import is_agreed, terminations
from vlmcog.training.validation import Validate
from vlmcog.training.watch import Watch


class Batches(Protocol):
    """An endless stream of batches that says where it is: grain's, or one that draws on the devices."""

    def __next__(self) -> Batch:
        """The next batch."""
        ...

    def get_state(self) -> dict[str, Any]:
        """Where the stream is."""
        ...


def run(
    config: TrainConfig,
    state: TrainState,
    *,
    optimizer: Optimizer,
    train_step: TrainStep,
    batches: Batches,
    put: Callable[[Batch], Batch],
    validate: Validate | None,
    checkpoints: Checkpoints,
    writer: MetricsWriter,
    watch: Watch,
) -> TrainState:
    """Trains from `state` to the last step of `config`.

    The host runs one step ahead of the devices, so that they never wait for a batch, a row or a checkpoint. Rows are
    written before a checkpoint of the same step: those of a checkpoint are always whole.

    Raises:
      Stopped: SIGTERM came; there is a checkpoint of the step that was under way.
      UserError: the loss or the gradient is not finite; the batch is kept.
    """
    first = int(state.step) + 1
    running = RunningMetrics(config.data.batch_size)
    with (
        Progress(config.total_steps, "training" * is_first(), unit="step", initial=first - 1) as bar,
        terminations() as asked,
        watch.explaining(),
    ):
        for step in range(first, config.total_steps + 1):
            with running.waiting():
                batch = next(batches)
            batch = put(watch.take(step, batch))
            if step == first:
                traced = train_step.trace(state, batch)
                running.flops, train_step = model_flops(traced.jaxpr), traced.lower().compile()
                give_back_freed()
            state, metrics = train_step(state, batch)
            running.add(step, metrics)
            bar.advance(note=running.note)
            stops = is_agreed(asked, meeting=_due(step, config.log_every, config)) and step < config.total_steps
            evaluates = _due(step, config.eval_every, config)
            saves = stops or _due(step, config.save_every, config) or (evaluates and config.keep_best)
            if evaluates or saves or _due(step, config.log_every, config):
                writer.write(step, running.summarise())
            held_out = validate(evaluated(optimizer, state)) if validate and evaluates else None
            if held_out:
                writer.write(step, held_out)
            if saves:
                checkpoints.save(step, saved(optimizer, state), batches.get_state(), metrics=held_out)
            if stops:
                raise Stopped(f"saved step {step} of {config.total_steps}; the same command goes on from there")
            if evaluates or saves:
                running.restart_clock()
    return state


def _due(step: int, every: int, config: TrainConfig) -> bool:
    return every > 0 and (step % every == 0 or step == config.total_steps)
