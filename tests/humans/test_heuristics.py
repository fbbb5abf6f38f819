import dataclasses
import math

import numpy as np
import pytest

from vlmcog.humans import heuristics
from vlmcog.scenes.looks import LOOKS, dress
from vlmcog.scenes.scene import Block, Scene


@dataclasses.dataclass(frozen=True)
class Stimulus:
    task: str = "tower_falls"
    options: tuple[str, ...] = ("no", "yes")
    answer: int = 1
    n_blocks: int = 3
    top_offset: float = 0.2
    scene: str = ""


def scene_of(blocks):
    return dress("tower", blocks, LOOKS["cubeworld"], np.random.default_rng(0)).to_json()


def tower(offset):
    sizes = (0.2, 0.2, 0.2)
    blocks = (Block(size=sizes, position=(0.0, 0.0, 0.1)), Block(size=sizes, position=(0.2 * offset, 0.0, 0.3)))
    return Stimulus(n_blocks=2, top_offset=offset, answer=int(offset > 0.5), scene=scene_of(blocks))


def test_higher_towers_and_leaning_ones_fall():
    for rule, low, middle, high in (
        (heuristics.height, Stimulus(n_blocks=3), None, Stimulus(n_blocks=6)),
        (heuristics.lean, Stimulus(top_offset=0.3), Stimulus(top_offset=0.5), Stimulus(top_offset=0.7)),
    ):
        assert rule(low)[1] < 0.5 < rule(high)[1]
        assert middle is None or rule(middle)[1] == pytest.approx(0.5)


@pytest.mark.parametrize("observe", heuristics.OBSERVERS.values())
def test_answers_are_probabilities(observe):
    for stimulus in (tower(0.0), tower(0.3), tower(0.7)):
        probabilities = observe(stimulus)
        assert probabilities.shape == (2,)
        assert probabilities.min() >= 0
        assert probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("observe", heuristics.OBSERVERS.values())
def test_who_cannot_answer_says_nothing(observe):
    photograph = Stimulus(n_blocks=0, top_offset=math.nan)
    assert observe(photograph) is None
    if observe is not heuristics.exact_simulator:
        assert observe(dataclasses.replace(tower(0.3), task="red_block_any")) is None


def test_the_exact_simulator_is_right():
    for stimulus in (tower(0.2), tower(0.8)):
        assert np.argmax(heuristics.exact_simulator(stimulus)) == stimulus.answer
    assert heuristics.exact_simulator(dataclasses.replace(tower(0.2), answer=-1)) is None


def test_the_noisy_simulator_doubts_what_is_near_the_edge():
    p_yes = [heuristics.noisy_simulator(tower(offset))[1] for offset in (0.0, 0.45, 0.55, 1.0)]
    assert p_yes == sorted(p_yes)
    assert p_yes[0] < 0.01
    assert 0.2 < p_yes[1] < p_yes[2] < 0.8
    assert p_yes[3] > 0.99


def test_the_noisy_simulator_leaves_scenes_alone_that_take_long():
    blocks = (*Scene.from_json(tower(0.2).scene).blocks, Block(size=(0.2, 0.2, 0.2), position=(2.0, 0.0, 0.1)))
    assert heuristics.noisy_simulator(dataclasses.replace(tower(0.2), scene=scene_of(blocks))) is None
