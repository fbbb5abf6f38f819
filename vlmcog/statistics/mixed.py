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
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float, Int
from numpyro import diagnostics
from numpyro import distributions as dist
from numpyro.infer import MCMC, NUTS
from scipy import stats

from vlmcog.statistics.ceilings import Responses
from vlmcog.statistics.intervals import LEVEL, UNDEFINED, Interval

Family = Literal["logistic", "binomial", "gaussian"]
Draws = dict[str, Float[np.ndarray, "chains draws"]]

CHAINS, WARM_UP, SAMPLES = 4, 500, 1000
MOST_R_HAT, LEAST_ESS, MOST_DIVERGENT = 1.01, 400, 0.01
NO_VARIANCE = "no variance"


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


@dataclasses.dataclass(frozen=True, eq=False)
class _Cells:
    """Rows that share a person, a predictor and an item, added up: the likelihood needs no more.

    Attributes:
      person: index of the person.
      item: index of the item; all 0 where items have no effect.
      x: the predictor.
      n: how many rows.
      y: the sum of the outcome.
      y_squared: the sum of its square.
      trials: trials a row of a binomial outcome, 1 for a yes or no.
    """

    person: Int[np.ndarray, " c"]
    item: Int[np.ndarray, " c"]
    x: Float[np.ndarray, " c"]
    n: Float[np.ndarray, " c"]
    y: Float[np.ndarray, " c"]
    y_squared: Float[np.ndarray, " c"]
    trials: int = 1

    def arrays(self) -> dict[str, Array]:
        """All but the trials, as the sampler takes them."""
        index, number = ("person", "item"), ("x", "n", "y", "y_squared")
        return {
            **{name: jnp.asarray(getattr(self, name), jnp.int32) for name in index},
            **{name: jnp.asarray(getattr(self, name), jnp.float32) for name in number},
        }


def signed_root_r2(
    human: Responses,
    model: Float[np.ndarray, "*people items"],
    *,
    family: Family,
    trials: int = 1,
    seed: int = 0,
    samples: int = SAMPLES,
    warm_up: int = WARM_UP,
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

    Returns:
      A fit; undefined where the model or the people always answer the same.
    """
    rows = _rows(human, model)
    if _constant(rows["human"]) or _constant(rows["model"]):
        return Fit(n=len(rows["model"]), undefined=NO_VARIANCE)
    x, y = rows["human"], rows["model"]
    if family == "gaussian":
        x, y = _standardised(x), _standardised(y)
    cells = _cells(rows["person"], np.zeros_like(rows["item"]), x, y, trials)
    draws, divergences = _sample(cells, family, by_item=False, seed=seed, samples=samples, warm_up=warm_up)
    r2 = _bayesian_r2(cells, family, draws)
    sign = math.copysign(1.0, draws["slope"].mean())
    ends = sorted(sign * np.sqrt(np.quantile(r2, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])))
    return _fit(draws, divergences, sign * math.sqrt(r2.mean()), Interval(*map(float, ends)), len(y))


def crossed(
    human: Responses,
    model: Float[np.ndarray, " items"],
    *,
    family: Literal["logistic", "gaussian"],
    seed: int = 0,
    samples: int = SAMPLES,
    warm_up: int = WARM_UP,
) -> Fit:
    """Fits Human ~ 1 + Model + (1 + Model | person) + (1 | item) and returns the slope of Model with its interval.

    Items differ in more than the model knows, so they have an effect of their own; without one, each of the model's
    answers would count as often as there are people. See `signed_root_r2` for the arguments.
    """
    rows = _rows(human, model)
    if _constant(rows["human"]) or _constant(rows["model"]):
        return Fit(n=len(rows["model"]), undefined=NO_VARIANCE)
    x, y = rows["model"], rows["human"]
    if family == "gaussian":
        x, y = _standardised(x), _standardised(y)
    cells = _cells(rows["person"], rows["item"], x, y, 1)
    draws, divergences = _sample(cells, family, by_item=True, seed=seed, samples=samples, warm_up=warm_up)
    slope = draws["slope"]
    return _fit(draws, divergences, float(slope.mean()), _interval(slope), len(y))


def _rows(human: Responses, model: np.ndarray) -> dict[str, np.ndarray]:
    """One row for each answer of a person to an item that the model answered, too."""
    models = np.broadcast_to(model, human.shape)
    person, item = np.nonzero(~np.isnan(human) & ~np.isnan(models))
    return {"person": person, "item": item, "human": human[person, item], "model": models[person, item]}


def _constant(values: np.ndarray) -> bool:
    return len(values) < 2 or np.ptp(values) == 0


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std(ddof=1)


def _cells(person: np.ndarray, item: np.ndarray, x: np.ndarray, y: np.ndarray, trials: int) -> _Cells:
    keys, cell = np.unique(np.stack([person, item, x]), axis=1, return_inverse=True)
    n, total, squares = (np.bincount(cell.ravel(), weights=values) for values in (np.ones_like(y), y, y**2))
    _, people = np.unique(keys[0], return_inverse=True)
    _, items = np.unique(keys[1], return_inverse=True)
    return _Cells(people.ravel(), items.ravel(), keys[2], n, total, squares, trials)


def _sample(
    cells: _Cells, family: Family, *, by_item: bool, seed: int, samples: int, warm_up: int
) -> tuple[Draws, int]:
    """Draws from the posterior: arrays of chains x draws, and the number of divergences."""
    people, items = int(cells.person.max()) + 1, int(cells.item.max()) + 1
    sampler = _sampler(_Design(family, people, items if by_item else 0, cells.trials), samples, warm_up)
    # NumPyro mixes types and ranks freely; the looser rules hold for it alone.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draws, diverging = sampler(jax.random.key(seed), cells.arrays())
    return {name: np.asarray(values) for name, values in draws.items()}, int(np.asarray(diverging).sum())


@dataclasses.dataclass(frozen=True)
class _Design:
    """What a fit is compiled for; `items` is 0 where items have no effect."""

    family: Family
    people: int
    items: int
    trials: int


@functools.lru_cache(maxsize=8)
def _sampler(design: _Design, samples: int, warm_up: int) -> Callable[..., tuple[dict[str, Array], Array]]:
    """The sampler of all fits of one design. Compiled whole: NumPyro alone would compile for each of them anew."""

    @jax.jit
    def sample(key: Array, arrays: dict[str, Array]) -> tuple[dict[str, Array], Array]:
        mcmc = MCMC(
            NUTS(functools.partial(_regression, design), target_accept_prob=0.9),
            num_warmup=warm_up,
            num_samples=samples,
            num_chains=CHAINS,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(key, **arrays, extra_fields=("diverging",))
        return mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields()["diverging"]

    return sample


def _regression(design: _Design, *, person: Array, item: Array, x: Array, n: Array, y: Array, y_squared: Array) -> None:
    scale = dist.FoldedDistribution(dist.StudentT(3.0, 0.0, 2.5))
    intercept = _draw("intercept", dist.StudentT(3.0, 0.0, 2.5))
    slope = _draw("slope", dist.ImproperUniform(dist.constraints.real, (), ()))
    spread = _draw("spread", scale.expand([2]))
    correlation = _draw("correlation", dist.Uniform(-1.0, 1.0))
    at_zero = intercept - slope * (x * n).sum() / n.sum()
    own = _own_counts if design.family == "binomial" else _own
    own_intercept, own_slope = own(design.people, at_zero, slope, spread, correlation)
    eta = own_intercept[person] + own_slope[person] * x
    if design.items:
        spread_of_items = _draw("spread_of_items", scale)
        eta = eta + spread_of_items * _draw("z_items", dist.Normal(0.0, 1.0).expand([design.items]))[item]
    numpyro.deterministic("eta", eta)
    if design.family == "gaussian":
        sigma = _draw("sigma", scale)
        likelihood = -n * jnp.log(sigma) - (y_squared - 2 * eta * y + n * eta**2) / (2 * sigma**2)
    else:
        likelihood = y * eta - n * design.trials * jax.nn.softplus(eta)
    numpyro.factor("likelihood", likelihood.sum())


def _own(people: int, intercept: Array, slope: Array, spread: Array, correlation: Array) -> tuple[Array, Array]:
    """Each person's intercept and slope, by way of standardised deviations: a yes or no says little of a person."""
    z = _draw("z", dist.Normal(0.0, 1.0).expand([2, people]))
    of_slope = correlation * z[0] + jnp.sqrt(1 - correlation**2) * z[1]
    return intercept + spread[0] * z[0], slope + spread[1] * of_slope


def _own_counts(people: int, intercept: Array, slope: Array, spread: Array, correlation: Array) -> tuple[Array, Array]:
    """The same, drawn as they are: counts pin everyone down, and this walks better (Betancourt & Girolami, 2015)."""
    own_intercept = _draw("own_intercept", dist.Normal(intercept, spread[0]).expand([people]))
    mean = slope + correlation * spread[1] / spread[0] * (own_intercept - intercept)
    return own_intercept, _draw("own_slope", dist.Normal(mean, spread[1] * jnp.sqrt(1 - correlation**2)))


def _draw(name: str, distribution: dist.Distribution) -> Any:
    return numpyro.sample(name, distribution)


def _bayesian_r2(cells: _Cells, family: Family, draws: Draws) -> Float[np.ndarray, " s"]:
    eta = draws["eta"].reshape(-1, len(cells.n)).astype(float)
    fitted = eta if family == "gaussian" else cells.trials / (1 + np.exp(-eta))
    rows = cells.n.sum()
    mean = (fitted @ cells.n) / rows
    explained = (fitted**2 @ cells.n) / rows - mean**2
    mean_residual = cells.y.sum() / rows - mean
    squares = cells.y_squared.sum() - 2 * (fitted @ cells.y) + fitted**2 @ cells.n
    return explained / (explained + squares / rows - mean_residual**2)


def _fit(draws: Draws, divergences: int, value: float, interval: Interval, n: int) -> Fit:
    population = [
        draws[name] for name in ("intercept", "slope", "correlation", "sigma", "spread_of_items") if name in draws
    ]
    population += list(np.moveaxis(draws["spread"], -1, 0))
    r_hat = max(map(_r_hat, population))
    ess_bulk, ess_tail = min(map(_ess_bulk, population)), min(map(_ess_tail, population))
    slope = draws["slope"]
    fit = Fit(value, interval, float(slope.mean()), _interval(slope), r_hat, ess_bulk, ess_tail, divergences, n)
    return dataclasses.replace(fit, failed=_failure(fit, slope.size))


def _failure(fit: Fit, draws: int) -> str:
    if not fit.r_hat <= MOST_R_HAT:
        return f"did not converge: R-hat {fit.r_hat:.3f} is over {MOST_R_HAT}"
    if not min(fit.ess_bulk, fit.ess_tail) >= LEAST_ESS:
        return f"too few effective draws: {min(fit.ess_bulk, fit.ess_tail):.0f} of at least {LEAST_ESS}"
    if fit.divergences > MOST_DIVERGENT * draws:
        return f"{fit.divergences} of {draws} draws diverged"
    return ""


def _interval(draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _r_hat(draws: Float[np.ndarray, "chains draws"]) -> float:
    """Rank-normalised split R-hat, of the draws and of their distances from the median (Vehtari et al., 2021)."""
    folded = np.abs(draws - np.median(draws))
    return max(float(diagnostics.split_gelman_rubin(_rank_normalised(x))) for x in (draws, folded))


def _ess_bulk(draws: Float[np.ndarray, "chains draws"]) -> float:
    return float(diagnostics.effective_sample_size(_rank_normalised(draws)))


def _ess_tail(draws: Float[np.ndarray, "chains draws"]) -> float:
    below = (draws <= np.quantile(draws, level) for level in (0.05, 0.95))
    return min(float(diagnostics.effective_sample_size(tail.astype(float))) for tail in below)


def _rank_normalised(draws: np.ndarray) -> Any:
    ranks = stats.rankdata(draws).reshape(draws.shape)
    return stats.norm.ppf((ranks - 0.375) / (draws.size + 0.25))
