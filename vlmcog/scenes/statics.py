"""When a single column of blocks stands: the analytic support-polygon test.

A column of rigid blocks with flat contacts stands if, at every joint, the centre of mass of all blocks above lies
over the overlap of the two faces that touch there. Friction plays no part, since every force is vertical.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from vlmcog.scenes.scene import BOX, Block


def column_margin(
    *,
    sizes: Float[np.ndarray, "*b n 3"],
    centres: Float[np.ndarray, "*b n 2"],
    yaws: Float[np.ndarray, "*b n"],
    densities: Float[np.ndarray, "*b n"] | None = None,
) -> Float[np.ndarray, "*b"]:
    """Returns the static margin of columns of `n` blocks, listed from the ground up.

    The margin is the distance from the centre of mass above a joint to the edge of the overlap of the two faces, in
    sides (the smallest horizontal edge of the two blocks), at the joint where it is smallest: positive where the
    column stands, negative where it falls. The overlap of two rectangles is an intersection of eight half-planes, and
    inside it the smallest distance to their edges is the distance to its boundary.

    Args:
      sizes: full edge lengths in metres, last axis (x, y, z) in the block's own frame.
      centres: horizontal centres in metres.
      yaws: turns about the vertical axis in radians.
      densities: in any one unit; all equal where None.
    """
    masses = (np.prod(sizes, axis=-1) * (1.0 if densities is None else densities))[..., None]
    above = np.flip(np.cumsum(np.flip(masses * centres, -2), -2) / np.cumsum(np.flip(masses, -2), -2), -2)[..., 1:, :]
    lower = _distance_to_edge(above, sizes[..., :-1, :2], centres[..., :-1, :], yaws[..., :-1])
    upper = _distance_to_edge(above, sizes[..., 1:, :2], centres[..., 1:, :], yaws[..., 1:])
    side = np.minimum(sizes[..., :-1, :2].min(-1), sizes[..., 1:, :2].min(-1))
    return (np.minimum(lower, upper) / side).min(-1)


def tower_margin(blocks: Sequence[Block]) -> float:
    """Returns the static margin, in sides, of a tower of upright blocks listed from the ground up."""
    return tower_margins([blocks])[0]


def tower_margins(towers: Sequence[Sequence[Block]]) -> list[float]:
    """Returns the static margins of towers that have the same number of blocks."""
    orientations = np.array([[block.orientation for block in tower] for tower in towers])
    margins = column_margin(
        sizes=np.array([[block.size for block in tower] for tower in towers]),
        centres=np.array([[block.position[:2] for block in tower] for tower in towers]),
        yaws=2 * np.arctan2(orientations[..., 3], orientations[..., 0]),
        densities=np.array([[block.density for block in tower] for tower in towers]),
    )
    return margins.tolist()


def is_column(blocks: Sequence[Block]) -> bool:
    """Whether these are loose, level boxes, listed from the ground up, each resting on the one before."""
    tops = np.cumsum([block.size[2] for block in blocks])
    bottoms = np.array([block.position[2] - block.size[2] / 2 for block in blocks])
    stacked = np.abs(bottoms - [0, *tops[:-1]]).max() < 1e-6
    return bool(stacked) and all(block.shape == BOX and not block.fixed and _is_level(block) for block in blocks)


def _is_level(block: Block) -> bool:
    return abs(block.orientation[1]) < 1e-9 and abs(block.orientation[2]) < 1e-9


def _distance_to_edge(points: np.ndarray, edges: np.ndarray, centres: np.ndarray, yaws: np.ndarray) -> np.ndarray:
    """Signed distance of points [*b, 2] to the edges of turned rectangles, positive inside."""
    x, y = np.moveaxis(points - centres, -1, 0)
    local = np.stack([x * np.cos(yaws) + y * np.sin(yaws), y * np.cos(yaws) - x * np.sin(yaws)], -1)
    return (edges / 2 - np.abs(local)).min(-1)
