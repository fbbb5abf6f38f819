"""The mixed model of ratings with everyone's effects integrated out: what is left to sample are six or seven numbers.

Person p answers y = X b + e, with X = [1, x] over their rows, b ~ Normal(mu, cov) and e ~ Normal(0, sigma^2). Given
the population (mu, cov, sigma), y is normal with covariance sigma^2 I + X cov X'. By Woodbury's identity its density
and the conditional of b need no more than S = X'X, the least-squares line and its residual sum of squares. Written
with adjugates of two-by-two matrices nothing cancels, whatever the scales, even with all of a person's x equal:

    D = sigma^4 + sigma^2 tr(cov S) + |cov| |S|                              |sigma^2 I + X cov X'| sigma^(4 - 2n)
    W = (sigma^2 S + |S| adj(cov)) / D                                       S (sigma^2 I + cov S)^-1
    K = (sigma^2 cov + |cov| adj(S)) / D                                     (sigma^2 I + cov S)^-1 cov
    -2 log p(y) = (n - 2) log sigma^2 + log D + rss / sigma^2 + d' W d       d: the line's distance from mu
    b | y ~ Normal(mu + cov W d, sigma^2 K)

Effects of items, Normal(0, spread_of_items^2), are integrated out of that in turn, by a matrix of items x items.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vlmcog.statistics.cells import Cells

Arrays = dict[str, Array]
Matrix = Float[Array, "2 2"]
Matrices = Float[Array, "people 2 2"]


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """What people have in common.

    Attributes:
      mean: the mean intercept (at x = 0) and slope.
      spread: their standard deviations over people.
      correlation: of the two.
      sigma: the standard deviation of a single answer.
      spread_of_items: the standard deviation of items' effects; None where they have none.
    """

    mean: Float[Array, "2"]
    spread: Float[Array, "2"]
    correlation: Float[Array, ""]
    sigma: Float[Array, ""]
    spread_of_items: Float[Array, ""] | None = None

    @property
    def cov(self) -> Matrix:
        """The covariance of people's effects."""
        off = self.correlation * self.spread[0] * self.spread[1]
        return jnp.stack([jnp.stack([self.spread[0] ** 2, off]), jnp.stack([off, self.spread[1] ** 2])])

    @property
    def det_cov(self) -> Float[Array, ""]:
        """Its determinant, without a difference of its products."""
        return (self.spread[0] * self.spread[1]) ** 2 * (1 - self.correlation) * (1 + self.correlation)


def sufficient(cells: Cells, *, by_item: bool) -> Arrays:
    """Returns what the likelihood needs of the data: of each person, and with `by_item` of each item, too.

    With effects of items, the predictor must be the same for all of an item's answers.
    """
    arrays = _of_people(cells) | (_of_items(cells) if by_item else {})
    return {name: jnp.asarray(values, jnp.float32) for name, values in arrays.items()}


def residual(cells: Cells) -> float:
    """The sum of squares that a line of each person's own leaves."""
    return float(_of_people(cells)["rss"].sum())


def log_likelihood(population: Population, arrays: Arrays) -> Float[Array, ""]:
    """The log-density of all answers, but for a constant."""
    s2, n, d = population.sigma**2, arrays["n"], arrays["line"] - population.mean
    quadratic = jnp.einsum("pi,pij,pj->p", d, _shrunk_scatter(population, arrays), d)
    of_people = (n - 2) * jnp.log(s2) + jnp.log(_spread_out(population, arrays)) + arrays["rss"] / s2 + quadratic
    log_p = -0.5 * of_people.sum()
    return log_p if population.spread_of_items is None else log_p + _items_log_ratio(population, arrays)


def draw_people(key: Array, population: Population, arrays: Arrays) -> Float[Array, "2 people"]:
    """Draws everyone's intercept and slope from what the population and their own answers say of them."""
    d = arrays["line"] - population.mean
    mean = population.mean + jnp.einsum("ij,pjk,pk->pi", population.cov, _shrunk_scatter(population, arrays), d)
    cov = population.sigma**2 * _shrunk_cov(population, arrays)
    det = population.sigma**4 * population.det_cov / _spread_out(population, arrays)
    first = jnp.sqrt(cov[:, 0, 0])
    z = jax.random.normal(key, mean.T.shape)
    return mean.T + jnp.stack([first * z[0], cov[:, 0, 1] / first * z[0] + jnp.sqrt(det) / first * z[1]])


def _of_people(cells: Cells) -> dict[str, np.ndarray]:
    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(cells.person, weights=values)

    n, x, y = total(cells.n), total(cells.n * cells.x), total(cells.y)
    own_x, own_y = cells.x - (x / n)[cells.person], (y / n)[cells.person]
    xx, xy = total(cells.n * own_x**2), total(own_x * (cells.y - cells.n * own_y))
    yy = total(cells.y_squared - 2 * own_y * cells.y + cells.n * own_y**2)
    slope = np.divide(xy, xx, out=np.zeros_like(xy), where=xx > 1e-9 * n)  # x is standardised
    squares = total(cells.n * cells.x**2)
    return {
        "n": n,
        "scatter": np.stack([np.stack([n, x], -1), np.stack([x, squares], -1)], -1),
        "det_scatter": n * xx,
        "line": np.stack([y / n - slope * x / n, slope], -1),
        "rss": np.maximum(yy - slope * xy, 0.0),
    }


def _of_items(cells: Cells) -> dict[str, np.ndarray]:
    n = np.zeros((cells.people, cells.items))
    np.add.at(n, (cells.person, cells.item), cells.n)
    x = np.bincount(cells.item, weights=cells.n * cells.x) / n.sum(0)
    return {
        "design": np.stack([n, n * x], 1),  # people x [1, x] x items: X'Z, with Z the items' indicators
        "item_sums": np.bincount(cells.item, weights=cells.y),
    }


def _items_log_ratio(population: Population, arrays: Arrays) -> Float[Array, ""]:
    """The log-ratio of the density with items' effects to that without, by Woodbury once more."""
    assert population.spread_of_items is not None
    s2, design = population.sigma**2, arrays["design"]
    ratio = population.spread_of_items**2 / s2
    shrunk = jnp.einsum("pab,pbj->paj", _shrunk_cov(population, arrays), design)
    of_items, counts = design.sum(0), design[:, 0].sum(0)
    explained = jnp.einsum("paj,pak->jk", design, shrunk)
    precision = jnp.eye(len(counts)) + ratio * (jnp.diag(counts) - explained)
    d = arrays["line"] - population.mean
    residual = arrays["item_sums"] - population.mean @ of_items
    residual -= jnp.einsum("paj,pab,pb->j", shrunk, arrays["scatter"], d)
    root = jnp.linalg.cholesky(precision)
    white = jax.scipy.linalg.solve_triangular(root, residual, lower=True)
    return 0.5 * ratio / s2 * (white**2).sum() - jnp.log(jnp.diagonal(root)).sum()


def _spread_out(population: Population, arrays: Arrays) -> Float[Array, " people"]:
    """D of the head of this file."""
    s2 = population.sigma**2
    trace = jnp.einsum("ij,pij->p", population.cov, arrays["scatter"])
    return s2**2 + s2 * trace + population.det_cov * arrays["det_scatter"]


def _shrunk_scatter(population: Population, arrays: Arrays) -> Matrices:
    """W of the head of this file."""
    scaled = arrays["det_scatter"][:, None, None] * _adjugate(population.cov)
    numerator = population.sigma**2 * arrays["scatter"] + scaled
    return numerator / _spread_out(population, arrays)[:, None, None]


def _shrunk_cov(population: Population, arrays: Arrays) -> Matrices:
    """K of the head of this file."""
    numerator = population.sigma**2 * population.cov + population.det_cov * _adjugate(arrays["scatter"])
    return numerator / _spread_out(population, arrays)[:, None, None]


def _adjugate(m: Float[Array, "*p 2 2"]) -> Float[Array, "*p 2 2"]:
    """The matrix that is the inverse times the determinant."""
    a, b, c, d = m[..., 0, 0], m[..., 0, 1], m[..., 1, 0], m[..., 1, 1]
    return jnp.stack([jnp.stack([d, -b], -1), jnp.stack([-c, a], -1)], -2)
