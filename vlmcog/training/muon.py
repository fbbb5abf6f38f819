"""Muon (Jordan et al. 2024, https://arxiv.org/abs/2502.16982): orthogonalised momentum for the layers' matrices.

Whatever is no matrix in a layer (embeddings, norms, biases, the image projection, adapters) is left to Adam. Updates
are scaled to Adam's root mean square, so one learning rate serves both.
"""

from typing import Any

import jax
import optax
from jaxtyping import PyTree
from optax.contrib import MuonDimensionNumbers, muon

from vlmcog.training.config import OptimizerConfig
from vlmcog.training.matrices import matrix_of
from vlmcog.training.rules import name_of

ADAM_RMS = 0.2


def build(config: OptimizerConfig, schedule: optax.Schedule, decayed: PyTree[bool]) -> optax.GradientTransformation:
    """Returns Muon with decoupled weight decay; `beta1` and `beta2` are those of its Adam."""
    return muon(
        schedule,
        weight_decay=config.weight_decay,
        weight_decay_mask=lambda _: decayed,
        adam_b1=config.beta1,
        adam_b2=config.beta2,
        adam_weight_decay=config.weight_decay,
        muon_weight_dimension_numbers=dimension_numbers,
        consistent_rms=ADAM_RMS,
        mu_dtype=config.moment_dtype,
    )


def dimension_numbers(params: Any) -> Any:
    """Returns, at each parameter, which axes make a matrix; None where it is left to Adam."""
    return jax.tree_util.tree_map_with_path(lambda path, _: _axes(name_of(path)), params)


def _axes(name: str) -> MuonDimensionNumbers | None:
    matrix = matrix_of(name)
    return MuonDimensionNumbers(matrix.summed, matrix.left) if matrix and matrix.kind != "connector" else None
