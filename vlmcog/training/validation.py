"""How well the model does on held-out trials while it learns."""

from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from vlmcog.datasets.features import NO_ANSWER, Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError
from vlmcog.models.boundary import Batch, Params, VisionLanguageModel
from vlmcog.models.processor import Example, Processor
from vlmcog.training.config import TrainConfig
from vlmcog.training.sharding import put_batch

Validate = Callable[[Params], dict[str, float]]


def make_validate(model: VisionLanguageModel, source: TrialSource, mesh: Mesh, config: TrainConfig) -> Validate:
    """Returns a function from parameters to `validation_loss`, `validation_accuracy` and `validation_items`.

    The loss is that of training, in nats an answer token; the accuracy is the share of trials whose right option has
    the highest log-probability. Both are over the first `eval_items` trials of the source that have a ground truth.

    Raises:
      UserError: no trial has a ground truth.
    """
    trials = [source[index] for index in range(min(config.eval_items, len(source)))]
    trials = [trial for trial in trials if trial.answer != NO_ANSWER]
    if not trials:
        raise UserError("no validation trial has a ground truth; choose another dataset or set eval_every=0")

    @jax.jit
    def measure(params: Params, batch: Batch) -> dict[str, Array]:
        return _measure(model.score(params, batch), batch)

    def validate(params: Params) -> dict[str, float]:
        batches = _batches(trials, model.processor, config.data.batch_size)
        parts = [measure(params, put_batch(batch, mesh)) for batch in batches]
        sums = jax.tree.map(lambda *values: float(np.sum(values)), *jax.device_get(parts))
        return {
            "validation_loss": -sums["log_probability"] / sums["tokens"],
            "validation_accuracy": sums["correct"] / sums["items"],
            "validation_items": int(sums["items"]),
        }

    return validate


def _measure(scores: Float[Array, "b o"], batch: Batch) -> dict[str, Array]:
    """Sums over the batch's real items."""
    answer, real = batch["answer"], batch["real"]
    right = jnp.take_along_axis(scores, answer[:, None], axis=1)[:, 0]
    tokens = jnp.take_along_axis(batch["options_mask"].sum(-1), answer[:, None], axis=1)[:, 0]
    return {
        "log_probability": jnp.where(real, right, 0.0).sum(),
        "tokens": jnp.where(real, tokens, 0).sum(),
        "correct": (real & (scores.argmax(-1) == answer)).sum(),
        "items": real.sum(),
    }


def _batches(trials: Sequence[Trial], processor: Processor, size: int) -> Iterator[dict[str, np.ndarray]]:
    """Batches of one shape: options are padded to the most of any trial, the last batch with unreal trials."""
    most = max(len(trial.options) for trial in trials)
    for start in range(0, len(trials), size):
        chunk = trials[start : start + size]
        padded = [*chunk, *[chunk[0]] * (size - len(chunk))]
        examples = [_pad_options(processor.score_example(t.image, t.question, t.options), most) for t in padded]
        batch = {key: np.stack([example[key] for example in examples]) for key in examples[0]}
        answers = np.array([trial.answer for trial in padded], np.int32)
        yield batch | {"answer": answers, "real": np.arange(size) < len(chunk)}


def _pad_options(example: Example, most: int) -> Example:
    missing = [(0, most - len(example["options"])), (0, 0)]
    return example | {key: np.pad(example[key], missing) for key in ("options", "options_mask")}
