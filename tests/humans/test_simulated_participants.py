import numpy as np
import pandas as pd

from vlmcog.humans import judgments
from vlmcog.humans.noisy_simulator import Noise, p_fall
from vlmcog.humans.simulated_participants import Population, is_simulated, simulated_judgments
from vlmcog.scenes.scene import Block
from vlmcog.statistics import ceilings


def two(offset):
    sizes = (0.2, 0.2, 0.2)
    return [Block(size=sizes, position=(0.0, 0.0, 0.1)), Block(size=sizes, position=(0.2 * offset, 0.0, 0.3))]


SCENES = {f"offset-{offset:g}": two(offset) for offset in (0.1, 0.35, 0.5, 0.65, 0.9)}


def matrix(table):
    return table.pivot(index="participant", columns="item", values="response")[list(SCENES)].to_numpy()


def test_they_are_a_judgment_table_and_are_never_called_people():
    table = simulated_judgments(SCENES, Population(Noise(0.1)), participants=3)
    checked = judgments.check(table, source="simulation")
    assert len(checked) == 15
    assert all(map(is_simulated, checked.participant))
    assert not is_simulated("p1")


def test_the_same_seed_makes_the_same_answers():
    make = [
        simulated_judgments(SCENES, Population(Noise(0.1), 0.3, 0.5, 0.1), participants=4, seed=s) for s in (0, 0, 1)
    ]
    pd.testing.assert_frame_equal(make[0], make[1])
    assert not make[0].equals(make[2])


def test_one_more_participant_leaves_the_others_as_they_were():
    few, more = (simulated_judgments(SCENES, Population(Noise(0.1), 0.3), participants=n) for n in (3, 4))
    pd.testing.assert_frame_equal(few, more.iloc[: len(few)])


def test_their_share_of_yes_is_the_simulator_s():
    table = simulated_judgments(SCENES, Population(Noise(0.1)), participants=100, simulations=20)
    falls = [p_fall(blocks, Noise(0.1), n=10_000) for blocks in SCENES.values()]
    np.testing.assert_allclose(matrix(table).mean(0), falls, atol=4 * 0.5 / 10)


def test_lapses_are_answers_at_random():
    table = simulated_judgments(SCENES, Population(Noise(0.01), lapse=1.0), participants=100, simulations=10)
    np.testing.assert_allclose(matrix(table).mean(0), 0.5, atol=4 * 0.5 / 10)


def test_biases_make_participants_differ():
    same, biased = (
        matrix(simulated_judgments(SCENES, Population(Noise(0.3), bias=bias), participants=50, simulations=20))
        for bias in (0.0, 2.0)
    )
    assert biased.mean(1).std() > 1.3 * same.mean(1).std()


def test_participants_of_less_noise_are_more_often_right():
    truth = np.array([0, 0, 0, 1, 1], float)
    accuracies = [
        ceilings.individual_accuracy(
            matrix(simulated_judgments(SCENES, Population(Noise(n)), participants=30, simulations=20)), truth
        )
        for n in (0.02, 0.1, 0.5)
    ]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.85
