"""What counts as an answer: its options as text, how to read a reply, which metrics apply."""

import dataclasses
import re
from typing import Literal

Kind = Literal["binary", "choice", "count", "rating"]

METRICS: dict[Kind, tuple[str, ...]] = {
    "binary": (
        "accuracy",
        "brier",
        "calibration_error",
        "pearson",
        "spearman",
        "kappa",
        "error_consistency",
        "rmse_people",
        "calibration_error_people",
    ),
    "choice": ("accuracy", "brier", "kappa", "error_consistency", "rmse_people"),
    "count": ("accuracy", "mean_absolute_error", "pearson", "spearman", "mae_people"),
    "rating": ("pearson", "spearman", "mae_people"),
}


@dataclasses.dataclass(frozen=True)
class AnswerSpace:
    """The answers to a question, in the order in which a truth or a response indexes them.

    A binary space is (negative, positive): P(yes) is the probability of option 1.
    """

    kind: Kind
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.kind == "binary" and len(self.options) != 2:
            raise ValueError(f"a binary answer space has two options, not {self.options}")
        if len(set(map(_normalise, self.options))) != len(self.options):
            raise ValueError(f"options must differ in more than case and punctuation: {self.options}")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that mean something for this kind of answer."""
        return METRICS[self.kind]

    def read(self, reply: str) -> int | None:
        """Returns the index of the one option that a free-text reply names, or None where it is unreadable.

        The reply may wrap the option in other words ("Yes, it will."); a reply that names two options is unreadable.
        """
        words = f" {_normalise(reply)} "
        named = [index for index, option in enumerate(self.options) if f" {_normalise(option)} " in words]
        return named[0] if len(named) == 1 else None


def binary(negative: str = "no", positive: str = "yes") -> AnswerSpace:
    """A yes/no question."""
    return AnswerSpace("binary", (negative, positive))


def choice(*options: str) -> AnswerSpace:
    """A choice among k named options."""
    return AnswerSpace("choice", options)


def count(most: int) -> AnswerSpace:
    """A count from 0 to `most`, both included."""
    return AnswerSpace("count", tuple(str(number) for number in range(most + 1)))


def rating() -> AnswerSpace:
    """A rating from 0 to 100."""
    return AnswerSpace("rating", tuple(str(number) for number in range(101)))


def _normalise(text: str) -> str:
    return " ".join(re.findall(r"(?:[\w.-]|(?<=\d),(?=\d))*\w", text.lower()))
