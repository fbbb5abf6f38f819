"""How well the model does on held-out trials while it learns."""

from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from vlmcog.datasets.features import Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError
from vlmcog.models.boundary import Batch, Params, VisionLanguageModel
from vlmcog.models.processor import Processor
from vlmcog.training import targets
from vlmcog.training.config import TrainConfig
from vlmcog.training.input import soft_example
from vlmcog.training.sharding import put_batch

Validate = Callable[[Params], dict[str, float]]


def make_validate(model: VisionLanguageModel, source: TrialSource, mesh: Mesh, config: TrainConfig) -> Validate:
    """Returns a function from parameters to `validation_loss`, `validation_accuracy` and `validation_items`.

    The loss is that of training, in nats an answer token; the accuracy is the share of trials whose right option (or
    the one that most people chose, where they are what is learnt) has the highest log-probability. Both are over those
    of the first `eval_items` trials of the source that have a target.

    Raises:
      UserError: no trial has one.
    """
    trials = [source[index] for index in range(min(config.eval_items, len(source)))]
    trials = [trial for trial in trials if targets.has_target(trial, config.data)]
    if not trials:
        missing = "a ground truth" if config.data.targets == "truth" else "people's answers"
        raise UserError(f"no validation trial has {missing}; choose another dataset or set eval_every=0")

    @jax.jit
    def measure(params: Params, batch: Batch) -> dict[str, Array]:
        return _measure(model.score(params, batch), batch)

    def validate(params: Params) -> dict[str, float]:
        parts = [measure(params, put_batch(batch, mesh)) for batch in _batches(trials, model.processor, config)]
        sums = jax.tree.map(lambda *values: float(np.sum(values)), *jax.device_get(parts))
        return {
            "validation_loss": -sums["log_probability"] / sums["tokens"],
            "validation_accuracy": sums["correct"] / sums["items"],
            "validation_items": int(sums["items"]),
        }

    return validate


def _measure(scores: Float[Array, "b o"], batch: Batch) -> dict[str, Array]:
    """Sums over the batch's real items."""
    target = jnp.where(batch["real"][:, None], batch["target"], jnp.zeros_like(batch["target"]))
    right = scores.argmax(-1) == target.argmax(-1)
    return {
        "log_probability": jnp.sum(target * scores, where=target > 0),
        "tokens": jnp.sum(target * batch["options_mask"].sum(-1).astype(target.dtype)),
        "correct": (batch["real"] & right).sum(),
        "items": batch["real"].sum(),
    }


def _batches(trials: Sequence[Trial], processor: Processor, config: TrainConfig) -> Iterator[dict[str, np.ndarray]]:
    """Batches of one shape: options are padded to the most of any trial, the last batch with unreal trials."""
    most, size = max(len(trial.options) for trial in trials), config.data.batch_size
    for start in range(0, len(trials), size):
        chunk = trials[start : start + size]
        padded = [*chunk, *[chunk[0]] * (size - len(chunk))]
        examples = [soft_example(t, targets.shares(t, config.data), processor, most) for t in padded]
        batch = {key: np.stack([example[key] for example in examples]) for key in examples[0]}
        yield batch | {"real": np.arange(size) < len(chunk)}
