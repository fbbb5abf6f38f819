"""From trials to batches: an endless, shuffled, augmented stream that can be taken up again anywhere; no jax."""

import dataclasses
import functools

import grain
import numpy as np

from vlmcog.datasets.features import Trial
from vlmcog.datasets.online import OnlineTrials
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError
from vlmcog.models.processor import Example, Processor
from vlmcog.training import targets
from vlmcog.training.augment import augment
from vlmcog.training.config import DataConfig

BATCHES_AHEAD = 4
ITEM = "item"  # in a batch, beside what the model takes: the items' names


def train_batches(
    source: TrialSource | OnlineTrials,
    processor: Processor,
    config: DataConfig,
    *,
    seed: int,
    share: tuple[int, int] = (0, 1),
) -> grain.DatasetIterator:
    """Returns an iterator over batches of stacked numpy arrays, prepared by threads ahead of their use.

    Every epoch has its own order. Order and augmentation depend only on the seed and on how many trials came before:
    `get_state` and `set_state` carry the stream over a restart, and over to another number of processes.

    Args:
      source: the trials.
      processor: the model's.
      config: the data's.
      seed: of order and augmentation.
      share: which part of every batch is wanted, and of how many equal ones.

    Raises:
      UserError: the source is shorter than a batch.
    """
    if len(source) < config.batch_size:
        raise UserError(
            f"data.batch_size={config.batch_size} is more than the {len(source)} trials of {config.dataset}; "
            "lower it or build a larger set"
        )
    most = max(len(options) for _, options in source.asked()) if config.soft else 0
    prepare = functools.partial(_prepare, processor=processor, config=config, most_options=most)
    trials = grain.MapDataset.source(source).seed(seed).shuffle().random_map(prepare).repeat()
    options = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=BATCHES_AHEAD)
    index, count = share
    return iter(trials.batch(config.batch_size // count)[index::count].to_iter_dataset(options))


def soft_example(trial: Trial, target: np.ndarray, processor: Processor, most_options: int) -> Example:
    """An example with `options`, `options_mask` and `target`, padded to `most_options` options."""
    example = processor.score_example(trial.image, trial.question, trial.options)
    missing = most_options - len(target)
    padded = {key: np.pad(example[key], [(0, missing), (0, 0)]) for key in ("options", "options_mask")}
    return example | padded | {"target": np.pad(target, (0, missing))}


def _prepare(
    trial: Trial, rng: np.random.Generator, *, processor: Processor, config: DataConfig, most_options: int
) -> Example:
    return _learnt(trial, rng, processor, config, most_options) | {ITEM: np.array(trial.item, "U80")}


def _learnt(
    trial: Trial, rng: np.random.Generator, processor: Processor, config: DataConfig, most_options: int
) -> Example:
    target = targets.shares(trial, config)
    image = augment(rng, trial.image, trial.question, config.augment)
    if config.soft:
        if config.targets == "responses":
            target = np.eye(len(target), dtype=np.float32)[rng.choice(len(target), p=target)]
        target = targets.smoothed(target, config.label_smoothing)
        return soft_example(dataclasses.replace(trial, image=image), target, processor, most_options)
    option = trial.answer if config.targets == "truth" else rng.choice(len(target), p=target)
    return processor.train_example(image, trial.question, trial.options[option], trial.options)
