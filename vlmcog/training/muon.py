"""Muon (Jordan et al. 2024, https://arxiv.org/abs/2502.16982): orthogonalised momentum for the layers' matrices.

A weight that is stored with more than two axes, for heads or stacked layers, is still one matrix or a stack of them;
the table says which of its axes are the matrix's. Whatever is no matrix in a layer (embeddings, norms, biases, the
image projection) is left to Adam. Updates are scaled to Adam's root mean square, so one learning rate serves both.
"""

import re
from typing import Any

import jax
import optax
from jaxtyping import PyTree
from optax.contrib import MuonDimensionNumbers, muon

from vlmcog.training.config import OptimizerConfig
from vlmcog.training.rules import name_of

ADAM_RMS = 0.2

MATRICES = (  # pattern, axes that a product sums over, axes that it leaves
    (r".*/(query|key|value)/kernel", (1,), (2, 3)),  # [l, d, n, h]
    (r".*/out/kernel", (1, 2), (3,)),  # [l, n, h, d]
    (r".*/MlpBlock_0/Dense_[01]/kernel", (1,), (2,)),  # [l, d, f]
    (r".*/q_einsum/w", (2,), (1, 3)),  # [l, n, d, h]
    (r".*/kv_einsum/w", (3,), (2, 4)),  # [l, 2, k, d, h]
    (r".*/attn_vec_einsum/w", (1, 2), (3,)),  # [l, n, h, d]
    (r".*/gating_einsum", (2,), (3,)),  # [l, 2, d, f]
    (r".*/mlp/linear", (1,), (2,)),  # [l, f, d]
)


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
    )


def dimension_numbers(params: Any) -> Any:
    """Returns, at each parameter, which axes make a matrix; None where it is left to Adam."""
    return jax.tree_util.tree_map_with_path(lambda path, _: _axes(name_of(path)), params)


def _axes(name: str) -> MuonDimensionNumbers | None:
    for pattern, summed, left in MATRICES:
        if re.fullmatch(pattern, name):
            return MuonDimensionNumbers(summed, left)
    return None
