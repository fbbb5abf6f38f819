import dataclasses
import math

import numpy as np
import pytest

from vlmcog.humans import heuristics
from vlmcog.humans.noisy_simulator import Noise, falling
from vlmcog.scenes import generate
from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.looks import LOOKS, dress
from vlmcog.scenes.scene import Block
from vlmcog.tasks.registry import get_task


@dataclasses.dataclass(frozen=True)
class Stimulus:
    task: str = "tower_falls"
    options: tuple[str, ...] = ("no", "yes")
    answer: int = 1
    n_blocks: int = 3
    top_offset: float = 0.2
    scene: str = ""
    outcome: str = ""


def scene_of(blocks):
    return dress("tower", blocks, LOOKS["cubeworld"], np.random.default_rng(0)).to_json()


def tower(offset):
    sizes = (0.2, 0.2, 0.2)
    blocks = (Block(size=sizes, position=(0.0, 0.0, 0.1)), Block(size=sizes, position=(0.2 * offset, 0.0, 0.3)))
    outcome = Outcome((False, offset > 0.5)).to_json()
    return Stimulus(n_blocks=2, top_offset=offset, answer=int(offset > 0.5), scene=scene_of(blocks), outcome=outcome)


def stimulus_of(labelled, task):
    """A trial's question about a scene."""
    task = get_task(task)
    return Stimulus(
        task=task.name,
        options=task.answers.options,
        answer=task.truth(labelled),
        n_blocks=0,
        top_offset=math.nan,
        scene=labelled.scene.to_json(),
        outcome=labelled.outcome.to_json(),
    )


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
    if observe in (heuristics.height, heuristics.lean):
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


KINDS = [
    ("towers", ["tower_falls"]),
    ("mixed", ["mixed_tower_falls"]),
    ("tops", ["top_falls"]),
    ("sides", ["side_falls"]),
    ("counterweights", ["beam_falls"]),
    ("boards", ["board_tips"]),
    ("pyramids", ["red_block_any", "red_block_count"]),
    pytest.param("walls", ["red_block_any", "red_block_count"], marks=pytest.mark.slow),
    pytest.param("heaps", ["red_brick_any", "red_brick_count", "red_brick_responsible"], marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "tasks"), KINDS)
def test_the_noisy_simulator_answers_every_question_about_what_falls(kind, tasks):
    """Without noise it is right about every scene; with some it isn't sure of all."""
    make = generate.maker(kind, seed=0, split="test", split_size="small", look="cubeworld")
    scenes = [make(index).labelled for index in range(4)]
    for task in tasks:
        stimuli = [stimulus_of(labelled, task) for labelled in scenes]
        for stimulus in stimuli:
            exact = heuristics.noisy_simulator(stimulus, Noise(0.0))
            np.testing.assert_array_equal(exact, np.eye(len(stimulus.options))[stimulus.answer])
        noisy = np.array([heuristics.noisy_simulator(stimulus, Noise(0.3)) for stimulus in stimuli])
        np.testing.assert_allclose(noisy.sum(-1), 1)
        assert (noisy.max(-1) < 1).any()


def test_a_block_seen_inside_another_is_seen_where_it_is():
    """Two blocks side by side on the ground can only be pushed apart by noise that lets them overlap."""
    beside = [Block(size=(0.2, 0.2, 0.2), position=(x, 0.0, 0.1)) for x in (0.0, 0.21)]
    assert not falling(beside, Noise(0.3), n=50).any()


def test_the_noisy_simulator_has_a_reason_for_every_silence():
    assert heuristics.why_not_simulated(tower(0.2)) == ""
    assert heuristics.why_not_simulated(Stimulus()) == "no scene to simulate"
    rolling = generate.maker("gates", seed=0, split="test", split_size="small", look="cubeworld")(0).labelled
    stimulus = stimulus_of(rolling, "gate_passed")
    assert heuristics.why_not_simulated(stimulus) == "the scene does not hold how its balls roll"
    assert heuristics.noisy_simulator(stimulus) is None
    assert not heuristics.takes_long(stimulus)
    assert not heuristics.takes_long(tower(0.2))


def test_a_push_makes_a_standing_scene_fall():
    make = generate.maker("pyramids", seed=0, split="test", split_size="small", look="cubeworld")
    labelled = next(made for made in (make(index).labelled for index in range(10)) if not any(made.outcome.fell))
    stimulus = stimulus_of(labelled, "red_block_any")
    assert heuristics.noisy_simulator(stimulus, Noise(0.0))[1] == 0
    assert heuristics.noisy_simulator(stimulus, Noise(0.0, force=2.0))[1] > 0.3
