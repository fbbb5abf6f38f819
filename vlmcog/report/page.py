"""The page: content, figures and words poured into the template. It stands alone and loads nothing."""

import dataclasses
import json
import math
import os
import pathlib

from vlmcog import files
from vlmcog.evaluation import ladder
from vlmcog.evaluation.metrics import JUDGES
from vlmcog.report import scale, wording
from vlmcog.report.content import Content, Pair, Standing, is_model, read
from vlmcog.report.html import template
from vlmcog.report.scale import Scale
from vlmcog.tasks.registry import get_task

TITLES = {
    ladder.SAME_SPLIT: "Same split",
    ladder.OPPOSITE_SPLIT: "Opposite split",
    ladder.OTHER_LOOK: "Other look",
    ladder.REAL_PHOTOS: "Real photographs",
    ladder.OTHER_DOMAIN: "Other domain",
    ladder.ELSEWHERE: "Elsewhere",
}
METRICS = {
    "accuracy": "accuracy",
    "brier": "Brier score",
    "calibration_error": "calibration error (10 bins)",
    "calibration_error_if_calibrated": "\N{EN DASH} if it were calibrated",
    "calibration_error_people": "calibration error against people",
    "calibration_error_people_if_calibrated": "\N{EN DASH} if it were calibrated",
    "mean_absolute_error": "mean absolute error",
    "pearson": "Pearson\N{RIGHT SINGLE QUOTATION MARK}s r with people",
    "spearman": "Spearman\N{RIGHT SINGLE QUOTATION MARK}s \N{GREEK SMALL LETTER RHO} with people",
    "kappa": "Cohen\N{RIGHT SINGLE QUOTATION MARK}s \N{GREEK SMALL LETTER KAPPA} with the majority",
    "error_consistency": "error consistency with people",
    "rmse_people": "root mean square distance from people",
    "kl_people": "Kullback\N{EN DASH}Leibler divergence from people, nats",
    "mae_people": "mean absolute distance from people\N{RIGHT SINGLE QUOTATION MARK}s mean",
    "signed_root_r2": "signed root of Bayesian R\N{SUPERSCRIPT TWO} (mixed model)",
    "mixed_slope": "slope of people\N{RIGHT SINGLE QUOTATION MARK}s answers on its own (mixed model, items included)",
    "fitted_noise": "noise of the simulator that fits people best, in sides",
    "majority_accuracy": "accuracy of the majority",
    "leave_one_out_pearson": "Pearson\N{RIGHT SINGLE QUOTATION MARK}s r, one person with the others",
    "in_sample_pearson": "Pearson\N{RIGHT SINGLE QUOTATION MARK}s r, one person with all, themselves included",
    "split_half_reliability": "split-half reliability (Spearman\N{EN DASH}Brown)",
    "pearson_ceiling": "ceiling of Pearson\N{RIGHT SINGLE QUOTATION MARK}s r",
    "pearson_cap_of_yes_or_no": "highest r of plain yes or no answers",
}
ALIGNMENT = (
    "pearson",
    "spearman",
    "kappa",
    "error_consistency",
    "rmse_people",
    "mae_people",
    "signed_root_r2",
    "mixed_slope",
)
_BAND_STEPS = 60
_IN_95 = 1.96
CEILINGS = ("leave_one_out_pearson", "pearson_ceiling", "pearson_cap_of_yes_or_no", "accuracy", "majority_accuracy")


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A symmetric matrix; a cell is None where nobody is compared with themselves.

    Attributes:
      names: of the rows and columns.
      rows: the cells.
      left_out: those that have no value with anybody: right, or wrong, on every item.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Pair | None, ...], ...]
    left_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Curve:
    """A curve over training steps."""

    title: str
    x: Scale
    y: Scale
    points: str
    last: float


def write_report(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes the page of an evaluated run and returns its path.

    Raises:
      UserError: nothing was evaluated, or a file of the run is damaged.
    """
    path = pathlib.Path(workdir) / "report" / "index.html"
    files.write_text(path, render(read(pathlib.Path(workdir))))
    return path


def render(content: Content) -> str:
    """Returns the page as HTML; every text in it is escaped."""
    return template("page.html").render(
        content=content,
        words=wording,
        titles=TITLES,
        metric_names=METRICS,
        alignment=ALIGNMENT,
        ceilings=CEILINGS,
        error_matrix=error_matrix,
        ladder=ladder,
        accuracy=accuracy_axis(content),
        unit=scale.UNIT,
        answer_axis=answer_axis,
        perfect_band=perfect_band,
        curves=curves(content),
        get_task=get_task,
        config=json.dumps(dataclasses.asdict(content.config), indent=2),
    )


def accuracy_axis(content: Content) -> Scale:
    """Returns the one axis of the ladder, wide enough for everything on it."""
    estimates = [e for s in content.standings for e in s.estimates if e.metric in wording.SHARES]
    return scale.accuracy_scale([0.5, *(end for e in estimates for end in (e.value, e.low))])


def answer_axis(standing: Standing) -> Scale:
    """Returns the axis of people's and the model's graded answers: shares of yes, or numbers."""
    if standing.rung.is_binary:
        return scale.UNIT
    return scale.value_scale([value for people, model, _ in standing.points for value in (people, model)])


def perfect_band(standing: Standing) -> str:
    """Returns a polygon around the diagonal that holds about 95 % of a perfect model's points; empty where unknown.

    Such a model answers what all people would say; the people who were asked are a sample, whose mean lies within 1.96
    standard errors of it. For shares this is the region that Wilson's interval is made of.
    """
    axis, sampling = answer_axis(standing), standing.sampling
    answers = [axis.low + (axis.high - axis.low) * k / _BAND_STEPS for k in range(_BAND_STEPS + 1)]
    reach = (
        [_IN_95 * sampling.error(answer, is_binary=standing.rung.is_binary) for answer in answers] if sampling else []
    )
    if not reach or math.isnan(reach[0]):
        return ""
    left, right = ([(a + side * r, a) for a, r in zip(answers, reach, strict=True)] for side in (-1, 1))
    return scale.polyline([*left, *reversed(right)], axis, axis)


def error_matrix(standing: Standing) -> Matrix:
    """Returns the error consistencies of a standing as a matrix of its models, people and observers."""
    values = {frozenset((pair.first, pair.second)): pair for pair in standing.consistency}
    names = list(dict.fromkeys(name for pair in standing.consistency for name in (pair.first, pair.second)))
    names.sort(key=lambda name: (not is_model(name), name not in JUDGES))
    defined = [
        a for a in names if any(a in key and not math.isnan(pair.error_consistency) for key, pair in values.items())
    ]
    return Matrix(
        names=tuple(defined),
        rows=tuple(tuple(values.get(frozenset((a, b))) for b in defined) for a in defined),
        left_out=tuple(name for name in names if name not in defined),
    )


def curves(content: Content) -> list[Curve]:
    """Returns the learning curves that the log has."""
    wanted = {"loss": "Training loss, nats a token", "validation_accuracy": "Validation accuracy"}
    found = ((title, [(row["step"], row[key]) for row in content.log if key in row]) for key, title in wanted.items())
    return [_curve(title, points) for title, points in found if len(points) > 1]


def _curve(title: str, points: list[tuple[float, float]]) -> Curve:
    steps, values = zip(*points, strict=True)
    x, y = scale.step_scale(steps), scale.value_scale(values)
    return Curve(title, x, y, scale.polyline(points, x, y), values[-1])
