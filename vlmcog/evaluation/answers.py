"""What a model answers: the log-probability of every option, turned into a graded P(option)."""

import functools
import json
from collections.abc import Callable, Sequence

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy import special

from vlmcog.datasets.features import Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError
from vlmcog.evaluation import batches
from vlmcog.models.boundary import Params, VisionLanguageModel
from vlmcog.progress import Progress

COLUMNS = (
    "run",
    "model",
    "evaluated_on",
    "task",
    "item",
    "options",
    "probabilities",
    "response",
    "log_probability",
    "answer",
    "text",
)


def answer(
    model: VisionLanguageModel,
    params: Params,
    source: TrialSource,
    *,
    batch_size: int,
    run: str,
    evaluated_on: str,
) -> pd.DataFrame:
    """Puts every trial to the model and returns its answers, a row a trial in the order of the source.

    Columns: `options` and `probabilities` are JSON lists; a probability is P(option | image, question), renormalised
    over the options. `response` is the index of the likeliest option and `log_probability` that option's before
    renormalising: far below 0 where the model would rather say something else. `answer` is the index of the truth, or
    -1. `text` is for replies in free text; scored answers leave it empty. The batch size changes speed alone.

    Raises:
      UserError: the model's log-probabilities are not numbers.
    """
    score, most = _compiled(model), max(len(options) for _, options in source.asked())
    rows = []
    with Progress(len(source), f"answering {evaluated_on}", unit="trial") as bar:
        for trials in batches.chunks(source, batch_size):
            scores = np.asarray(score(params, _batch(model, trials, batch_size, most)))
            rows += [_row(trial, row) for trial, row in zip(trials, scores, strict=False)]
            bar.advance(len(trials))
    answers = pd.DataFrame(rows).assign(run=run, model=model.name, evaluated_on=evaluated_on, text="")
    return answers.loc[:, list(COLUMNS)]


@functools.lru_cache(maxsize=1)
def _compiled(model: VisionLanguageModel) -> Callable[..., Float[Array, "b o"]]:
    """One compilation for all sets; a fresh `jit` of a bound method would compile for each."""
    return jax.jit(model.score)


def _batch(model: VisionLanguageModel, trials: Sequence[Trial], size: int, most: int) -> dict[str, np.ndarray]:
    """Stacks the trials' examples, the last repeated up to `size` and options padded to `most`: always one shape."""
    given = ((trial.image, trial.question, trial.options) for trial in batches.filled(trials, size))
    examples = [model.processor.score_example(*of) for of in given]
    for example in examples:
        missing = [(0, most - len(example["options"])), (0, 0)]
        example |= {key: np.pad(example[key], missing) for key in ("options", "options_mask")}
    return batches.stack(examples)


def _row(trial: Trial, scores: Float[np.ndarray, " o"]) -> dict[str, object]:
    scores = scores[: len(trial.options)].astype(float)
    if not np.isfinite(scores).all():
        raise UserError(
            f"the model's log-probabilities for item {trial.item!r} are {scores.tolist()}; "
            "its checkpoint has diverged: train again with a lower optimizer.learning_rate"
        )
    response = int(scores.argmax())
    return {
        "task": trial.task,
        "item": trial.item,
        "options": json.dumps(list(trial.options), ensure_ascii=False),
        "probabilities": json.dumps(special.softmax(scores).tolist()),
        "response": response,
        "log_probability": float(scores[response]),
        "answer": trial.answer,
    }
