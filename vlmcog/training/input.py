"""From trials to batches: an endless, shuffled, augmented stream that can be taken up again anywhere; no jax."""

import functools

import grain
import numpy as np

from vlmcog.datasets.features import NO_ANSWER, Trial
from vlmcog.datasets.online import OnlineTrials
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError
from vlmcog.models.processor import Example, Processor
from vlmcog.training.augment import augment
from vlmcog.training.config import DataConfig

BATCHES_AHEAD = 4


def train_batches(
    source: TrialSource | OnlineTrials, processor: Processor, config: DataConfig, *, seed: int
) -> grain.DatasetIterator:
    """Returns an iterator over batches of stacked numpy arrays, prepared by threads ahead of their use.

    Every epoch has its own order. Order and augmentation depend only on the seed and on how many trials came before:
    `get_state` and `set_state` carry the stream over a restart.

    Raises:
      UserError: the source is shorter than a batch.
    """
    if len(source) < config.batch_size:
        raise UserError(
            f"data.batch_size={config.batch_size} is more than the {len(source)} trials of {config.dataset}; "
            "lower it or build a larger set"
        )
    prepare = functools.partial(_prepare, processor=processor, augmentations=config.augment)
    trials = grain.MapDataset.source(source).seed(seed).shuffle().random_map(prepare).repeat()
    options = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=BATCHES_AHEAD)
    return iter(trials.batch(config.batch_size).to_iter_dataset(options))


def _prepare(
    trial: Trial, rng: np.random.Generator, *, processor: Processor, augmentations: tuple[str, ...]
) -> Example:
    if trial.answer == NO_ANSWER:
        raise UserError(f"item {trial.item} ({trial.task}) has no ground truth to learn from; choose other data.tasks")
    image = augment(rng, trial.image, trial.question, augmentations)
    return processor.train_example(image, trial.question, trial.options[trial.answer], trial.options)
