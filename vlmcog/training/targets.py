"""What is to be learnt of a trial: its truth, or what people said."""

import numpy as np
from jaxtyping import Float

from vlmcog.datasets.features import NO_ANSWER, Trial
from vlmcog.errors import UserError
from vlmcog.training.config import DataConfig


def shares(trial: Trial, config: DataConfig) -> Float[np.ndarray, " o"]:
    """Returns how the target is spread over a trial's options: all on the truth, or as people's answers are.

    Answers that were excluded don't count.

    Raises:
      UserError: the trial has no truth, or nobody was asked.
    """
    if config.targets == "truth":
        if trial.answer == NO_ANSWER:
            raise UserError(
                f"item {trial.item} ({trial.task}) has no ground truth to learn from; choose other data.tasks, or "
                "data.targets='responses'"
            )
        return np.eye(len(trial.options), dtype=np.float32)[trial.answer]
    chosen = [int(judgment.response) for judgment in trial.judgments if not judgment.excluded]
    if not chosen:
        raise UserError(
            f"item {trial.item} ({trial.task}) has no answer of a person to learn from; use data.targets='truth'"
        )
    counts = np.bincount(chosen, minlength=len(trial.options)).astype(np.float32)
    return counts / counts.sum()


def has_target(trial: Trial, config: DataConfig) -> bool:
    """Whether `shares` is defined."""
    if config.targets == "truth":
        return trial.answer != NO_ANSWER
    return any(not judgment.excluded for judgment in trial.judgments)


def smoothed(target: Float[np.ndarray, " o"], smoothing: float) -> Float[np.ndarray, " o"]:
    """Returns the target with a share of it spread evenly over the options."""
    return target * np.float32(1 - smoothing) + np.float32(smoothing / len(target))
