"""The datasets, by name: a new one is a file named after it and one line here."""

import importlib

SYNTHETIC = {  # made from scenes; configured by look, split size and options
    "cubeworld_towers": "CubeworldTowers",
    "cubeworld_mixed": "CubeworldMixed",
    "cubeworld_pyramids": "CubeworldPyramids",
    "cubeworld_walls": "CubeworldWalls",
    "cubeworld_heaps": "CubeworldHeaps",
    "cubeworld_tops": "CubeworldTops",
    "cubeworld_sides": "CubeworldSides",
    "cubeworld_counterweights": "CubeworldCounterweights",
    "cubeworld_boards": "CubeworldBoards",
    "cubeworld_pairs": "CubeworldPairs",
    "cubeworld_minimal": "CubeworldMinimal",
    "cubeworld_gates": "CubeworldGates",
}
PUBLIC = {  # read from a public release; one configuration
    "lerer_towers": "LererTowers",
    "jenga": "Jenga",
    "michotte": "Michotte",
    "agents": "Agents",
    "physion": "Physion",
}
WITH_FRAMES = ("physion",)  # whose release has no pictures
NAMES = (*SYNTHETIC, *PUBLIC)


def builder_class(name: str) -> type:
    """Returns the TFDS builder class of a registered dataset; imported on demand, since TFDS is slow to import."""
    return getattr(importlib.import_module(f"vlmcog.datasets.{name}"), {**SYNTHETIC, **PUBLIC}[name])
