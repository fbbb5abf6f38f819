"""Causal reasoning about bricks on a table (Zhou et al., 2023): what if the grey brick were not there?"""

from vlmcog.tasks.answer_space import count, rating
from vlmcog.tasks.task import Task

MOST_RED_BRICKS = 19

JENGA_COUNT = Task(
    name="jenga_count",
    domain="causal_reasoning",
    question="How many red bricks would fall off the table if the dark grey brick were not there?",
    answers=count(MOST_RED_BRICKS),
)

JENGA_RESPONSIBILITY = Task(
    name="jenga_responsibility",
    domain="causal_reasoning",
    question="How responsible is the dark grey brick for the others staying on, 0-100 %?",
    answers=rating(),
)
