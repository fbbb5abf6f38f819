"""Causal reasoning about two balls and a gate (Gerstenberg et al., 2017): what happened, and what if A were not there?

People rate how much they agree with what the question says, from 0 (not at all) to 100 (very much).
"""

from vlmcog.tasks.answer_space import rating
from vlmcog.tasks.task import Task

MICHOTTE_OUTCOME = Task(
    name="michotte_outcome",
    domain="causal_reasoning",
    question="Did B go through the middle of the gate, 0-100?",
    answers=rating(),
)
MISSED = "Did B miss the gate, 0-100?"
"""What is asked instead about a clip in which B missed: people rate a statement that is true."""

MICHOTTE_COUNTERFACTUAL = Task(
    name="michotte_counterfactual",
    domain="causal_reasoning",
    question="Would B have gone through the gate had A not been there, 0-100?",
    answers=rating(),
)
