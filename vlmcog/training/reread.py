"""Which weights the backward pass reads anew, to keep no copy of them meanwhile: those of unrolled layers, in parts.

Done where it was measured, on one CPU in an order for memory. Where the whole batch is one part, XLA undoes it: it
finds that both readings are of one array.
"""

import dataclasses
from typing import Any

import jax

from vlmcog.models.boundary import Params
from vlmcog.models.products import LowRank, Reread
from vlmcog.training import adapters
from vlmcog.training.matrices import matrix_of


def stacked(params: Params) -> Params:
    """Returns parameters as an unrolled model takes them: a `Reread` in the place of each stack of matrices."""
    leaves = adapters.flatten(params)
    return adapters.unflatten({name: _reread(name, leaf) for name, leaf in leaves.items()})


def _reread(name: str, leaf: Any) -> Any:
    if isinstance(leaf, LowRank):
        return dataclasses.replace(leaf, base=_reread(name, leaf.base))
    matrix = matrix_of(name)
    is_stack = isinstance(leaf, jax.Array) and matrix is not None and matrix.stacked(leaf.ndim)
    return Reread.of(leaf) if is_stack else leaf
