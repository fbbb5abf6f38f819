"""Which parameters are matrices, and which of their axes make one.

A weight that is stored with more than two axes, for heads or stacked layers, is still one matrix or a stack of them.
Muon orthogonalises along these axes, adapters and quantisation sum over them, tensor parallelism splits one.
"""

import dataclasses
import re
from typing import Literal

Part = Literal["vision", "connector", "language"]
Kind = Literal["attention", "mlp", "connector"]

PARTS: tuple[tuple[str, Part], ...] = (("img/head/.*", "connector"), ("img/.*", "vision"), (".*", "language"))


@dataclasses.dataclass(frozen=True)
class Matrix:
    """The axes of a stack of matrices; those that are neither summed nor left stack them.

    Attributes:
      kind: what the matrix is for.
      summed: axes that a product sums over.
      left: axes that it leaves.
      split: the axis that devices of one tensor-parallel group divide: of heads, or of the MLP's width.
    """

    kind: Kind
    summed: tuple[int, ...]
    left: tuple[int, ...]
    split: int

    @property
    def stacked(self) -> tuple[int, ...]:
        """The axes that stack matrices."""
        axes = self.summed + self.left
        return tuple(axis for axis in range(max(axes) + 1) if axis not in axes)


MATRICES: tuple[tuple[str, Matrix], ...] = (
    (r".*/(query|key|value)/kernel", Matrix("attention", (1,), (2, 3), split=2)),  # [l, d, n, h]
    (r".*/out/kernel", Matrix("attention", (1, 2), (3,), split=1)),  # [l, n, h, d]
    (r".*/MlpBlock_0/Dense_0/kernel", Matrix("mlp", (1,), (2,), split=2)),  # [l, d, f]
    (r".*/MlpBlock_0/Dense_1/kernel", Matrix("mlp", (1,), (2,), split=1)),  # [l, f, d]
    (r".*/q_einsum/w", Matrix("attention", (2,), (1, 3), split=1)),  # [l, n, d, h]
    (r".*/kv_einsum/w", Matrix("attention", (3,), (2, 4), split=2)),  # [l, 2, k, d, h]
    (r".*/attn_vec_einsum/w", Matrix("attention", (1, 2), (3,), split=1)),  # [l, n, h, d]
    (r".*/gating_einsum", Matrix("mlp", (2,), (3,), split=3)),  # [l, 2, d, f]
    (r".*/mlp/linear", Matrix("mlp", (1,), (2,), split=1)),  # [l, f, d]
    (r"img/head/kernel", Matrix("connector", (0,), (1,), split=1)),  # [c, d]
)


def matrix_of(name: str) -> Matrix | None:
    """Returns the axes of a parameter; None for embeddings, norms, biases and convolutions."""
    return next((matrix for pattern, matrix in MATRICES if re.fullmatch(pattern, name)), None)


def part_of(name: str) -> Part:
    """Returns the part of the model that a parameter belongs to."""
    return next(part for pattern, part in PARTS if re.fullmatch(pattern, name))
