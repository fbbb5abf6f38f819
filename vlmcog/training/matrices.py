"""Which parameters are matrices, and which of their axes make one.

A weight that is stored with more than two axes, for heads or stacked layers, is still one matrix or a stack of them.
Muon orthogonalises along these axes, adapters and quantisation sum over them, tensor parallelism splits one.
"""

import dataclasses
import re
from typing import Literal

Part = Literal["vision", "connector", "language"]
Kind = Literal["attention", "mlp", "connector"]

# The first pattern that matches a whole name decides.
PARTS: tuple[tuple[str, Part], ...] = (
    ("(img|txt)/head/.*|projector/.*|resampler/.*|img/merger_.*", "connector"),
    ("img/.*", "vision"),
    (".*", "language"),
)


@dataclasses.dataclass(frozen=True)
class Matrix:
    """The axes of a stack of matrices, counted from the last one; those before them stack the matrices.

    Attributes:
      kind: what the matrix is for.
      summed: axes that a product sums over.
      left: axes that it leaves.
      split: the axis that devices of one tensor-parallel group divide: of heads, or of the MLP's width; None for none.
    """

    kind: Kind
    summed: tuple[int, ...]
    left: tuple[int, ...]
    split: int | None

    def stacked(self, n_axes: int) -> tuple[int, ...]:
        """Returns the axes that stack matrices in a weight of `n_axes` axes."""
        return tuple(range(-n_axes, -len(self.summed + self.left)))


_HEADS_IN = Matrix("attention", (-3,), (-2, -1), split=-2)  # [d, n, h]
_HEADS_OUT = Matrix("attention", (-3, -2), (-1,), split=-3)  # [n, h, d]
_MLP_IN, _MLP_OUT = Matrix("mlp", (-2,), (-1,), split=-1), Matrix("mlp", (-2,), (-1,), split=-2)  # [d, f], [f, d]
MATRICES: tuple[tuple[str, Matrix], ...] = (
    (r".*/(query|key|value)/kernel", _HEADS_IN),
    (r".*/(out/kernel|attn_vec_einsum/w)", _HEADS_OUT),
    (r".*/(q_einsum|kv_einsum)/w", Matrix("attention", (-2,), (-3, -1), split=-3)),  # [n, d, h]
    (r".*/(MlpBlock_0|mlp)/Dense_0/kernel", _MLP_IN),
    (r".*/(MlpBlock_0|mlp)/Dense_1/kernel", _MLP_OUT),
    (r".*/(mlp_in/kernel|mlp/(gate|up)/kernel|mlp/gating_einsum)", _MLP_IN),
    (r".*/(mlp_out/kernel|mlp/down/kernel|mlp/linear)", _MLP_OUT),
    (r"(img|txt)/head/kernel|projector/kernel|img/merger_(in|out)/kernel", Matrix("connector", (-2,), (-1,), None)),
)


def matrix_of(name: str) -> Matrix | None:
    """Returns the axes of a parameter; None for embeddings, norms, biases, convolutions and read-outs."""
    return next((matrix for pattern, matrix in MATRICES if re.fullmatch(pattern, name)), None)


def part_of(name: str) -> Part:
    """Returns the part of the model that a parameter belongs to."""
    return next(part for pattern, part in PARTS if re.fullmatch(pattern, name))
