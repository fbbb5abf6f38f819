"""A look as data: the type, and reading it from a TOML file whose tables and keys are the type's fields.

The looks that come with vlmcog are the files in `appearances/`; any other file of that form serves as well.
"""

import dataclasses
import pathlib
import re
import tomllib
import typing
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from vlmcog.errors import UserError, did_you_mean
from vlmcog.scenes.colour import distance
from vlmcog.scenes.scene import MATERIALS, SHAPES, Surface, Vector

Range = tuple[float, float]

RED = "red"
SKY = "sky"
BLOCK_SHAPES = ("any", "cubes", "cuboids")
RAYS, MITSUBA = "rays", "mitsuba"
RENDERERS = (RAYS, MITSUBA)
NAMEABLE = 20.0
"""The least CIELAB distance between a colour that a question names and any other in the picture."""


class Within(NamedTuple):
    """The least and the most that a number of a file may be."""

    least: float
    most: float


class Among(NamedTuple):
    """The words of which a word of a file is one."""

    words: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class LightRange:
    """Where the light is drawn from.

    Attributes:
      elevation: radians above the horizon.
      radius: angular radius in radians: the width of the penumbra.
      warmth: how far the light's blue is pulled down.
      ambient: the share of light that reaches shadows.
    """

    elevation: Annotated[Range, Within(0.1, 1.5)]
    radius: Annotated[Range, Within(0.0, 0.5)]
    warmth: Annotated[Range, Within(0.0, 1.0)]
    ambient: Annotated[Range, Within(0.0, 1.0)]


@dataclasses.dataclass(frozen=True)
class CameraRange:
    """Where the camera is drawn from.

    Attributes:
      azimuth: the largest turn to either side, radians.
      elevation: radians above the horizon.
      field_of_view: radians.
      slack: the picture's width in units of what has to fit into it.
    """

    azimuth: Annotated[float, Within(0.0, 1.0)] = 0.35
    elevation: Annotated[Range, Within(0.02, 1.5)] = (0.12, 0.35)
    field_of_view: Annotated[Range, Within(0.1, 1.5)] = (0.5, 0.8)
    slack: Annotated[Range, Within(1.1, 4.0)] = (1.25, 1.6)


@dataclasses.dataclass(frozen=True)
class SensorRange:
    """What the camera does to pictures; see `scene.Sensor` for the units."""

    distortion: Annotated[Range, Within(-0.2, 0.2)] = (0.0, 0.0)
    vignette: Annotated[Range, Within(0.0, 0.9)] = (0.0, 0.0)
    blur: Annotated[Range, Within(0.0, 20.0)] = (0.0, 0.0)
    exposure: Annotated[Range, Within(0.2, 4.0)] = (1.0, 1.0)
    noise: Annotated[Range, Within(0.0, 0.3)] = (0.0, 0.0)
    jpeg_quality: Annotated[Range, Within(0.0, 100.0)] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class ClutterRange:
    """Things that stand behind the blocks and are only seen.

    Attributes:
      count: how many, at least and at most.
      size: of each, in units of the radius of what the picture is about.
      colours: sRGB to choose from; none is near the palette's red.
      materials: to choose from.
      shapes: to choose from.
    """

    count: Annotated[Range, Within(0, 12)] = (0, 0)
    size: Annotated[Range, Within(0.02, 1.0)] = (0.1, 0.25)
    colours: tuple[Vector, ...] = ((0.5, 0.5, 0.5),)
    materials: Annotated[tuple[str, ...], Among(MATERIALS)] = ("plain",)
    shapes: Annotated[tuple[str, ...], Among(SHAPES)] = SHAPES


@dataclasses.dataclass(frozen=True)
class Look:
    """The distribution that a scene's appearance is drawn from; every range is uniform.

    Attributes:
      name: one lower-case word.
      palette: the blocks' colours by name, sRGB. Red is kept for the red block where a question names it.
      block_materials: the blocks' materials (see `materials.py`), one of which a scene's blocks have.
      supports: the grounds to choose from.
      backdrops: the walls to choose from; None, "sky" in a file, is open sky.
      colour_jitter: the largest change of each sRGB channel of a block.
      surface_jitter: the same of the ground and the wall.
      light: where the light is drawn from.
      camera: where the camera is drawn from.
      sensor: what the camera does to the picture.
      clutter: what stands around.
      block_shape: the shapes of block that suit it, one of BLOCK_SHAPES.
      renderer: what draws it, one of RENDERERS.
    """

    name: str
    palette: dict[str, Vector]
    block_materials: Annotated[tuple[str, ...], Among(MATERIALS)]
    supports: tuple[Surface, ...]
    backdrops: tuple[Surface | None, ...]
    colour_jitter: Annotated[float, Within(0.0, 0.5)]
    surface_jitter: Annotated[float, Within(0.0, 0.5)]
    light: LightRange
    camera: CameraRange = CameraRange()
    sensor: SensorRange = SensorRange()
    clutter: ClutterRange = ClutterRange()
    block_shape: Annotated[str, Among(BLOCK_SHAPES)] = "any"
    renderer: Annotated[str, Among(RENDERERS)] = RAYS


def read_look(path: pathlib.Path) -> Look:
    """Reads a look from a TOML file; it is named as the file is.

    Raises:
      UserError: no such file, not TOML, or a key or value that a look can't have.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the look {path}: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"look {path} is not TOML: {error}") from error
    if not re.fullmatch("[a-z]+", path.stem):
        raise UserError(f"look {path}: a look is named as its file, by one lower-case word, such as {SKY}.toml")
    look = _Reader(path).record(Look, {"name": path.stem, **tables}, "")
    _check_colours(look, path)
    return look


def _check_colours(look: Look, path: pathlib.Path) -> None:
    """Refuses palettes where red could not be told from the others."""
    if RED not in look.palette:
        raise UserError(f"look {path}: palette has no red, which questions name; add `red = [r, g, b]`")
    if len(look.palette) < 3:
        raise UserError(f"look {path}: palette has {len(look.palette)} colours; blocks that touch need 3 or more")
    others = {f"palette.{name}": colour for name, colour in look.palette.items() if name != RED}
    others |= {f"clutter.colours[{i}]": colour for i, colour in enumerate(look.clutter.colours)}
    for key, colour in others.items():
        away = float(distance(colour, look.palette[RED]))
        if away < NAMEABLE:
            raise UserError(
                f"look {path}: {key} = {list(colour)} is too near to red (CIELAB distance {away:.0f}, "
                f"at least {NAMEABLE:.0f} is needed); choose another colour"
            )


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Turns what a TOML file holds into the types above, naming file, key and value where it can't be."""

    path: pathlib.Path

    def record(self, cls: type, table: Any, key: str) -> Any:
        if not isinstance(table, dict):
            raise self.error(key, table, "a table is needed")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in table:
            if name not in fields:
                raise UserError(f"look {self.path}: no key {_join(key, name)!r}{did_you_mean(name, fields)}")
        for name, field in fields.items():
            if name not in table and field.default is dataclasses.MISSING:
                raise UserError(f"look {self.path}: {_join(key, name)!r} is missing")
        hints = typing.get_type_hints(cls, include_extras=True)
        return cls(**{name: self.value(hints[name], table[name], _join(key, name)) for name in table})

    def value(self, hint: Any, value: Any, key: str) -> Any:
        """Reads a value of the type `hint`, annotated with its limits where it has any."""
        limits: Any = None
        kind = hint
        if typing.get_origin(hint) is Annotated:
            kind, limits = typing.get_args(hint)
        if dataclasses.is_dataclass(kind):
            return self.record(typing.cast(type, kind), value, key)
        if kind == Range:
            return self.range(value, limits, key)
        if kind is float:
            return self.number(value, limits, key)
        if kind is str:
            return self.word(value, limits, key)
        if kind == dict[str, Vector]:
            return self.colours(value, key)
        return self.items(typing.get_args(kind)[0], limits, value, key)

    def range(self, value: Any, limits: Within, key: str) -> Range:
        low, high = value if _is_list(value, 2) else (value, value)
        low, high = self.number(low, limits, key), self.number(high, limits, key)
        if low > high:
            raise self.error(key, value, "the lower end comes first")
        return (low, high)

    def colours(self, value: Any, key: str) -> dict[str, Vector]:
        if not isinstance(value, dict):
            raise self.error(key, value, "a table of colours is needed")
        return {name: self.colour(colour, _join(key, name)) for name, colour in value.items()}

    def items(self, kind: Any, among: Among | None, value: Any, key: str) -> tuple:
        if not isinstance(value, list) or not value:
            raise self.error(key, value, "a list of at least one is needed")
        read: dict[Any, Callable[[Any, str], Any]] = {
            str: lambda one, at: self.word(one, among, at),
            Vector: self.colour,
            Surface: self.surface,
            Surface | None: lambda one, at: None if one == SKY else self.surface(one, at),
        }
        return tuple(read[kind](one, f"{key}[{index}]") for index, one in enumerate(value))

    def surface(self, value: Any, key: str) -> Surface:
        if not isinstance(value, dict) or set(value) != {"material", "colour"}:
            raise self.error(key, value, "a table of `material` and `colour` is needed")
        material = self.word(value["material"], Among(MATERIALS), _join(key, "material"))
        return Surface(material, self.colour(value["colour"], _join(key, "colour")))

    def colour(self, value: Any, key: str) -> Vector:
        if not _is_list(value, 3):
            raise self.error(key, value, "three numbers, red, green and blue, are needed")
        red, green, blue = (self.number(channel, Within(0.0, 1.0), key) for channel in value)
        return (red, green, blue)

    def word(self, value: Any, among: Among | None, key: str) -> str:
        if not isinstance(value, str):
            raise self.error(key, value, "a word is needed")
        if among and value not in among.words:
            raise self.error(key, value, f"there are {', '.join(among.words)}{did_you_mean(value, among.words)}")
        return value

    def number(self, value: Any, limits: Within, key: str) -> float:
        least, most = limits
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.error(key, value, f"a number from {least:g} to {most:g} is needed")
        return float(value)

    def error(self, key: str, value: Any, needed: str) -> UserError:
        return UserError(f"look {self.path}: {key} = {value!r}: {needed}")


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
