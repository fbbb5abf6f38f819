"""Scores people and models on the release of Schulze Buschoff et al. (2025), whole or a sample, in one table.

    python scripts/release_table.py --release ../multimodal --out release_table.csv

For each question: how good people are and how much they agree, the ceilings that they set, and each released model's
accuracy (or mean absolute error) and signed root of Bayesian R2, beside the published value where the release has it.
The same statistics in the place of a model are `people`: the mean of all, or of yes and no their number, each person
inside it. The table goes to `--out` as CSV and to standard output as Markdown. The fits take minutes; `--draws 0`
leaves them out.
"""

import argparse
import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from vlmcog import command_line
from vlmcog.errors import UserError
from vlmcog.evaluation import released_answers
from vlmcog.evaluation.released_answers import MODELS, PEOPLE, SOURCES
from vlmcog.files import atomic_path
from vlmcog.humans import agents, jenga, lerer, michotte
from vlmcog.humans.release import Release
from vlmcog.progress import Progress
from vlmcog.statistics import agreement, ceilings, error_consistency, mixed, pairs
from vlmcog.statistics.intervals import RESAMPLES, UNDEFINED, Interval, bootstrap, bootstrap_people_and_items, wilson
from vlmcog.tasks.registry import get_task

READERS: tuple[Callable[[pathlib.Path], Release], ...] = (lerer.read, jenga.read, michotte.read, agents.read)


@dataclasses.dataclass(frozen=True)
class Row:
    """One number of the table.

    Attributes:
      task: the question's key in the task registry.
      who: a model, or `people`.
      metric: what was measured.
      value: the number; NaN where there is none.
      low: the lower end of its 95 % interval.
      high: the upper end.
      n: how many items it is over, or for a fit how many answers of people.
      note: why there is no number, or what to know of it.
      published: the value that the release states.
    """

    task: str
    who: str
    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    note: str = ""
    published: float = math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """One question with all answers to it: arrays over its items.

    Attributes:
      task: the question's key.
      truths: the right answers; NaN where there is none.
      people: people x items, NaN where there is no answer.
      models: each model's answers, NaN where it gave none.
      published: the published scores.
    """

    task: str
    truths: np.ndarray
    people: np.ndarray
    models: dict[str, np.ndarray]
    published: dict[str, float]

    @property
    def kind(self) -> str:
        """The kind of answers."""
        return get_task(self.task).answers.kind


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=pathlib.Path, required=True, metavar="PATH", help="a checkout of the release")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE.csv", help="where the table goes; nowhere by default")
    parser.add_argument("--resamples", type=int, default=2000, metavar="N", help="of each bootstrap; 2000 by default")
    parser.add_argument(
        "--draws", type=int, default=mixed.SAMPLES, metavar="N", help="of each chain of a fit; 0: no fits"
    )
    args = parser.parse_args(argv)
    if args.draws < 0 or args.resamples < 1:
        raise UserError(f"--draws {args.draws} and --resamples {args.resamples}: from 0, and from 1")
    table = release_table(args.release, draws=args.draws, resamples=args.resamples)
    if args.out:
        with atomic_path(args.out) as temporary:
            table.to_csv(temporary, index=False)
    print(markdown(table))


def release_table(release: pathlib.Path, *, draws: int = mixed.SAMPLES, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Returns a row for each question, model or people, and metric."""
    everything = [asked for read in READERS for asked in questions(release, read(release))]
    rows = [row for asked in everything for row in (*people_rows(asked, resamples), *model_rows(asked))]
    if draws:
        fits = [(asked, who) for asked in everything if asked.kind != "count" for who in (*MODELS, "people")]
        with Progress(len(fits), "fits", unit="fit") as progress:
            for asked, who in fits:
                rows.append(fit_row(asked, who, draws))
                progress.advance()
    order = {task: k for k, task in enumerate(SOURCES)}
    return pd.DataFrame(rows).sort_values("task", key=lambda tasks: tasks.map(order), kind="stable", ignore_index=True)


def questions(path: pathlib.Path, release: Release) -> Iterator[Asked]:
    """Yields each question of a release with the models' answers to the items that people or truths are known of."""
    for task in dict.fromkeys(stimulus.task.name for stimulus in release.stimuli):
        truths = {one.item: one.answer for one in release.stimuli if one.task.name == task}
        table = release.judgments[release.judgments["task"] == task]
        matrix = table.pivot(index="participant", columns="item", values="response").reindex(columns=list(truths))
        answers = released_answers.read(path, task)
        missing = [item for item in truths if item not in answers.index]
        if missing:
            raise UserError(f"{path / SOURCES[task].file}: no answer to {task} about {missing[0]}; restore the file")
        yield Asked(
            task,
            np.array([math.nan if truth is None else truth for truth in truths.values()], float),
            matrix.to_numpy(float),
            {model: answers.loc[list(truths), model].to_numpy(float) for model in MODELS},
            released_answers.published(path, task),
        )


def people_rows(asked: Asked, resamples: int) -> Iterator[Row]:
    """Yields what people reach, how they agree, and the ceilings."""
    row = functools.partial(_row, asked.task, "people", n=int((~np.isnan(asked.people)).any(0).sum()))
    for metric, statistic, around, samples in _statistics(asked):
        interval = around(*samples, resamples=resamples) if around else UNDEFINED
        yield row(metric, statistic(*samples), interval)


def _statistics(asked: Asked) -> Iterator[tuple[str, Callable[..., float], Callable[..., Interval] | None, tuple]]:
    """What is said of people: its name, the statistic, that of its interval, and what both are of."""
    known = ~np.isnan(asked.truths)
    judged = asked.people[:, known], asked.truths[known]
    people = (asked.people,)
    if asked.kind == "binary":
        correct = (error_consistency.correctness(*judged),)
        yield "accuracy", ceilings.individual_accuracy, ceilings.individual_accuracy_interval, judged
        yield "majority accuracy", ceilings.majority_accuracy, ceilings.majority_accuracy_interval, judged
        yield "mean pairwise kappa", pairs.mean_kappa, pairs.mean_kappa_interval, people
        around = error_consistency.mean_of_pairs_interval
        yield "mean error consistency", error_consistency.mean_of_pairs, around, correct
    if asked.kind == "count":
        yield "MAE to truth", _distance, functools.partial(bootstrap_people_and_items, _distance), judged
        around = functools.partial(bootstrap_people_and_items, _distance_from_mean)
        yield "MAE to people", _distance_from_mean, around, people
    yield "split-half reliability", ceilings.split_half_reliability, ceilings.split_half_interval, people
    yield "ceiling: one person left out", ceilings.leave_one_out, ceilings.leave_one_out_interval, people
    yield "ceiling: one person inside the mean", ceilings.in_sample, None, people


def model_rows(asked: Asked) -> Iterator[Row]:
    """Yields each model's accuracy, or its mean absolute error to the truth and to people's means."""
    means = ceilings.item_means(asked.people)
    for model, answers in asked.models.items():
        if asked.kind == "binary":
            yield _accuracy(asked, model, answers)
        elif asked.kind == "count":
            yield _error(asked, model, "MAE to truth", answers, asked.truths)
            yield _error(asked, model, "MAE to people", answers, means)


def fit_row(asked: Asked, who: str, draws: int) -> Row:
    """Returns a model's signed root of R2, or that of people's mean (of yes and no: their number) in its place."""
    fit, answers = _fit(asked, who, draws)
    note = "; ".join(filter(None, (_undefined(fit, answers), _failed(fit), _unanswered(answers, asked.people))))
    row = _row(asked.task, who, "signed root of R2", fit.value, fit.interval, n=fit.n)
    return dataclasses.replace(row, note=note, published=asked.published[PEOPLE if who == "people" else who])


def markdown(table: pd.DataFrame) -> str:
    """Returns the table in Markdown; a row's note stands in the place of a value that is not there."""
    lines = ["| question | who | metric | value [95 %] | n | published | note |", "|---|---|---|---|---|---|---|"]
    for row in (Row(**fields) for fields in table.to_dict("records")):
        interval = "" if math.isnan(row.low) else f" [{row.low:.3f}, {row.high:.3f}]"
        value = "NA" if math.isnan(row.value) else f"{row.value:.3f}{interval}"
        published = "" if math.isnan(row.published) else f"{row.published:.3f}"
        lines.append(f"| {row.task} | {row.who} | {row.metric} | {value} | {row.n} | {published} | {row.note} |")
    return "\n".join(lines)


def _row(task: str, who: str, metric: str, value: float, interval: Interval = UNDEFINED, *, n: int) -> Row:
    return Row(task, who, metric, value, interval.low, interval.high, n)


def _accuracy(asked: Asked, model: str, answers: np.ndarray) -> Row:
    """A picture that a model left unanswered is not right."""
    known = ~np.isnan(asked.truths)
    right, n = int((answers == asked.truths)[known].sum()), int(known.sum())
    none = int(np.isnan(answers[known]).sum())
    note = f"{none} unanswered, counted as wrong" if none else ""
    return dataclasses.replace(_row(asked.task, model, "accuracy", right / n, wilson(right, n), n=n), note=note)


def _error(asked: Asked, model: str, metric: str, answers: np.ndarray, target: np.ndarray) -> Row:
    known = ~np.isnan(target) & ~np.isnan(answers)
    pair = answers[known], target[known]
    value = float(agreement.mean_absolute_error(*pair))
    return _row(asked.task, model, metric, value, bootstrap(agreement.mean_absolute_error, *pair), n=int(known.sum()))


def _distance(responses: np.ndarray, target: np.ndarray) -> float:
    """The mean over people of their mean absolute distance from `target`."""
    distances = np.abs(responses - target)
    answered = ~np.isnan(distances)
    means = np.where(answered, distances, 0.0).sum(1) / np.maximum(answered.sum(1), 1)
    return float(means[answered.any(1)].mean()) if answered.any() else math.nan


def _distance_from_mean(responses: np.ndarray) -> float:
    return _distance(responses, ceilings.item_means(responses))


def _fit(asked: Asked, who: str, draws: int) -> tuple[mixed.Fit, np.ndarray]:
    """Returns a fit and the answers that it is of."""
    fit = functools.partial(mixed.signed_root_r2, asked.people, samples=draws)
    if who != "people":
        answers = asked.models[who]
        return fit(answers, family="logistic" if asked.kind == "binary" else "gaussian"), answers
    if asked.kind == "binary":
        answers = np.nansum(asked.people, axis=0)
        return fit(answers, family="binomial", trials=len(asked.people)), answers
    answers = ceilings.item_means(asked.people)
    return fit(answers, family="gaussian"), answers


def _undefined(fit: mixed.Fit, answers: np.ndarray) -> str:
    given = np.unique(answers[~np.isnan(answers)])
    if not fit.undefined or not len(given):  # what is unanswered is said elsewhere
        return ""
    return f"{fit.undefined}: always answers {given[0]:g}" if len(given) == 1 else fit.undefined


def _failed(fit: mixed.Fit) -> str:
    return f"fit failed: {fit.failed}" if fit.failed else ""


def _unanswered(answers: np.ndarray, people: np.ndarray) -> str:
    judged = (~np.isnan(people)).any(0)
    none = int(np.isnan(answers[judged]).sum())
    return f"{none} of {judged.sum()} pictures unanswered" if none else ""


if __name__ == "__main__":
    command_line.run(main)
