"""Rotations as (w, x, y, z) quaternions, and where a block's corners are."""

import itertools
import math

import numpy as np

from vlmcog.scenes.scene import Block, Quaternion


def turned(yaw: float) -> Quaternion:
    """The orientation of a block turned by `yaw` radians about the vertical axis."""
    return (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))


def rotation_matrix(quaternion: Quaternion) -> np.ndarray:
    """Returns the 3 x 3 matrix that takes the block's own coordinates to the world's."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def corners(block: Block) -> np.ndarray:
    """Returns the 8 x 3 corners of a block in metres."""
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    return np.asarray(block.position) + (signs * block.size) @ rotation_matrix(block.orientation).T
