"""Intuitive psychology: a blue agent helps or hinders a red one (Wu et al., 2023)."""

from vlmcog.tasks.answer_space import rating
from vlmcog.tasks.task import Task

AGENTS_INTENTION = Task(
    name="agents_intention",
    domain="intuitive_psychology",
    question="Did blue want to hinder (0) or to help (100) red?",
    answers=rating(),
)

AGENTS_COUNTERFACTUAL = Task(
    name="agents_counterfactual",
    domain="intuitive_psychology",
    question="Would red have succeeded without blue, 0-100?",
    answers=rating(),
)
