"""Mixed models of a model's and people's answers, fitted by NUTS in NumPyro.

Two questions, two models, each with a random intercept and slope for every person:

* `signed_root_r2`: Model ~ 1 + Human + (1 + Human | person), the alignment score of Schulze Buschoff et al. (2025). It
  can't be 0, and repeats one answer of the model for every person, so its interval is far too narrow and says nothing
  of chance: it is here to compare with published tables.
* `crossed`: Human ~ 1 + Model + (1 + Model | person) + (1 | item), whose slope is what to test.

Priors are the defaults of brms (Bürkner, 2017): a flat slope, Student-t(3, 0, 2.5) on the intercept at the mean of the
predictor, half-Student-t(3, 0, 2.5) on every scale, LKJ(1) on the correlation, which for two effects is uniform.
"""

import dataclasses
import math
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import special

from vlmcog.statistics import convergence
from vlmcog.statistics.ceilings import Responses
from vlmcog.statistics.cells import Cells, add_up
from vlmcog.statistics.intervals import LEVEL, UNDEFINED, Interval
from vlmcog.statistics.mixed_ratings import residual
from vlmcog.statistics.mixed_sampler import POPULATION, Design, Draws, Family, design_of, draw

SAMPLES, WARM_UP, LONGER = 1000, 500, 4
NO_VARIANCE = "no variance"
SEPARATED = "separated: yes and no never overlap along the predictor, so that the slope has no finite estimate"
ON_LINES = "no residual variance: a line of their own fits each person's answers exactly"


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fitted mixed model.

    Attributes:
      value: the signed root of Bayesian R2; of a crossed model, the slope. NaN where it is undefined.
      interval: its central 95 %.
      slope: the population's slope on the family's link scale.
      slope_interval: its central 95 %.
      r_hat: the largest rank-normalised split R-hat of the population's parameters (Vehtari et al., 2021).
      ess_bulk: their smallest bulk effective sample size.
      ess_tail: their smallest tail effective sample size.
      divergences: number of divergent transitions.
      n: number of answers.
      failed: why the fit can't be trusted; empty where it can.
      undefined: why there is nothing to fit; empty where there is.
    """

    value: float = math.nan
    interval: Interval = UNDEFINED
    slope: float = math.nan
    slope_interval: Interval = UNDEFINED
    r_hat: float = math.nan
    ess_bulk: float = math.nan
    ess_tail: float = math.nan
    divergences: int = 0
    n: int = 0
    failed: str = ""
    undefined: str = ""


def signed_root_r2(
    human: Responses,
    model: Float[np.ndarray, "*people items"],
    *,
    family: Family,
    trials: int = 1,
    seed: int = 0,
    samples: int = SAMPLES,
    warm_up: int = WARM_UP,
    longer: int = LONGER,
) -> Fit:
    """Fits Model ~ 1 + Human + (1 + Human | person) and returns sign(slope) sqrt(mean Bayesian R2).

    R2 of a draw is var(fitted) / (var(fitted) + var(outcome - fitted)) over all rows (Gelman et al., 2019, American
    Statistician 73, 307-309, with residuals as brms takes them). The interval is that of R2's 2.5 and 97.5 % quantiles.
    With `gaussian`, both sides are first standardised over all rows together, as the published tables do.

    Args:
      human: people's answers, NaN where there is none.
      model: the model's answer to each item, or one for each person too; NaN where it gave none.
      family: of the model's answers: `logistic` for 0 or 1, `binomial` for a number of `trials`, else `gaussian`.
      trials: how many a binomial answer counts.
      seed: of the sampler.
      samples: draws a chain, of four.
      warm_up: draws before those.
      longer: how many times as many it takes where those did not converge; 1 for no second try.

    Returns:
      A fit; undefined where the model or the people always answer the same, where a threshold on people's answers tells
      the model's yes from its no without fail, and where a line of their own fits each person's ratings exactly.
    """
    rows = _rows(human, model)
    rows["item"][:] = 0  # items have no effect here
    cells = _prepared(rows, family, x="human", y="model")
    if reason := _undefined(rows, cells, family, trials):
        return Fit(n=len(rows["model"]), undefined=reason)
    design = design_of(cells, family, by_item=False, trials=trials)
    draws, divergences = _draw(cells, design, seed=seed, samples=samples, warm_up=warm_up, longer=longer)
    r2 = bayesian_r2(cells, draws, family=family, trials=trials)
    sign = math.copysign(1.0, draws["slope"].mean())
    ends = sorted(sign * np.sqrt(np.quantile(r2, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])))
    return _fit(draws, divergences, sign * math.sqrt(r2.mean()), Interval(*map(float, ends)), len(rows["model"]))


def crossed(
    human: Responses,
    model: Float[np.ndarray, " items"],
    *,
    family: Literal["logistic", "gaussian"],
    seed: int = 0,
    samples: int = 2 * SAMPLES,
    warm_up: int = WARM_UP,
    longer: int = LONGER,
) -> Fit:
    """Fits Human ~ 1 + Model + (1 + Model | person) + (1 | item) and returns the slope of Model with its interval.

    Items differ in more than the model knows, so they have an effect of their own; without one, each of the model's
    answers would count as often as there are people. See `signed_root_r2` for the arguments; it takes more draws, for
    the spread of people's slopes is seldom told well.
    """
    rows = _rows(human, model)
    cells = _prepared(rows, family, x="model", y="human")
    if reason := _undefined(rows, cells, family, 1):
        return Fit(n=len(rows["human"]), undefined=reason)
    design = design_of(cells, family, by_item=True)
    draws, divergences = _draw(cells, design, seed=seed, samples=samples, warm_up=warm_up, longer=longer)
    slope = draws["slope"]
    return _fit(draws, divergences, float(slope.mean()), central(slope), len(rows["human"]))


def bayesian_r2(cells: Cells, draws: Draws, *, family: Family, trials: int = 1) -> Float[np.ndarray, " s"]:
    """Returns R2 of each draw: var(fitted) / (var(fitted) + var(outcome - fitted)) over all rows."""
    few = (piece for chain in draws["own"] for piece in np.array_split(chain, math.ceil(len(chain) / SAMPLES)))
    return np.concatenate([_bayesian_r2(cells, own.astype(float), family, trials) for own in few])


def central(draws: Float[np.ndarray, "*s"]) -> Interval:
    """The draws' central 95 %."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _rows(human: Responses, model: np.ndarray) -> dict[str, np.ndarray]:
    """One row for each answer of a person to an item that the model answered, too."""
    models = np.broadcast_to(model, human.shape)
    person, item = np.nonzero(~np.isnan(human) & ~np.isnan(models))
    return {"person": person, "item": item, "human": human[person, item], "model": models[person, item]}


def _prepared(rows: dict[str, np.ndarray], family: Family, *, x: str, y: str) -> Cells:
    """The rows' cells, ratings standardised over all rows."""
    predictor, outcome = rows[x], rows[y]
    if family == "gaussian" and not _constant(predictor, outcome):
        predictor, outcome = _standardised(predictor), _standardised(outcome)
    return add_up(rows["person"], rows["item"], predictor, outcome)


def _constant(*columns: np.ndarray) -> bool:
    return any(len(values) < 2 or np.ptp(values) == 0 for values in columns)


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std(ddof=1)


def _undefined(rows: dict[str, np.ndarray], cells: Cells, family: Family, trials: int) -> str:
    """Why there is nothing to fit; empty where there is."""
    if _constant(rows["human"], rows["model"]):
        return NO_VARIANCE
    if family == "gaussian":
        return ON_LINES if residual(cells) < 1e-6 * cells.n.sum() else ""
    return SEPARATED if _separated(cells, trials) else ""


def _separated(cells: Cells, trials: int) -> bool:
    """Whether a threshold on the predictor tells yes from no without fail.

    The steeper the slope, the likelier such answers are: with a flat prior the posterior is improper, or has nothing
    but the priors of the other parameters to end it.
    """
    with_yes, with_no = cells.x[cells.y > 0], cells.x[cells.y < cells.n * trials]
    return with_no.max() < with_yes.min() or with_yes.max() < with_no.min()


def _bayesian_r2(
    cells: Cells, own: Float[np.ndarray, "s 2 people"], family: Family, trials: int
) -> Float[np.ndarray, " s"]:
    eta = own[:, 0, cells.person] + own[:, 1, cells.person] * cells.x
    fitted = eta if family == "gaussian" else trials * special.expit(eta)
    rows = cells.n.sum()
    mean = (fitted @ cells.n) / rows
    explained = (fitted**2 @ cells.n) / rows - mean**2
    mean_residual = cells.y.sum() / rows - mean
    squares = cells.y_squared.sum() - 2 * (fitted @ cells.y) + fitted**2 @ cells.n
    return explained / (explained + squares / rows - mean_residual**2)


def _draw(cells: Cells, design: Design, *, seed: int, samples: int, warm_up: int, longer: int) -> tuple[Draws, int]:
    """Draws, and once more for longer where that did not converge: a spread near 0 now and then holds up a chain."""
    draws, divergences = draw(cells, design, seed=seed, samples=samples, warm_up=warm_up)
    if longer > 1 and _fit(draws, divergences, math.nan, UNDEFINED, 0).failed:
        return draw(cells, design, seed=seed + 1, samples=longer * samples, warm_up=longer * warm_up)
    return draws, divergences


def _fit(draws: Draws, divergences: int, value: float, interval: Interval, n: int) -> Fit:
    population = [one for name in POPULATION if name in draws for one in _parameters(draws[name])]
    r_hat = max(map(convergence.r_hat, population))
    ess = min(map(convergence.ess_bulk, population)), min(map(convergence.ess_tail, population))
    slope = draws["slope"]
    failed = convergence.failure(r_hat, ess, divergences, slope.size)
    return Fit(value, interval, float(slope.mean()), central(slope), r_hat, *ess, divergences, n, failed)


def _parameters(draws: Float[np.ndarray, "chains draws ..."]) -> Float[np.ndarray, "k chains draws"]:
    """A vector's draws as those of its numbers."""
    return np.moveaxis(draws.reshape(*draws.shape[:2], -1), -1, 0)
