"""Answer spaces: every option is read back, whatever surrounds it; what names no option, or two, is never an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.tasks.answer_space import METRICS, binary, choice, count, rating
from vlmcog.tasks.registry import TASKS

SPACES = [binary(), binary("stands", "falls"), choice("left", "right", "both sides"), count(14), rating()]
_options = st.sampled_from(SPACES).flatmap(
    lambda space: st.tuples(st.just(space), st.integers(0, len(space.options) - 1))
)
_casing = st.sampled_from([str, str.upper, str.title])
_around = st.sampled_from(
    ["{}", "{}.", " {}\n", "**{}**", "({})", "My reply: {}!", "{}, I believe.", '"{}"', "I say {}"]
)


@given(_options, _casing, _around)
def test_every_option_is_read_in_any_case_and_wrapping(option, casing, around):
    space, index = option
    assert space.read(around.format(casing(space.options[index]))) == index


@given(_options, st.data())
def test_two_options_are_unreadable(option, data):
    space, index = option
    other = data.draw(st.integers(0, len(space.options) - 1).filter(lambda other: other != index))
    assert space.read(f"{space.options[index]} or {space.options[other]}") is None


@given(st.sampled_from(SPACES), st.text("xyz -.,\n"))
def test_other_text_is_unreadable(space, reply):
    assert space.read(reply) is None


@given(st.integers(-200, 200))
def test_number_outside_the_space_is_unreadable(number):
    assert count(14).read(str(number)) == (number if 0 <= number <= 14 else None)


@pytest.mark.parametrize(
    "reply", ["1.5", "-3", "1,234", "0,1,2", "12th", "nobody knows", "yesterday", "yes/no", "", "15"]
)
def test_near_misses_are_unreadable(reply):
    assert count(14).read(reply) is None
    assert binary().read(reply) is None


def test_binary_space_has_two_options_that_differ():
    with pytest.raises(ValueError, match="differ"):
        binary("yes", "Yes!")
    with pytest.raises(ValueError, match="two options"):
        type(binary())("binary", ("a", "b", "c"))


@pytest.mark.parametrize("space", SPACES)
def test_metrics_follow_the_kind(space):
    assert space.metrics == METRICS[space.kind]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_options_of_every_task_are_read_back(task):
    assert [task.answers.read(option) for option in task.answers.options] == list(range(len(task.answers.options)))
