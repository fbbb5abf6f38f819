import base64
import io

import numpy as np
from PIL import Image

from vlmcog.evaluation import examples
from vlmcog.evaluation.people import gather


def drawn(trials, answers_table, *, count=20, truths=None, responses=None, seed=0, size=16):
    rng = np.random.default_rng(1)
    source = trials(count, truths=truths, responses=responses, size=size)
    answers = answers_table(rng.dirichlet([1, 1], size=count), [trial.answer for trial in source])
    people = gather(source, answers.item)
    return source, examples.examples(source, answers, people, seed=seed)


def test_a_few_right_and_a_few_wrong(trials, answers_table):
    _, chosen = drawn(trials, answers_table)
    assert [example.response == example.answer for example in chosen] == [True] * 3 + [False] * 3
    assert len({example.item for example in chosen}) == 6


def test_where_there_is_no_truth_any_will_do(trials, answers_table):
    _, chosen = drawn(trials, answers_table, truths=np.full(20, -1))
    assert len(chosen) == 3


def test_the_seed_decides(trials, answers_table):
    chosen = [[e.item for e in drawn(trials, answers_table, seed=seed)[1]] for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_picture_and_the_people_are_the_item_s_own(trials, answers_table):
    responses = np.random.default_rng(2).integers(2, size=(5, 20)).astype(float)
    source, chosen = drawn(trials, answers_table, responses=responses)
    for example in chosen:
        index = [trial.item for trial in source].index(example.item)
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(example.png))))
        np.testing.assert_array_equal(picture, source[index].image)
        assert example.people == responses[:, index].mean()


def test_those_on_which_model_and_people_differ_most_come_first(trials, answers_table):
    responses = np.tile(np.array([0.0, 1.0, 1.0, np.nan, 1.0]), (4, 1))
    source = trials(5, responses=responses)
    p_yes = np.array([0.9, 0.2, 0.7, 1.0, 1.0])
    answers = answers_table(np.stack([1 - p_yes, p_yes], -1), [trial.answer for trial in source])
    chosen = examples.differing(source, answers, gather(source, answers.item), most=3)
    assert [example.item for example in chosen] == ["item-0", "item-1", "item-2"]
    assert [example.people for example in chosen] == [0.0, 1.0, 1.0]


def test_large_pictures_shrink(trials, answers_table):
    _, chosen = drawn(trials, answers_table, size=400)
    assert Image.open(io.BytesIO(base64.b64decode(chosen[0].png))).size == (192, 192)


def test_round_trip(trials, answers_table):
    _, chosen = drawn(trials, answers_table)
    assert examples.from_json(examples.to_json(chosen)) == chosen
