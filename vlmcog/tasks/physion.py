"""Intuitive physics in Physion's clips (Bear et al., 2021): will two objects touch?"""

from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task

PHYSION_CONTACT = Task(
    name="physion_contact",
    domain="intuitive_physics",
    question="Will the red object touch the yellow object?",
    answers=binary(),
)
