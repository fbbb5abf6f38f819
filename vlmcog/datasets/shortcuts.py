"""How far simple cues alone solve a set: what a model has to beat before it can be said to see physics."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from vlmcog.datasets.features import Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError

PIXELS = 32
STRENGTHS = (1e-4, 1e-3, 1e-2)  # of the data against the L2 penalty, for cues with many numbers
TOLERANCE = 1e-3  # tighter ones take minutes and change no accuracy
HELD_OUT = 5  # every fifth training trial chooses among the strengths


@dataclasses.dataclass(frozen=True, eq=False)
class Shortcut:
    """Logistic regression on one cue: P(option 1) of each test trial, and whether its answer is right."""

    name: str
    correct: Bool[np.ndarray, " n"]
    probability: Float[np.ndarray, " n"]


def shortcut_baselines(train: TrialSource, test: TrialSource) -> list[Shortcut]:
    """Fits a logistic regression to each cue of the training trials and answers the test trials.

    The cues: the number of blocks and the height; the offset of the top block (where the scenes have one); the pixels
    at 32 px. Cues are standardised; the penalty on pixels is chosen on held-out training trials.

    Raises:
      UserError: the trials aren't yes/no questions, or the training trials have one answer only.
    """
    for source in (train, test):
        _check_binary(source)
    truths = _answers(train)
    if len(np.unique(truths)) < 2:
        raise UserError("every answer of the training trials is the same; shortcuts need both, so build a larger set")
    cues = {
        "number of blocks and height": (_size, (1.0,)),
        "top-block offset": (_top_offset, (1.0,)),
        f"pixels at {PIXELS} px": (_pixels, STRENGTHS),
    }
    baselines = []
    for name, (cue, strengths) in cues.items():
        seen, new = _table(cue, train), _table(cue, test)
        if np.isfinite(seen).all() and np.isfinite(new).all():
            probability = _fit(seen, truths, strengths).predict_proba(new)[:, 1]
            baselines.append(Shortcut(name, (probability > 0.5) == _answers(test), probability))
    return baselines


def _size(trial: Trial) -> list[float]:
    return [trial.n_blocks, trial.height]


def _top_offset(trial: Trial) -> list[float]:
    return [trial.top_offset]


def _pixels(trial: Trial) -> Float[np.ndarray, " p"]:
    small = Image.fromarray(trial.image).resize((PIXELS, PIXELS), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255


def _table(cue: Callable[[Trial], Any], source: TrialSource) -> Float[np.ndarray, "n c"]:
    return np.stack([np.asarray(cue(trial), np.float32) for trial in source])


def _answers(source: TrialSource) -> np.ndarray:
    return np.array([trial.answer for trial in source])


def _fit(cues: np.ndarray, truths: np.ndarray, strengths: tuple[float, ...]):
    """Returns the regression whose strength does best on held-out trials, fitted to all of them."""
    if len(strengths) == 1:
        return _regression(strengths[0]).fit(cues, truths)
    held_out = np.arange(len(truths)) % HELD_OUT == 0
    scores = [
        _regression(strength).fit(cues[~held_out], truths[~held_out]).score(cues[held_out], truths[held_out])
        for strength in strengths
    ]
    return _regression(strengths[int(np.argmax(scores))]).fit(cues, truths)


def _regression(strength: float):
    from sklearn.linear_model import LogisticRegression  # slow to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, tol=TOLERANCE, max_iter=2000))


def _check_binary(source: TrialSource) -> None:
    for trial in source:
        if len(trial.options) != 2 or trial.answer not in (0, 1):
            raise UserError(
                f"item {trial.item}: {trial.task} is no yes/no question with a truth; load a task that is one"
            )
