"""Dressing bare blocks in a look: what a scene looks like is drawn from the look's ranges."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from vlmcog.errors import UserError, did_you_mean
from vlmcog.scenes.clutter import place_clutter
from vlmcog.scenes.colour import distance
from vlmcog.scenes.framing import place_camera, towards
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.look_file import NAMEABLE, RED, Look, read_look
from vlmcog.scenes.scene import Block, Camera, Light, Scene, Sensor, Surface, Vector

__all__ = ["LOOKS", "RED", "Look", "dress", "get_look"]

Option = TypeVar("Option")

_FOLDER = pathlib.Path(__file__).parent / "appearances"
_FIRST = ("cubeworld", "wooden")
_REDRAWS = 100
_TOUCH = 1e-3  # metres


def _shipped() -> dict[str, Look]:
    """The looks by name, first those of the quickstart: the first other one is what a model is put to next."""
    looks = {path.stem: read_look(path) for path in sorted(_FOLDER.glob("*.toml"))}
    return {name: looks[name] for name in (*_FIRST, *(name for name in looks if name not in _FIRST))}


LOOKS: dict[str, Look] = _shipped()


def get_look(name: str) -> Look:
    """Returns the look of that name, or that of a file where the name ends in `.toml`.

    Raises:
      UserError: no such look, with the nearest name, or a file that isn't one.
    """
    if name.endswith(".toml"):
        return read_look(pathlib.Path(name))
    if name not in LOOKS:
        raise UserError(
            f"no look {name!r}{did_you_mean(name, LOOKS)}; the looks are {', '.join(LOOKS)}, and any FILE.toml"
        )
    return LOOKS[name]


def dress(
    kind: str,
    blocks: Sequence[Block],
    look: Look,
    rng: np.random.Generator,
    *,
    named: Mapping[int, str] | None = None,
    drawn: Sequence[Block] = (),
) -> Scene:
    """Gives bare blocks their colours, ground, camera and light; fixed blocks keep what they have.

    Args:
      kind: the kind of scene, such as `tower`.
      blocks: blocks where they stand; those that touch get different colours, while the palette has enough of them.
      look: the distribution to draw from.
      rng: the source of every draw.
      named: colours of the palette by the index of the one block that is to have it; no other block does, and nothing
        in the picture comes near it.
      drawn: bodies that are only seen, as they are. The look's clutter comes after them.
    """
    named = named or {}
    names = _colour_names(blocks, look, rng, named)
    kept = tuple(look.palette[name] for name in named.values())
    material = _choose(look.block_materials, rng)
    coloured = tuple(
        block if block.fixed else _paint(block, name, material, look, rng, () if name in named.values() else kept)
        for block, name in zip(blocks, names, strict=True)
    )
    support = _jittered(_choose(look.supports, rng), look, rng, kept)
    backdrop = _choose(look.backdrops, rng)
    backdrop = backdrop and _jittered(backdrop, look, rng, kept)
    camera = place_camera((*blocks, *drawn), look.camera, rng)
    light = _light(look, rng)
    seed = int(rng.integers(2**31))
    return Scene(
        kind=kind,
        blocks=coloured,
        support=support,
        backdrop=backdrop,
        camera=camera,
        light=light,
        look=look.name,
        seed=seed,
        drawn=(*drawn, *_clutter((*blocks, *drawn), camera, look, rng, kept)),
        sensor=_sensor(look, rng),
    )


def _colour_names(blocks: Sequence[Block], look: Look, rng: np.random.Generator, named: Mapping[int, str]) -> list[str]:
    usable = [name for name in look.palette if name not in named.values()]
    touching = _touching(blocks)
    names: list[str] = []
    for index in range(len(blocks)):
        beside = {names[other] for other in range(index) if touching[index, other]}
        others = [name for name in usable if not names or name != names[-1]]
        allowed = [name for name in others if name not in beside] or others
        names.append(named.get(index) or allowed[rng.integers(len(allowed))])
    return names


def _touching(blocks: Sequence[Block]) -> np.ndarray:
    """Which blocks' bounding boxes touch."""
    points = np.array([corners(block) for block in blocks])
    lowest, highest = points.min(1), points.max(1)
    return (lowest[:, None] <= highest[None] + _TOUCH).all(-1) & (lowest[None] <= highest[:, None] + _TOUCH).all(-1)


def _choose(options: Sequence[Option], rng: np.random.Generator) -> Option:
    return options[int(rng.integers(len(options)))]


def _paint(
    block: Block, name: str, material: str, look: Look, rng: np.random.Generator, kept: Sequence[Vector]
) -> Block:
    colour = _jitter(look.palette[name], look.colour_jitter, rng, kept)
    return dataclasses.replace(block, colour=colour, colour_name=name, material=material)


def _jittered(surface: Surface, look: Look, rng: np.random.Generator, kept: Sequence[Vector]) -> Surface:
    return dataclasses.replace(surface, colour=_jitter(surface.colour, look.surface_jitter, rng, kept))


def _jitter(colour: Vector, jitter: float, rng: np.random.Generator, kept: Sequence[Vector]) -> Vector:
    """A colour near the given one, drawn again while it is too near to one that is kept for a block."""
    for _ in range(_REDRAWS):
        red, green, blue = np.clip(np.add(colour, rng.uniform(-1, 1, 3) * jitter), 0, 1).tolist()
        if all(distance((red, green, blue), other) >= NAMEABLE for other in kept):
            return (red, green, blue)
    return colour


def _clutter(
    bodies: Sequence[Block], camera: Camera, look: Look, rng: np.random.Generator, kept: Sequence[Vector]
) -> tuple[Block, ...]:
    colours = tuple(
        colour for colour in look.clutter.colours if all(distance(colour, other) >= NAMEABLE for other in kept)
    )
    return place_clutter(bodies, camera, dataclasses.replace(look.clutter, colours=colours), rng) if colours else ()


def _light(look: Look, rng: np.random.Generator) -> Light:
    """A light from the front half of the sky, so that the faces that the camera sees are lit."""
    azimuth = rng.uniform(-1.2, 1.2)
    elevation = rng.uniform(*look.light.elevation)
    warmth = rng.uniform(*look.light.warmth)
    x, y, z = towards(azimuth, elevation).tolist()
    return Light(
        direction=(x, y, z),
        radius=rng.uniform(*look.light.radius),
        colour=(1.0, 1.0 - 0.4 * warmth, 1.0 - warmth),
        ambient=rng.uniform(*look.light.ambient),
    )


def _sensor(look: Look, rng: np.random.Generator) -> Sensor:
    ranges = look.sensor
    return Sensor(
        distortion=rng.uniform(*ranges.distortion),
        vignette=rng.uniform(*ranges.vignette),
        blur=rng.uniform(*ranges.blur),
        exposure=rng.uniform(*ranges.exposure),
        noise=rng.uniform(*ranges.noise),
        jpeg_quality=round(rng.uniform(*ranges.jpeg_quality)),
    )
