"""Draws from the posteriors of the mixed models of `mixed.py`, by NUTS in NumPyro.

Ratings have their people and items integrated out (`mixed_ratings.py`). Answers of yes or no, and counts, don't allow
that: each person's and item's effect is sampled with the rest.
"""

import contextlib
import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float
from numpyro import distributions as dist
from numpyro.infer import MCMC, NUTS

from vlmcog.statistics import mixed_ratings
from vlmcog.statistics.cells import Cells
from vlmcog.statistics.mixed_ratings import Population

Family = Literal["logistic", "binomial", "gaussian"]
Numbers = Float[np.ndarray, "people items"]
Draws = dict[str, Float[np.ndarray, "chains draws ..."]]
Sampler = Callable[[Array, dict[str, Array]], tuple[dict[str, Array], Array]]

CHAINS = 4
DEPTHS: Any = (6, 10)
"""Of trees: shallow in the warm-up, whose first steps are tiny whatever comes. (NumPyro takes a pair, unannotated.)"""
CAREFUL = 0.97
"""Acceptance aimed at where effects are sampled: with 0.9 a spread near 0 held up fits of the tower photographs."""
POPULATION = ("intercept", "slope", "spread", "correlation", "sigma", "spread_of_items")


@dataclasses.dataclass(frozen=True)
class Design:
    """What a sampler is compiled for.

    Attributes:
      family: of the outcome.
      people: how many.
      items: how many have an effect of their own; 0 where none has.
      trials: of a binomial outcome's row, 1 for a yes or no.
      slope_scale: the standard deviation of the slope's normal prior; infinite for a flat one.
    """

    family: Family
    people: int
    items: int = 0
    trials: int = 1
    slope_scale: float = math.inf


def design_of(cells: Cells, family: Family, *, by_item: bool, trials: int = 1) -> Design:
    """Returns the design for some cells."""
    return Design(family, cells.people, cells.items) if by_item else Design(family, cells.people, 0, trials)


def arrays_of(cells: Cells, design: Design) -> dict[str, Array]:
    """Returns the cells as the sampler of a design takes them."""
    if design.family == "gaussian":
        return mixed_ratings.sufficient(cells, by_item=design.items > 0)
    numbers = _crossed(cells) if design.items else {"x": cells.x, "n": cells.n, "y": cells.y}
    arrays = {name: jnp.asarray(values, jnp.float32) for name, values in numbers.items()}
    return arrays if design.items else arrays | {"person": jnp.asarray(cells.person, jnp.int32)}


def draw(cells: Cells, design: Design, *, seed: int, samples: int, warm_up: int) -> tuple[Draws, int]:
    """Draws from the posterior.

    Returns:
      Each parameter's draws, arrays of chains x draws (x its shape), and the number of divergences. `own` are people's
      intercepts and slopes, [chains, draws, 2, people].
    """
    with loose_types():
        draws, diverging = sampler(design, samples, warm_up)(jax.random.key(seed), arrays_of(cells, design))
    return {name: np.asarray(values) for name, values in draws.items()}, int(np.asarray(diverging).sum())


def _crossed(cells: Cells) -> dict[str, np.ndarray]:
    """The cells as matrices of people x items, which sum faster than they are gathered; the predictor is the items'."""
    n, y = np.zeros((2, cells.people, cells.items))
    np.add.at(n, (cells.person, cells.item), cells.n)
    np.add.at(y, (cells.person, cells.item), cells.y)
    x = np.bincount(cells.item, weights=cells.n * cells.x) / n.sum(0)
    return {"x": x, "n": n, "y": y, "told": told(x, n, y)}


def told(x: Float[np.ndarray, " items"], n: Numbers, y: Numbers) -> Float[np.ndarray, "2"]:
    """How well yes and no tell items' effects, and people's intercepts: their reliabilities, from 0 to 1.

    Of each effect's least-squares estimates, on the scale of probability, the variance that their errors don't explain.
    """
    rates = (y.sum(0) + 0.5) / (n.sum(0) + 1)
    by_item = np.stack([np.ones_like(x), x], 1)
    off_line = rates - by_item @ np.linalg.lstsq(by_item, rates, rcond=None)[0]
    errors = rates * (1 - rates)
    items = _reliability(off_line, errors / n.sum(0))
    scatter = np.einsum("pi,ia,ib->pab", n, by_item, by_item) + 1e-3 * np.eye(2)  # a person may have seen one x alone
    inverse = np.linalg.inv(scatter)
    intercepts = np.einsum("pb,ib,pi->p", inverse[:, 0], by_item, y - n * rates)
    of_intercepts = np.einsum("pb,pi,ib,ic,pc->p", inverse[:, 0], n * errors, by_item, by_item, inverse[:, 0])
    return np.array([items, _reliability(intercepts, of_intercepts)])


def _reliability(estimates: np.ndarray, errors: np.ndarray) -> float:
    variance = estimates.var()
    return float(np.clip(1 - errors.mean() / variance, 0, 1)) if variance > 0 else 0.0


@contextlib.contextmanager
def loose_types() -> Iterator[None]:
    """NumPyro mixes types and ranks freely, and warns; the looser rules hold for it alone."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.lru_cache(maxsize=8)
def sampler(design: Design, samples: int, warm_up: int) -> Sampler:
    """The sampler of all fits of one design. Compiled whole: NumPyro alone would compile for each of them anew."""
    accepted = 0.9 if design.family == "gaussian" else CAREFUL

    @jax.jit
    def sample(key: Array, arrays: dict[str, Array]) -> tuple[dict[str, Array], Array]:
        mcmc = MCMC(
            NUTS(functools.partial(_regression, design), target_accept_prob=accepted, max_tree_depth=DEPTHS),
            num_warmup=warm_up,
            num_samples=samples,
            num_chains=CHAINS,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(key, arrays, extra_fields=("diverging",))
        draws = mcmc.get_samples(group_by_chain=True)
        kept = {name: draws[name] for name in (*POPULATION, "own") if name in draws}
        if design.family == "gaussian" and not design.items:
            kept["own"] = _own_ratings(jax.random.fold_in(key, 1), kept, arrays)
        return kept, mcmc.get_extra_fields()["diverging"]

    return sample


def _regression(design: Design, arrays: dict[str, Array]) -> None:
    scale = dist.FoldedDistribution(dist.StudentT(3.0, 0.0, 2.5))
    flat = math.isinf(design.slope_scale)
    on_slope = dist.ImproperUniform(dist.constraints.real, (), ()) if flat else dist.Normal(0.0, design.slope_scale)
    intercept, slope = _draw("intercept", dist.StudentT(3.0, 0.0, 2.5)), _draw("slope", on_slope)
    spread, correlation = _draw("spread", scale.expand([2])), _draw("correlation", dist.Uniform(-1.0, 1.0))
    of_items = _draw("spread_of_items", scale) if design.items else None
    if design.family == "gaussian":  # the predictor is standardised: its mean is at 0
        mean, sigma = jnp.stack([intercept, slope]), _draw("sigma", scale)
        population = Population(mean, spread, correlation, sigma, of_items)
        numpyro.factor("likelihood", mixed_ratings.log_likelihood(population, arrays))
        return
    x, n, y = arrays["x"], arrays["n"], arrays["y"]
    at_zero = intercept - slope * (x * n).sum() / n.sum()
    if of_items is not None:
        eta = _crossed_eta(design, at_zero + slope * x, of_items, spread, correlation, arrays)
    else:
        own_effects = _own_counts if design.family == "binomial" else _own
        own = own_effects(design.people, at_zero, slope, spread, correlation)
        numpyro.deterministic("own", own)
        eta = own[0, arrays["person"]] + own[1, arrays["person"]] * x
    numpyro.factor("likelihood", (y * eta - n * design.trials * jax.nn.softplus(eta)).sum())


def _own_ratings(key: Array, draws: dict[str, Array], arrays: dict[str, Array]) -> Float[Array, "c s 2 people"]:
    """People's effects for each draw of the population."""

    def one(key: Array, intercept: Array, slope: Array, spread: Array, correlation: Array, sigma: Array) -> Array:
        population = Population(jnp.stack([intercept, slope]), spread, correlation, sigma)
        return mixed_ratings.draw_people(key, population, arrays)

    keys = jax.random.split(key, draws["slope"].shape)
    names = ("intercept", "slope", "spread", "correlation", "sigma")
    return jax.vmap(jax.vmap(one))(keys, *(draws[name] for name in names))


def _crossed_eta(
    design: Design,
    mean: Float[Array, " items"],
    of_items: Array,
    spread: Array,
    correlation: Array,
    arrays: dict[str, Array],
) -> Float[Array, "people items"]:
    """Log-odds of a yes: an item's own, around what the model's answer says of it, and each person's deviation."""
    items_told, intercepts_told = arrays["told"]
    levels = _partly_centred("levels", mean, of_items, items_told)
    first = _partly_centred("own_intercept", jnp.zeros(design.people), spread[0], intercepts_told)
    z = _draw("z", dist.Normal(0.0, 1.0).expand([design.people]))
    slopes = spread[1] * (correlation * first / spread[0] + jnp.sqrt(1 - correlation**2) * z)
    return levels + first[:, None] + slopes[:, None] * arrays["x"]


def _partly_centred(name: str, mean: Float[Array, " n"], scale: Array, told: Array) -> Float[Array, " n"]:
    """Effects, Normal(mean, scale), drawn as they are as far as the answers tell them, else as standardised deviations.

    Each end walks badly where the other walks well (Betancourt & Girolami, 2015), and studies lie between
    (Papaspiliopoulos et al., 2007, Statistical Science 22, 59-73).
    """
    return mean + scale ** (1 - told) * (_draw(name, dist.Normal(told * mean, scale**told)) - told * mean)


def _own(people: int, intercept: Array, slope: Array, spread: Array, correlation: Array) -> Float[Array, "2 people"]:
    """Each person's intercept and slope, by way of standardised deviations: a yes or no says little of a person."""
    z = _draw("z", dist.Normal(0.0, 1.0).expand([2, people]))
    of_slope = correlation * z[0] + jnp.sqrt(1 - correlation**2) * z[1]
    return jnp.stack([intercept + spread[0] * z[0], slope + spread[1] * of_slope])


def _own_counts(
    people: int, intercept: Array, slope: Array, spread: Array, correlation: Array
) -> Float[Array, "2 people"]:
    """The same, drawn as they are: counts pin everyone down, and this walks better (Betancourt & Girolami, 2015)."""
    own_intercept = _draw("own_intercept", dist.Normal(intercept, spread[0]).expand([people]))
    mean = slope + correlation * spread[1] / spread[0] * (own_intercept - intercept)
    return jnp.stack([own_intercept, _draw("own_slope", dist.Normal(mean, spread[1] * jnp.sqrt(1 - correlation**2)))])


def _draw(name: str, distribution: dist.Distribution) -> Any:
    return numpyro.sample(name, distribution)
