"""Whether chains of draws have converged, by the measures of Vehtari et al. (2021, Bayesian Analysis 16, 667-718)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpyro import diagnostics
from scipy import stats

Chains = Float[np.ndarray, "chains draws"]
MOST_R_HAT, LEAST_ESS, MOST_DIVERGENT = 1.01, 400, 0.01


def r_hat(draws: Chains) -> float:
    """Rank-normalised split R-hat, of the draws and of their distances from the median."""
    folded = np.abs(draws - np.median(draws))
    return max(float(diagnostics.split_gelman_rubin(_rank_normalised(x))) for x in (draws, folded))


def ess_bulk(draws: Chains) -> float:
    """How many independent draws would tell the centre as well."""
    return float(diagnostics.effective_sample_size(_rank_normalised(draws)))


def ess_tail(draws: Chains) -> float:
    """How many independent draws would tell the 5 and 95 % quantiles as well."""
    below = (draws <= np.quantile(draws, level) for level in (0.05, 0.95))
    return min(float(diagnostics.effective_sample_size(tail.astype(float))) for tail in below)


def failure(r_hat: float, ess: Sequence[float], divergences: int, draws: int) -> str:
    """Why draws can't be trusted; empty where they can.

    Args:
      r_hat: the largest of all parameters.
      ess: their smallest effective sample sizes.
      divergences: how many of the transitions diverged.
      draws: how many there are in all chains.
    """
    if not r_hat <= MOST_R_HAT:
        return f"did not converge: R-hat {r_hat:.3f} is over {MOST_R_HAT}"
    if not min(ess) >= LEAST_ESS:
        return f"too few effective draws: {min(ess):.0f} of at least {LEAST_ESS}"
    if divergences > MOST_DIVERGENT * draws:
        return f"{divergences} of {draws} draws diverged"
    return ""


def _rank_normalised(draws: Chains) -> Any:
    ranks = stats.rankdata(draws).reshape(draws.shape)
    return stats.norm.ppf((ranks - 0.375) / (draws.size + 0.25))
