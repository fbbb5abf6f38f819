"""What is there to see: neutral questions about any synthetic scene, which ask for no physics and no cause.

A model that learns from them sees and reads, and knows nothing yet of what falls. Their truths follow from the scene
alone, so they can be put to the scenes of every set (see `datasets.read`). A question is left out where its answer
would be a matter of taste: two blocks equally high, a block near the middle, a pile about as tall as wide.
"""

import numpy as np

from vlmcog.scenes.framing import project
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.labelled import LabelledScene
from vlmcog.scenes.scene import Block, Scene
from vlmcog.tasks.answer_space import binary, choice, count
from vlmcog.tasks.task import Task

DOMAIN = "perception"
MOST_BLOCKS = 15
_OFF_CENTRE = 0.1  # of half the picture's width
_CLEARLY = 1.1  # times as tall as wide, or the other way round


def _count(labelled: LabelledScene) -> int | None:
    n = len(_movable(labelled.scene))
    return n if n <= MOST_BLOCKS else None


def _has_blue(labelled: LabelledScene) -> int:
    return int(any(block.colour_name == "blue" for block in _movable(labelled.scene)))


def _top_colour(labelled: LabelledScene) -> int | None:
    top = _top(labelled.scene)
    return {"red": 0, "blue": 1}.get(top.colour_name) if top else None


def _top_side(labelled: LabelledScene) -> int | None:
    top = _top(labelled.scene)
    if top is None:
        return None
    across = float(project(labelled.scene.camera, np.array([top.position]))[0, 0])
    return int(across > 0) if abs(across) > _OFF_CENTRE else None


def _is_tall(labelled: LabelledScene) -> int | None:
    points = np.concatenate([corners(block) for block in _movable(labelled.scene)])
    wide, tall = np.ptp(project(labelled.scene.camera, points)[:, :2], axis=0)
    return int(tall > wide) if max(tall, wide) > _CLEARLY * min(tall, wide) else None


def _red_above_blue(labelled: LabelledScene) -> int | None:
    red, blue = ([b for b in _movable(labelled.scene) if b.colour_name == name] for name in ("red", "blue"))
    if not len(red) == len(blue) == 1 or not _differ_in_height(red[0], blue[0]):
        return None
    return int(red[0].position[2] > blue[0].position[2])


def _top(scene: Scene) -> Block | None:
    """The highest block; None where another is about as high."""
    *_, second, top = sorted(_movable(scene), key=lambda block: block.position[2])
    return top if _differ_in_height(top, second) else None


def _differ_in_height(first: Block, second: Block) -> bool:
    return abs(first.position[2] - second.position[2]) > min(*first.size, *second.size) / 2


def _movable(scene: Scene) -> list[Block]:
    return [block for block in scene.blocks if not block.fixed]


def _task(name: str, question: str, answers, truth) -> Task:
    return Task(name, DOMAIN, question, answers, truth)


PERCEPTION = (
    _task("block_count", "How many blocks are there?", count(MOST_BLOCKS), _count),
    _task("has_blue", "Is there a blue block?", binary(), _has_blue),
    _task("top_colour", "Is the top block red or blue?", choice("red", "blue"), _top_colour),
    _task("top_side", "Is the top block on the left or on the right?", choice("left", "right"), _top_side),
    _task("is_tall", "Is the pile taller than wide?", binary(), _is_tall),
    _task("red_above_blue", "Is the red block above the blue block?", binary(), _red_above_blue),
)
