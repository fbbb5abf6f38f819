"""One factor at a time: a scene with one thing about its look changed and everything else as it was.

What a model does along such a sweep tells what breaks it: bodies, truth and all other draws are the same.
"""

import colorsys
import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from vlmcog.errors import UserError, did_you_mean
from vlmcog.scenes.clutter import place_clutter
from vlmcog.scenes.framing import back_off, towards
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.look_file import SKY, ClutterRange
from vlmcog.scenes.scene import MATERIALS, Camera, Scene, Surface, Vector

Level = float | str

_CLUTTER_COLOURS = ((0.25, 0.40, 0.60), (0.75, 0.72, 0.50), (0.30, 0.55, 0.35), (0.55, 0.55, 0.58))


@dataclasses.dataclass(frozen=True)
class Factor:
    """Something about a scene's look.

    Attributes:
      change: returns the scene with the factor at a level.
      levels: those of a sweep, by default.
      least: the lowest level; None where levels are words.
      most: the highest.
      unit: what a level is, in a few words.
    """

    change: Callable[[Scene, Level], Scene]
    levels: tuple[Level, ...]
    least: float | None
    most: float | None
    unit: str


def sweep(scene: Scene, factor: str, levels: Sequence[Level] = ()) -> list[Scene]:
    """Returns the scene at each level of one factor; see `vary`."""
    return [vary(scene, factor, level) for level in levels or get_factor(factor).levels]


def vary(scene: Scene, factor: str, level: Level) -> Scene:
    """Returns the scene with one factor at a level: bodies, and all else that is drawn, are the same.

    Where a level of a camera's factor would cut something off, the camera moves back.

    Raises:
      UserError: no such factor, or a level that it can't have.
    """
    chosen = get_factor(factor)
    return chosen.change(scene, _checked(factor, chosen, level))


def get_factor(name: str) -> Factor:
    """Returns the factor of that name; raises UserError with the nearest name where there is none."""
    if name not in FACTORS:
        raise UserError(f"no factor {name!r}{did_you_mean(name, FACTORS)}; the factors are {', '.join(FACTORS)}")
    return FACTORS[name]


def _checked(name: str, factor: Factor, level: Level) -> Level:
    if factor.least is None or factor.most is None:
        if level not in factor.levels:
            raise UserError(f"{name} at {level!r}: the levels are {', '.join(map(str, factor.levels))}")
        return level
    try:
        value = float(level)
    except ValueError:
        value = math.nan
    if not factor.least <= value <= factor.most:
        raise UserError(f"{name} at {level!r}: a number from {factor.least:g} to {factor.most:g} is needed")
    return value


def _light(field: str) -> Callable[[Scene, Level], Scene]:
    return lambda scene, level: _with_light(scene, **{field: float(level)})


def _with_light(scene: Scene, **changes) -> Scene:
    return dataclasses.replace(scene, light=dataclasses.replace(scene.light, **changes))


def _light_elevation(scene: Scene, level: Level) -> Scene:
    x, y, _ = scene.light.direction
    return _with_light(scene, direction=_vector(towards(math.atan2(x, -y), float(level))))


def _light_azimuth(scene: Scene, level: Level) -> Scene:
    return _with_light(scene, direction=_vector(towards(float(level), math.asin(scene.light.direction[2]))))


def _camera_elevation(scene: Scene, level: Level) -> Scene:
    distance, azimuth, _ = _around_target(scene.camera)
    return _seen_from(scene, distance * towards(azimuth, float(level)))


def _camera_azimuth(scene: Scene, level: Level) -> Scene:
    distance, _, elevation = _around_target(scene.camera)
    return _seen_from(scene, distance * towards(float(level), elevation))


def _distance(scene: Scene, level: Level) -> Scene:
    away = np.subtract(scene.camera.position, scene.camera.target)
    return _seen_from(scene, float(level) * away)


def _field_of_view(scene: Scene, level: Level) -> Scene:
    """A wider lens from so much nearer that the target fills as much of the picture."""
    old, new = scene.camera.field_of_view, float(level)
    away = np.subtract(scene.camera.position, scene.camera.target) * math.tan(old / 2) / math.tan(new / 2)
    widened = dataclasses.replace(scene, camera=dataclasses.replace(scene.camera, field_of_view=new))
    return _seen_from(widened, away)


def _around_target(camera: Camera) -> tuple[float, float, float]:
    """Distance, azimuth and elevation of the camera as seen from what it looks at."""
    x, y, z = np.subtract(camera.position, camera.target).tolist()
    distance = math.hypot(x, y, z)
    return distance, math.atan2(x, -y), math.asin(z / distance)


def _seen_from(scene: Scene, away: np.ndarray) -> Scene:
    camera = dataclasses.replace(scene.camera, position=_vector(np.add(scene.camera.target, away)))
    points = np.concatenate([corners(body) for body in (*scene.blocks, *scene.drawn)])
    return dataclasses.replace(scene, camera=back_off(camera, points))


def _saturation(scene: Scene, level: Level) -> Scene:
    blocks = tuple(
        dataclasses.replace(block, colour=_recoloured(block.colour, lambda h, s, v: (h, s * float(level), v)))
        for block in scene.blocks
    )
    return dataclasses.replace(scene, blocks=blocks)


def _hue(scene: Scene, level: Level) -> Scene:
    """Ground and wall in one hue, as strong as plain paint; blocks keep theirs, which questions name."""
    painted = [
        surface and Surface(surface.material, _recoloured(surface.colour, lambda h, s, v: (float(level), 0.35, v)))
        for surface in (scene.support, scene.backdrop)
    ]
    return dataclasses.replace(scene, support=painted[0], backdrop=painted[1])


def _recoloured(colour: Vector, change: Callable[[float, float, float], Vector]) -> Vector:
    return colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*colour)))


def _texture(scene: Scene, level: Level) -> Scene:
    blocks = tuple(dataclasses.replace(block, material=str(level)) for block in scene.blocks)
    return dataclasses.replace(scene, blocks=blocks)


def _ground(scene: Scene, level: Level) -> Scene:
    return dataclasses.replace(scene, support=dataclasses.replace(scene.support, material=str(level)))


def _backdrop(scene: Scene, level: Level) -> Scene:
    wall = scene.backdrop or scene.support
    return dataclasses.replace(scene, backdrop=None if level == SKY else Surface(str(level), wall.colour))


def _distractors(scene: Scene, level: Level) -> Scene:
    """As many things around as asked, where there is room; those of fewer are among those of more."""
    others = tuple(body for body in scene.drawn if body.colour_name != "clutter")
    ranges = ClutterRange(count=(float(level), float(level)), size=(0.08, 0.16), colours=_CLUTTER_COLOURS)
    things = place_clutter((*scene.blocks, *others), scene.camera, ranges, np.random.default_rng(scene.seed))
    return dataclasses.replace(scene, drawn=(*others, *things))


def _sensor(field: str) -> Callable[[Scene, Level], Scene]:
    kind = int if field == "jpeg_quality" else float
    return lambda scene, level: dataclasses.replace(
        scene, sensor=dataclasses.replace(scene.sensor, **{field: kind(level)})
    )


def _vector(values: np.ndarray) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)


FACTORS: dict[str, Factor] = {
    "light_elevation": Factor(_light_elevation, (0.3, 0.5, 0.7, 0.9, 1.1, 1.3), 0.1, 1.5, "radians above the horizon"),
    "light_azimuth": Factor(_light_azimuth, (-1.2, -0.7, -0.2, 0.2, 0.7, 1.2), -math.pi, math.pi, "radians"),
    "light_radius": Factor(_light("radius"), (0.0, 0.03, 0.06, 0.12, 0.25, 0.4), 0.0, 0.5, "radians"),
    "ambient": Factor(_light("ambient"), (0.1, 0.25, 0.4, 0.55, 0.7, 0.9), 0.0, 1.0, "share of light in shadows"),
    "camera_elevation": Factor(_camera_elevation, (0.05, 0.2, 0.35, 0.55, 0.8, 1.1), 0.02, 1.5, "radians"),
    "camera_azimuth": Factor(_camera_azimuth, (-0.9, -0.5, -0.2, 0.2, 0.5, 0.9), -1.5, 1.5, "radians"),
    "distance": Factor(_distance, (1.0, 1.3, 1.7, 2.2, 3.0, 4.0), 0.5, 10.0, "times as far"),
    "field_of_view": Factor(_field_of_view, (0.15, 0.3, 0.5, 0.7, 0.9, 1.2), 0.1, 1.5, "radians"),
    "saturation": Factor(_saturation, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), 0.0, 1.5, "times the blocks' own"),
    "hue": Factor(_hue, (0.08, 0.17, 0.33, 0.5, 0.67, 0.83), 0.0, 1.0, "turns, of ground and wall"),
    "texture": Factor(_texture, MATERIALS, None, None, "material of the blocks"),
    "ground": Factor(_ground, MATERIALS, None, None, "material"),
    "backdrop": Factor(_backdrop, (SKY, *MATERIALS), None, None, "material, or the open sky"),
    "distractors": Factor(_distractors, (0, 1, 2, 3, 4, 5), 0, 12, "things behind the blocks"),
    "distortion": Factor(_sensor("distortion"), (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15), -0.2, 0.2, "radial coefficient"),
    "vignette": Factor(_sensor("vignette"), (0.0, 0.15, 0.3, 0.45, 0.6, 0.8), 0.0, 0.9, "share of light lost"),
    "blur": Factor(_sensor("blur"), (0.0, 2.0, 4.0, 8.0, 12.0, 20.0), 0.0, 40.0, "thousandths of the width"),
    "exposure": Factor(_sensor("exposure"), (0.3, 0.5, 0.8, 1.2, 1.8, 2.6), 0.2, 4.0, "times the light"),
    "noise": Factor(_sensor("noise"), (0.0, 0.02, 0.05, 0.1, 0.15, 0.25), 0.0, 0.5, "standard deviation"),
    "jpeg_quality": Factor(_sensor("jpeg_quality"), (5, 10, 20, 40, 70, 95), 0, 100, "of 100; 0 for none"),
}
