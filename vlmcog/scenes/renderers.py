"""Drawing scenes by whichever renderer their looks ask for."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from vlmcog.scenes import path_tracer
from vlmcog.scenes import render as rays
from vlmcog.scenes.look_file import MITSUBA, RAYS
from vlmcog.scenes.looks import LOOKS
from vlmcog.scenes.scene import Scene


def render(
    scenes: Sequence[Scene], size: int = rays.DEFAULT_SIZE, *, description: str = "", renderer: str | None = None
) -> UInt8[np.ndarray, "n s s 3"]:
    """Renders scenes to sRGB images of `size` x `size` pixels.

    Args:
      scenes: what to render.
      size: pixels a side.
      description: shows progress under this name where it isn't empty.
      renderer: one of `look_file.RENDERERS` for all scenes; by default what the shipped look of each asks for, and
        our own for scenes of other looks.

    Raises:
      UserError: Mitsuba is asked for and isn't installed.
    """
    by = [renderer or renderer_of(scene) for scene in scenes]
    if MITSUBA in by:
        path_tracer.check_installed()
    images = np.zeros((len(scenes), size, size, 3), np.uint8)
    for name, draw in ((RAYS, rays.render), (MITSUBA, path_tracer.render)):
        chosen = [index for index, one in enumerate(by) if one == name]
        if chosen:
            images[chosen] = draw([scenes[index] for index in chosen], size, description=description)
    return images


def renderer_of(scene: Scene) -> str:
    """The renderer that the shipped look of a scene asks for."""
    return LOOKS[scene.look].renderer if scene.look in LOOKS else RAYS
