"""How far a model's distribution over the options is from the people's, item by item.

Distributions have options on the last axis and items on the one before it, and broadcast over the rest, so that a
bootstrap resamples all at once.
"""

import numpy as np
from jaxtyping import Float

from vlmcog.statistics.ceilings import Responses

SMALLEST = 1e-6


def human_distribution(responses: Responses, n_options: int) -> Float[np.ndarray, "items options"]:
    """The share of people who chose each option of each item; NaN where nobody answered."""
    chosen = np.stack([(responses == option).sum(0) for option in range(n_options)], -1).astype(float)
    n = chosen.sum(-1, keepdims=True)
    return np.where(n > 0, chosen / np.maximum(n, 1), np.nan)


def kl_divergence(
    human: Float[np.ndarray, "*r n o"], model: Float[np.ndarray, "*r n o"], *, smallest: float = SMALLEST
) -> Float[np.ndarray, "*r"]:
    """The mean over items of KL(human || model) = sum_o h_o log(h_o / m_o), in nats (Kullback & Leibler, 1951).

    A model that gives an option that people chose no probability at all would be infinitely far: probabilities are
    raised to `smallest` and rescaled to sum to 1. See `kl_bias` for what is to be expected of a perfect model.
    """
    raised = np.maximum(model, smallest)
    raised = raised / raised.sum(-1, keepdims=True)
    terms = np.where(human > 0, human * (np.log(np.where(human > 0, human, 1.0)) - np.log(raised)), 0.0)
    return np.asarray(terms.sum(-1).mean(-1))


def kl_bias(model: Float[np.ndarray, "n o"], n_people: Float[np.ndarray, " n"]) -> float:
    """The KL to be expected of a model that is exactly right, since people are few: mean of (k - 1) / 2n.

    k is the number of options that the model holds possible (above `SMALLEST`), n the item's number of answers
    (Miller, 1955, Note on the bias of information estimates). It is an approximation for many people an option.
    """
    return float((((model > SMALLEST).sum(-1) - 1) / (2 * n_people)).mean())


def root_mean_square_error(
    human: Float[np.ndarray, "*r n o"], model: Float[np.ndarray, "*r n o"]
) -> Float[np.ndarray, "*r"]:
    """The root of the mean squared difference of shares over items and options.

    For two options this is the root of the mean of (P(yes) - share of yes)^2, the distance to people of Physion (Bear
    et al., 2021).
    """
    return np.asarray(np.sqrt(np.square(human - model).mean((-1, -2))))
