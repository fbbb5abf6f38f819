"""Asking an observer about many trials: in threads, for simulations run outside of Python's lock."""

import concurrent.futures
import os
from collections.abc import Callable, Sequence

from vlmcog.datasets.features import Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.humans.heuristics import Probabilities, takes_long
from vlmcog.progress import Progress

Observer = Callable[[Trial], Probabilities | None]


def ask(observers: Sequence[Observer], source: TrialSource) -> list[list[Probabilities | None]]:
    """Returns each observer's answers to all trials, in their order, None where it has none.

    Where scenes have to be simulated, which takes long, progress is shown.
    """
    description = "simulating" if any(map(takes_long, source)) else ""
    with (
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads,
        Progress(len(source), description, unit="scene") as progress,
    ):
        answers = []
        for given in threads.map(lambda trial: [observe(trial) for observe in observers], source):
            answers.append(given)
            progress.advance()
    return [list(own) for own in zip(*answers, strict=True)]
