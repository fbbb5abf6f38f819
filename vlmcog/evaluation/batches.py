"""Trials in batches of one shape, so that a model is compiled once."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vlmcog.datasets.features import Trial
from vlmcog.datasets.read import TrialSource


def chunks(source: TrialSource, size: int) -> Iterator[list[Trial]]:
    """Yields the trials in order, `size` at a time; the last may be fewer."""
    for start in range(0, len(source), size):
        yield [source[index] for index in range(start, min(start + size, len(source)))]


def filled(trials: Sequence[Trial], size: int) -> list[Trial]:
    """The trials, the last repeated up to `size`."""
    return [*trials, *[trials[-1]] * (size - len(trials))]


def stack(examples: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Examples as one batch."""
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}
