"""The scene: blocks on a ground plane, a camera, a light and a look; pure data, equal after a JSON round trip.

Units are metres and radians; z points up and the ground is z = 0. Quaternions are (w, x, y, z).
"""

import dataclasses
import json
from typing import Any

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
UPRIGHT: Quaternion = (1.0, 0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Block:
    """A cuboid: `size` holds full edge lengths, `colour` is sRGB in [0, 1], `colour_name` its name in questions."""

    size: Vector
    position: Vector
    orientation: Quaternion = UPRIGHT
    colour: Vector = (0.5, 0.5, 0.5)
    colour_name: str = "grey"
    material: str = "plain"


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
class Scene:
    """Everything that physics and the renderer need; `seed` drives the procedural textures.

    `support` is the ground that blocks rest on; `backdrop` is the wall behind them, absent where it is None.
    """

    kind: str
    blocks: tuple[Block, ...]
    support: Surface
    backdrop: Surface | None
    camera: Camera
    light: Light
    look: str
    seed: int

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
            }
        )


def _from_dict(cls: type, fields: dict[str, Any]) -> Any:
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
