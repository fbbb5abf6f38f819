"""Who errs on the same items: every two of people, model and observers."""

import itertools

import numpy as np
import pandas as pd

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.evaluation.people import People
from vlmcog.statistics import error_consistency as ec
from vlmcog.statistics.multiple import holm
from vlmcog.statistics.permutation import accuracy_test

COLUMNS = (
    "evaluated_on",
    "first",
    "second",
    "error_consistency",
    "ci_low",
    "ci_high",
    "observed",
    "expected",
    "lowest",
    "highest",
    "accuracy_difference",
    "p_holm",
    "n",
)


def consistency(answers: pd.DataFrame, people: People | None) -> pd.DataFrame:
    """Compares every two of a set's models and observers, and people as one more, in the items that have a truth.

    A row holds their error consistency (Geirhos et al. 2020) with its 95 % interval over items, the agreement observed,
    that expected of independent errors, the least and the greatest value that the two accuracies allow; and the
    difference of the accuracies with a p-value of the paired permutation test, Holm-corrected over the set. With people
    it is the mean over them, and of two people the mean over pairs, without the columns that have no such mean.

    Args:
      answers: tables of the models' and observers' answers to the same items, one below the other.
      people: what people said, if anything.
    """
    known = answers.loc[answers.answer != NO_ANSWER]
    correct = {
        str(name): (rows.response == rows.answer).to_numpy() for name, rows in known.groupby("model", sort=False)
    }
    rows = [_pair(first, second, correct) for first, second in itertools.combinations(correct, 2)]
    for row, p_value in zip(rows, holm(np.array([row["p_holm"] for row in rows])), strict=True):
        row["p_holm"] = p_value
    if people is not None and people.responses is not None and correct:
        rows += _with_people(people, answers, correct)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.assign(evaluated_on=answers.evaluated_on.iloc[0] if len(answers) else "")


def _pair(first: str, second: str, correct: dict[str, np.ndarray]) -> dict[str, object]:
    found = ec.compare(correct[first], correct[second])
    test = accuracy_test(correct[first], correct[second])
    return {
        "first": first,
        "second": second,
        "error_consistency": found.kappa,
        "ci_low": found.interval.low,
        "ci_high": found.interval.high,
        "observed": found.observed,
        "expected": found.expected,
        "lowest": found.lowest,
        "highest": found.highest,
        "accuracy_difference": test.value,
        "p_holm": test.p_value,
        "n": len(correct[first]),
    }


def _with_people(people: People, answers: pd.DataFrame, correct: dict[str, np.ndarray]) -> list[dict[str, object]]:
    assert people.responses is not None
    answer = answers.loc[answers.model == answers.model.iloc[0], "answer"].to_numpy()
    known = answer != NO_ANSWER
    theirs = ec.correctness(people.responses[:, known], answer[known].astype(float))
    pairs = {people.name: ec.mean_of_pairs(theirs)} | {name: ec.mean_with(own, theirs) for name, own in correct.items()}
    return [
        {"first": people.name, "second": name, "error_consistency": value, "n": int(known.sum())}
        for name, value in pairs.items()
    ]
