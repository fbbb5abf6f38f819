"""How far simple cues alone solve a set: what a model has to beat before it can be said to see physics."""

import dataclasses
import io
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from vlmcog.datasets import chunks, registry
from vlmcog.datasets.features import Trial
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.datasets.trials import item_name, trials
from vlmcog.errors import UserError
from vlmcog.statistics.intervals import Interval, wilson

PIXELS = 32
STRENGTHS = (1e-4, 1e-3, 1e-2)  # of the data against the L2 penalty, for cues with many numbers
TOLERANCE = 1e-3  # tighter ones take minutes and change no accuracy
HELD_OUT = 5  # every fifth training trial chooses among the strengths

_LEVELS = 4  # of each colour channel in the histogram
_FILTERS, _PATCH, _STRIDE, _CELLS = 64, 5, 2, 4
_FEATURE_SIDE = _PATCH + _STRIDE * (4 * _CELLS - 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Shortcut:
    """Logistic regression on one cue: P(option 1) of each test trial of a task, and whether its answer is right."""

    name: str
    correct: Bool[np.ndarray, " n"]
    probability: Float[np.ndarray, " n"]
    task: str = ""

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.correct.mean())

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of the accuracy."""
        return wilson(int(self.correct.sum()), len(self.correct))


def shortcut_baselines(train: Iterable[Trial], test: Iterable[Trial]) -> list[Shortcut]:
    """Fits a logistic regression to each cue of the training trials and answers the test trials, task by task.

    The cues: the number of blocks and the height; the lean, as the offset of the top block (where the scenes have
    one); the picture's colours, as a histogram that knows no places; the pixels at 32 px; the responses of random
    filters that never learnt anything (Jarrett et al. 2009). Cues are standardised; the penalty on those with many
    numbers is chosen on held-out training trials.

    Raises:
      UserError: the trials aren't yes/no questions, or the training trials have one answer only.
    """
    # By name: which trials choose the penalty must not hang on the order in which they lie.
    seen, new = _tables(sorted(train, key=lambda trial: trial.item)), _tables(test)
    return [baseline for task, table in new.items() for baseline in _baselines(task, seen[task], table)]


def check(spec: DatasetSpec, baselines: Sequence[Shortcut], limit: int) -> None:
    """Raises UserError where a shortcut answers more than `limit` per cent of the test trials right."""
    worst = max(baselines, key=lambda baseline: baseline.accuracy)
    if 100 * worst.correct.sum() > limit * len(worst.correct):  # whole numbers: at the limit is not over it
        interval = worst.interval
        raise UserError(
            f"{spec}: shortcut {worst.name!r} answers {worst.accuracy:.3f} [{interval.low:.3f}, {interval.high:.3f}] "
            f"of the test trials of {worst.task} right, over the limit of {limit} %; raise that or choose another set"
        )


def binary_tasks(spec: DatasetSpec) -> tuple[str, ...]:
    """Returns the yes/no tasks of a set made from scenes.

    Raises:
      UserError: a set with no train split to fit shortcuts to, or without such a task.
    """
    if not spec.is_synthetic:
        raise UserError(f"{spec} has no train split to fit shortcuts to; name a synthetic set")
    names = tuple(task.name for task in _tasks(spec) if task.answers.kind == "binary")
    if not names:
        raise UserError(f"{spec} asks no yes/no question, which shortcuts need; name another set")
    return names


def trials_of_chunks(spec: DatasetSpec, split: str, chunk_dir: pathlib.Path) -> Iterator[Trial]:
    """Yields the yes/no trials of a split that isn't a dataset yet."""
    tasks = [task for task in _tasks(spec) if task.answers.kind == "binary"]
    for chunk in chunks.chunks(spec, split):
        for index, item in enumerate(chunks.read(chunk_dir / chunk.file_name), chunk.start):
            image = np.asarray(Image.open(io.BytesIO(item.png)))
            yield from trials(spec, item_name(split, index), item.labelled, image, tasks)


def _tasks(spec: DatasetSpec) -> Sequence[Any]:
    return getattr(registry.builder_class(spec.name), "TASKS")  # noqa: B009


def _size(trial: Trial) -> list[float]:
    return [trial.n_blocks, trial.height]


def _top_offset(trial: Trial) -> list[float]:
    return [trial.top_offset]


def _colours(trial: Trial) -> Float[np.ndarray, " c"]:
    levels = trial.image.reshape(-1, 3) // (256 // _LEVELS)
    index = levels @ np.array([_LEVELS**2, _LEVELS, 1])
    return np.sqrt(np.bincount(index, minlength=_LEVELS**3) / len(index))


def _pixels(trial: Trial) -> Float[np.ndarray, " p"]:
    small = Image.fromarray(trial.image).resize((PIXELS, PIXELS), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255


def _random_features(trial: Trial) -> Float[np.ndarray, " f"]:
    """Rectified responses of random filters, averaged over the cells of a grid."""
    side = (_FEATURE_SIDE, _FEATURE_SIDE)
    image = np.asarray(Image.fromarray(trial.image).resize(side, Image.Resampling.BOX), np.float32) / 255 - 0.5
    windows = np.lib.stride_tricks.sliding_window_view(image, (_PATCH, _PATCH), (0, 1))[::_STRIDE, ::_STRIDE]
    responses = np.maximum(windows.reshape(*windows.shape[:2], -1) @ _RANDOM_FILTERS, 0)
    cells = responses.reshape(_CELLS, len(responses) // _CELLS, _CELLS, -1, _FILTERS)
    return cells.mean((1, 3)).ravel()


def _random_filters() -> Float[np.ndarray, "p f"]:
    filters = np.random.default_rng(0).standard_normal((3 * _PATCH**2, _FILTERS)).astype(np.float32)
    return filters / np.linalg.norm(filters, axis=0)


_RANDOM_FILTERS = _random_filters()

CUES: dict[str, tuple[Callable[[Trial], Any], tuple[float, ...]]] = {
    "number of blocks and height": (_size, (1.0,)),
    "top-block offset": (_top_offset, (1.0,)),
    "colour histogram": (_colours, STRENGTHS),
    f"pixels at {PIXELS} px": (_pixels, STRENGTHS),
    "frozen random features": (_random_features, STRENGTHS),
}


@dataclasses.dataclass(frozen=True, eq=False)
class _Table:
    """Every cue of every trial of a task, and the answers."""

    cues: dict[str, Float[np.ndarray, "n c"]]
    answers: Int[np.ndarray, " n"]


def _tables(source: Iterable[Trial]) -> dict[str, _Table]:
    """The tables by task, in one pass: pictures needn't stay in memory."""
    rows: dict[str, list[tuple[dict[str, np.ndarray], int]]] = {}
    for trial in source:
        _check_binary(trial)
        cues = {name: np.asarray(cue(trial), np.float32) for name, (cue, _) in CUES.items()}
        rows.setdefault(trial.task, []).append((cues, trial.answer))
    return {
        task: _Table({name: np.stack([cues[name] for cues, _ in of]) for name in CUES}, np.array([a for _, a in of]))
        for task, of in sorted(rows.items())
    }


def _baselines(task: str, train: _Table, test: _Table) -> list[Shortcut]:
    if len(np.unique(train.answers)) < 2:
        raise UserError("every answer of the training trials is the same; shortcuts need both, so build a larger set")
    return [
        _baseline(task, name, train, test)
        for name in CUES
        if np.isfinite(train.cues[name]).all() and np.isfinite(test.cues[name]).all()
    ]


def _baseline(task: str, name: str, train: _Table, test: _Table) -> Shortcut:
    regression = _fit(train.cues[name], train.answers, CUES[name][1])
    probability = regression.predict_proba(test.cues[name])[:, 1]
    return Shortcut(name, (probability > 0.5) == test.answers, probability, task)


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


def _check_binary(trial: Trial) -> None:
    if len(trial.options) != 2 or trial.answer not in (0, 1):
        raise UserError(f"item {trial.item}: {trial.task} is no yes/no question with a truth; load a task that is one")
