"""Paths of what moved, drawn as arrows that lie on the ground: dark on a white band, to be seen on any ground."""

import math

import numpy as np
from jaxtyping import Float

from vlmcog.scenes.geometry import turned
from vlmcog.scenes.scene import Block, Vector

PATH = "path"
"""The colour name of all that a path is drawn with."""

_INK: Vector = (0.08, 0.08, 0.09)
_BAND: Vector = (0.96, 0.96, 0.95)
_BAND_SHARE = 2.4
_HEAD = 5.0
_HEAD_ANGLE = math.radians(150)


def arrow(start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], *, width: float) -> tuple[Block, ...]:
    """Returns the flat boxes of an arrow on the ground between two points (x, y), its line `width` metres wide."""
    along = end - start
    yaw, length = math.atan2(along[1], along[0]), float(np.linalg.norm(along))
    lines = [(start, yaw, length)]
    lines += [(end, yaw + side * _HEAD_ANGLE, _HEAD * width) for side in (-1, 1)]
    return tuple(
        _line(*line, width=share * width, colour=colour, top=top * width)
        for line in lines
        for share, colour, top in ((_BAND_SHARE, _BAND, 0.1), (1.0, _INK, 0.2))
    )


def _line(start: np.ndarray, yaw: float, length: float, *, width: float, colour: Vector, top: float) -> Block:
    """A strip that begins and ends half its width beyond its two points."""
    x, y = (start + length / 2 * np.array([math.cos(yaw), math.sin(yaw)])).tolist()
    return Block(
        size=(length + width, width, top),
        position=(x, y, top / 2),
        orientation=turned(yaw),
        colour=colour,
        colour_name=PATH,
    )
