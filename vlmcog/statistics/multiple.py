"""Many tests at once."""

import numpy as np
from jaxtyping import Float


def holm(p_values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Corrects p-values so that the chance of any false alarm is kept (Holm, 1979, Scand. J. Statistics 6, 65-70).

    The k-th smallest of m is multiplied by m - k + 1, made no smaller than those before it and at most 1. Undefined
    tests (NaN) stay so and don't count.
    """
    adjusted = np.full(len(p_values), np.nan)
    defined = np.flatnonzero(~np.isnan(p_values))
    order = defined[np.argsort(p_values[defined], kind="stable")]
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(order) else scaled
    return adjusted
