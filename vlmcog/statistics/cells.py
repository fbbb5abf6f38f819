"""Rows of a long table that share a person, an item and a predictor, added up: a likelihood needs no more."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """The rows' outcomes, added up.

    Attributes:
      person: index of the person.
      item: index of the item; all 0 where items have no effect.
      x: the predictor.
      n: how many rows.
      y: the sum of the outcome.
      y_squared: the sum of its square.
    """

    person: Int[np.ndarray, " c"]
    item: Int[np.ndarray, " c"]
    x: Float[np.ndarray, " c"]
    n: Float[np.ndarray, " c"]
    y: Float[np.ndarray, " c"]
    y_squared: Float[np.ndarray, " c"]

    @property
    def people(self) -> int:
        """How many people there are."""
        return int(self.person.max()) + 1

    @property
    def items(self) -> int:
        """How many items there are."""
        return int(self.item.max()) + 1


def add_up(person: np.ndarray, item: np.ndarray, x: np.ndarray, y: np.ndarray) -> Cells:
    """Returns the cells of rows; people and items are numbered anew, from 0, without gaps."""
    keys, cell = np.unique(np.stack([person, item, x]), axis=1, return_inverse=True)
    n, total, squares = (np.bincount(cell.ravel(), weights=values) for values in (np.ones_like(y), y, y**2))
    _, people = np.unique(keys[0], return_inverse=True)
    _, items = np.unique(keys[1], return_inverse=True)
    return Cells(people.ravel(), items.ravel(), keys[2], n, total, squares)
