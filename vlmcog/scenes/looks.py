"""How a scene looks: palettes, materials, backdrops, light and camera ranges, as data."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from vlmcog.errors import UserError, did_you_mean
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.scene import Block, Camera, Light, Scene, Surface, Vector

Range = tuple[float, float]

RED = "red"


@dataclasses.dataclass(frozen=True)
class Look:
    """The distribution that a scene's appearance is drawn from; every range is uniform.

    Attributes:
      palette: the blocks' colours by name, sRGB. Red is kept for the red block where a question names it.
      block_material: the blocks' material (see `materials.py`).
      supports: the grounds to choose from.
      backdrops: the walls to choose from; None is open sky.
      colour_jitter: the largest change of each sRGB channel.
      light_elevation: radians above the horizon.
      light_radius: angular radius in radians: the width of the penumbra.
      light_warmth: how far the light's blue is pulled down.
      ambient: the share of light that reaches shadows.
      camera_azimuth: the largest turn to either side, radians.
      camera_elevation: radians above the horizon.
      field_of_view: radians.
      slack: the picture's width in units of what has to fit into it.
    """

    name: str
    palette: dict[str, Vector]
    block_material: str
    supports: tuple[Surface, ...]
    backdrops: tuple[Surface | None, ...]
    colour_jitter: float
    light_elevation: Range
    light_radius: Range
    light_warmth: Range
    ambient: Range
    camera_azimuth: float = 0.35
    camera_elevation: Range = (0.12, 0.35)
    field_of_view: Range = (0.5, 0.8)
    slack: Range = (1.25, 1.6)


CUBEWORLD = Look(
    name="cubeworld",
    palette={
        "red": (0.82, 0.10, 0.10),
        "green": (0.18, 0.60, 0.22),
        "blue": (0.14, 0.30, 0.78),
        "yellow": (0.95, 0.80, 0.12),
        "purple": (0.50, 0.22, 0.65),
        "turquoise": (0.15, 0.70, 0.70),
        "white": (0.90, 0.90, 0.88),
        "black": (0.12, 0.12, 0.13),
    },
    block_material="plain",
    supports=(
        Surface("plain", (0.62, 0.62, 0.60)),
        Surface("checker", (0.66, 0.64, 0.58)),
        Surface("noise", (0.50, 0.56, 0.44)),
        Surface("plain", (0.72, 0.66, 0.56)),
    ),
    backdrops=(None,),
    colour_jitter=0.06,
    light_elevation=(0.6, 1.1),
    light_radius=(0.03, 0.10),
    light_warmth=(0.0, 0.15),
    ambient=(0.30, 0.45),
)

WOODEN = Look(
    name="wooden",
    palette={
        "red": (0.62, 0.12, 0.14),
        "green": (0.16, 0.42, 0.24),
        "blue": (0.18, 0.32, 0.62),
        "yellow": (0.88, 0.82, 0.22),
        "natural": (0.76, 0.58, 0.36),
    },
    block_material="wood",
    supports=(Surface("cloth", (0.80, 0.77, 0.73)), Surface("cloth", (0.72, 0.70, 0.68))),
    backdrops=(Surface("cloth", (0.72, 0.69, 0.65)), Surface("cloth", (0.62, 0.60, 0.58))),
    colour_jitter=0.05,
    light_elevation=(0.7, 1.2),
    light_radius=(0.10, 0.25),
    light_warmth=(0.10, 0.30),
    ambient=(0.45, 0.60),
    slack=(1.25, 1.8),
)

LOOKS: dict[str, Look] = {look.name: look for look in (CUBEWORLD, WOODEN)}


def get_look(name: str) -> Look:
    """Returns the look of that name; raises UserError with the nearest name where there is none."""
    if name not in LOOKS:
        raise UserError(f"no look {name!r}{did_you_mean(name, LOOKS)}; the looks are {', '.join(LOOKS)}")
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
      blocks: blocks where they stand; touching blocks get different colours.
      look: the distribution to draw from.
      rng: the source of every draw.
      named: colours of the palette by the index of the one block that is to have it; no other block does.
      drawn: bodies that are only seen, as they are.
    """
    names = _colour_names(len(blocks), look, rng, named or {})
    coloured = tuple(
        block if block.fixed else _paint(block, name, look, rng) for block, name in zip(blocks, names, strict=True)
    )
    return Scene(
        kind=kind,
        blocks=coloured,
        support=_jittered(look.supports[rng.integers(len(look.supports))], look, rng),
        backdrop=_backdrop(look, rng),
        camera=_camera(blocks, look, rng),
        light=_light(look, rng),
        look=look.name,
        seed=int(rng.integers(2**31)),
        drawn=tuple(drawn),
    )


def _colour_names(count: int, look: Look, rng: np.random.Generator, named: Mapping[int, str]) -> list[str]:
    usable = [name for name in look.palette if name not in named.values()]
    names: list[str] = []
    for index in range(count):
        allowed = [name for name in usable if not names or name != names[-1]]
        names.append(named.get(index) or allowed[rng.integers(len(allowed))])
    return names


def _paint(block: Block, name: str, look: Look, rng: np.random.Generator) -> Block:
    colour = _jitter(look.palette[name], look, rng)
    return dataclasses.replace(block, colour=colour, colour_name=name, material=look.block_material)


def _jitter(colour: Vector, look: Look, rng: np.random.Generator) -> Vector:
    red, green, blue = np.clip(np.add(colour, rng.uniform(-1, 1, 3) * look.colour_jitter), 0, 1).tolist()
    return (red, green, blue)


def _jittered(surface: Surface, look: Look, rng: np.random.Generator) -> Surface:
    return dataclasses.replace(surface, colour=_jitter(surface.colour, look, rng))


def _backdrop(look: Look, rng: np.random.Generator) -> Surface | None:
    backdrop = look.backdrops[rng.integers(len(look.backdrops))]
    return backdrop and _jittered(backdrop, look, rng)


def _camera(blocks: Sequence[Block], look: Look, rng: np.random.Generator) -> Camera:
    """A camera that looks at the middle of the blocks from the front (-y), far enough that all of them fit."""
    points = np.concatenate([corners(block) for block in blocks])
    centre = (points.min(0) + points.max(0)) / 2
    radius = np.linalg.norm(points - centre, axis=-1).max()
    azimuth = rng.uniform(-1, 1) * look.camera_azimuth
    elevation = rng.uniform(*look.camera_elevation)
    field_of_view = rng.uniform(*look.field_of_view)
    distance = radius * rng.uniform(*look.slack) / math.sin(field_of_view / 2)
    towards_camera = np.array(
        [math.sin(azimuth) * math.cos(elevation), -math.cos(azimuth) * math.cos(elevation), math.sin(elevation)]
    )
    shift = rng.uniform(-1, 1, 3) * 0.2 * radius
    return Camera(
        position=_vector(centre + shift + distance * towards_camera),
        target=_vector(centre + shift),
        field_of_view=field_of_view,
    )


def _light(look: Look, rng: np.random.Generator) -> Light:
    """A light from the front half of the sky, so that the faces that the camera sees are lit."""
    azimuth = rng.uniform(-1.2, 1.2)
    elevation = rng.uniform(*look.light_elevation)
    warmth = rng.uniform(*look.light_warmth)
    return Light(
        direction=(
            math.sin(azimuth) * math.cos(elevation),
            -math.cos(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ),
        radius=rng.uniform(*look.light_radius),
        colour=(1.0, 1.0 - 0.4 * warmth, 1.0 - warmth),
        ambient=rng.uniform(*look.ambient),
    )


def _vector(values: np.ndarray) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)
