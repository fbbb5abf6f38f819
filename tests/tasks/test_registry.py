"""The tasks: found by name, and truths that agree with the outcome and with one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.scenes.labelled import LabelledScene, Outcome
from vlmcog.tasks.pyramids import MOST_BLOCKS, RED_BLOCK_ANY, RED_BLOCK_COUNT
from vlmcog.tasks.registry import TASKS, get_task
from vlmcog.tasks.towers import TOWER_FALLS

_fell = st.lists(st.booleans(), min_size=1, max_size=MOST_BLOCKS - 1).map(tuple)


def _labelled(fell) -> LabelledScene:
    return LabelledScene(scene=None, outcome=Outcome(fell=fell))  # the truths look at the outcome alone


@given(_fell)
def test_truths_agree_with_the_outcome(fell):
    labelled = _labelled(fell)
    assert TOWER_FALLS.answers.options[TOWER_FALLS.truth(labelled)] == ("yes" if True in fell else "no")
    assert RED_BLOCK_COUNT.answers.options[RED_BLOCK_COUNT.truth(labelled)] == str(fell.count(True))
    assert RED_BLOCK_ANY.truth(labelled) == (RED_BLOCK_COUNT.truth(labelled) > 0)


@pytest.mark.parametrize("name", TASKS)
def test_task_is_found_by_its_name(name):
    assert get_task(name).name == name


def test_unknown_task_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'tower_falls'"):
        get_task("tower_fall")


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_question_is_one_plain_line(task):
    assert task.question == task.question.strip()
    assert task.question.endswith("?")
    assert "\n" not in task.question
