"""What varies in a set: every factor of its trials and their scenes as a column of numbers or names."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vlmcog.datasets.features import Trial

Value = float | str

TRIAL_FACTORS: dict[str, Callable[[Trial], Value]] = {
    "number of blocks": lambda trial: str(trial.n_blocks),
    "height, m": lambda trial: trial.height,
    "static margin, block sides": lambda trial: trial.margin,
    "top-block offset, block sides": lambda trial: trial.top_offset,
    "confidence of the truth": lambda trial: trial.confidence,
}
SCENE_FACTORS: dict[str, Callable[[Mapping[str, Any]], Value]] = {
    "camera azimuth, rad": lambda scene: _azimuth(_towards(scene["camera"])),
    "camera elevation, rad": lambda scene: _elevation(_towards(scene["camera"])),
    "camera distance, m": lambda scene: math.hypot(*_towards(scene["camera"])),
    "field of view, rad": lambda scene: scene["camera"]["field_of_view"],
    "light azimuth, rad": lambda scene: _azimuth(scene["light"]["direction"]),
    "light elevation, rad": lambda scene: _elevation(scene["light"]["direction"]),
    "light radius, rad": lambda scene: scene["light"]["radius"],
    "light in shadows": lambda scene: scene["light"]["ambient"],
    "ground": lambda scene: scene["support"]["material"],
    "backdrop": lambda scene: scene["backdrop"]["material"] if scene["backdrop"] else "sky",
    "block shapes": lambda scene: _mix(block["shape"] for block in scene["blocks"]),
    "block materials": lambda scene: _mix(block["material"] for block in scene["blocks"]),
    "colour of the lowest block": lambda scene: scene["blocks"][0]["colour_name"],
    "colour of the highest block": lambda scene: scene["blocks"][-1]["colour_name"],
    "bodies only drawn": lambda scene: str(len(scene["drawn"])),
}


def factors(trials: Iterable[Trial]) -> dict[str, list[Value]]:
    """Returns the value of each factor for each trial; one that is unknown throughout is left out."""
    columns: dict[str, list[Value]] = {name: [] for name in (*TRIAL_FACTORS, *SCENE_FACTORS)}
    for trial in trials:
        scene = json.loads(trial.scene) if trial.scene else None
        for name, of_trial in TRIAL_FACTORS.items():
            columns[name].append(of_trial(trial))
        for name, of_scene in SCENE_FACTORS.items():
            columns[name].append(of_scene(scene) if scene else math.nan)
    return {name: values for name, values in columns.items() if not all(map(_is_unknown, values))}


def _is_unknown(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _towards(camera: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(p - t for p, t in zip(camera["position"], camera["target"], strict=True))


def _azimuth(direction: Iterable[float]) -> float:
    x, y, _ = direction
    return math.atan2(x, -y)


def _elevation(direction: Iterable[float]) -> float:
    x, y, z = direction
    return math.atan2(z, math.hypot(x, y))


def _mix(names: Iterable[str]) -> str:
    return ", ".join(sorted(Counter(names)))
