"""The scene: bodies on a ground plane, a camera, a light and a look; pure data, equal after a JSON round trip.

Units are metres and radians; z points up and the ground is z = 0. Quaternions are (w, x, y, z).
"""

import dataclasses
import json
from typing import Any

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
UPRIGHT: Quaternion = (1.0, 0.0, 0.0, 0.0)

BOX, SPHERE, CYLINDER = "box", "sphere", "cylinder"
SHAPES = (BOX, SPHERE, CYLINDER)
MATERIALS = (
    *("plain", "checker", "wood", "noise", "cloth"),
    *("marble", "metal", "concrete", "fabric", "paper", "brick", "grid"),
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A solid body.

    Attributes:
      size: full extents along its own axes. A sphere's three are its diameter; a cylinder's axis is its own z, and its
        first two extents are its diameter.
      position: its centre.
      orientation: takes its own axes to the world's.
      colour: sRGB in [0, 1].
      colour_name: the colour's name in questions.
      material: how its surface looks (see `materials.py`).
      shape: one of SHAPES.
      density: kg/m^3.
      fixed: whether it is part of the furniture (a table, a wall): others rest on it, and it never moves.
    """

    size: Vector
    position: Vector
    orientation: Quaternion = UPRIGHT
    colour: Vector = (0.5, 0.5, 0.5)
    colour_name: str = "grey"
    material: str = "plain"
    shape: str = BOX
    density: float = 600.0
    fixed: bool = False


@dataclasses.dataclass(frozen=True)
class Surface:
    """How the ground or the backdrop looks: a material and its sRGB colour."""

    material: str
    colour: Vector


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera with a square picture: `field_of_view` is its full angle."""

    position: Vector
    target: Vector
    field_of_view: float


@dataclasses.dataclass(frozen=True)
class Light:
    """A distant light: `direction` points to it, `radius` is angular, `ambient` the share of light in shadows."""

    direction: Vector
    radius: float
    colour: Vector
    ambient: float


@dataclasses.dataclass(frozen=True)
class Sensor:
    """What the camera does to the picture; the defaults do nothing.

    Attributes:
      distortion: the lens's first radial coefficient: positive is a barrel, negative a pincushion.
      vignette: the share of light lost in the corners.
      blur: standard deviation of the blur, in thousandths of the picture's width.
      exposure: factor on linear light.
      noise: standard deviation of the noise in sRGB of [0, 1].
      jpeg_quality: 1 to 100 for the artefacts of such a JPEG; 0 for none.
    """

    distortion: float = 0.0
    vignette: float = 0.0
    blur: float = 0.0
    exposure: float = 1.0
    noise: float = 0.0
    jpeg_quality: int = 0


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything that physics and the renderer need.

    Attributes:
      kind: what sort of scene, such as `tower`.
      blocks: the bodies that are simulated.
      support: the ground.
      backdrop: the wall behind the blocks, absent where it is None.
      camera: where the picture is taken from.
      light: the one light.
      look: the name of the look that it was dressed in.
      seed: drives the procedural textures and the sensor's noise.
      drawn: bodies that are seen but not simulated: clutter, and the paths of what moved.
      sensor: what the camera does to the picture.
    """

    kind: str
    blocks: tuple[Block, ...]
    support: Surface
    backdrop: Surface | None
    camera: Camera
    light: Light
    look: str
    seed: int
    drawn: tuple[Block, ...] = ()
    sensor: Sensor = Sensor()

    def to_json(self) -> str:
        """Returns one line of JSON that `from_json` turns into an equal scene."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Scene":
        """Reads what `to_json` wrote; raises KeyError or TypeError where a field is missing or unknown."""
        fields = json.loads(text)
        return cls(
            **{
                **fields,
                "blocks": tuple(_from_dict(Block, block) for block in fields["blocks"]),
                "support": _from_dict(Surface, fields["support"]),
                "backdrop": fields["backdrop"] and _from_dict(Surface, fields["backdrop"]),
                "camera": _from_dict(Camera, fields["camera"]),
                "light": _from_dict(Light, fields["light"]),
                "drawn": tuple(_from_dict(Block, block) for block in fields["drawn"]),
                "sensor": _from_dict(Sensor, fields["sensor"]),
            }
        )


def _from_dict(cls: type, fields: dict[str, Any]) -> Any:
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
