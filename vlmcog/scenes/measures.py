"""Simple measures of a scene: the columns of a data set, and the shortcuts that must not solve it."""

import math

from vlmcog.scenes.geometry import corners
from vlmcog.scenes.scene import Scene


def n_blocks(scene: Scene) -> int:
    """The number of blocks, furniture not counted."""
    return sum(not block.fixed for block in scene.blocks)


def height(scene: Scene) -> float:
    """The height of the highest corner above the ground, in metres."""
    return max(float(corners(block)[:, 2].max()) for block in scene.blocks)


def top_offset(scene: Scene) -> float:
    """The horizontal distance between the centres of the first (bottom) and last (top) block, in sides."""
    bottom, top = scene.blocks[0], scene.blocks[-1]
    return math.dist(bottom.position[:2], top.position[:2]) / min(bottom.size[:2])
