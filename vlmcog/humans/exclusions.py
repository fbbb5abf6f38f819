"""Who, and which answers, don't count: rules that give reasons and drop nothing.

A rule takes a judgment table and returns it with a reason in `excluded` where there was none. It looks only at what
still counts, so rules go one after another in the order in which a preregistration lists them:

    rules = (
        functools.partial(attention_checks, right={("check-1", "tower_falls"): 1}),
        constant_responders,
        response_time_outliers,
    )
    table = apply(table, rules)
    print(summary(table))

A person is judged on each task apart, except by attention checks, which concern all that a person did.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from vlmcog.humans.judgments import counted

Rule = Callable[[pd.DataFrame], pd.DataFrame]
Truth = Mapping[tuple[str, str], float]
NORMAL_MAD = 1.4826
"""The standard deviation of a normal variable in units of its median absolute deviation."""


def apply(table: pd.DataFrame, rules: Iterable[Rule]) -> pd.DataFrame:
    """Returns the table after one rule and then the next."""
    for rule in rules:
        table = rule(table)
    return table


def attention_checks(table: pd.DataFrame, *, right: Truth, most_wrong: int = 0) -> pd.DataFrame:
    """Excludes everyone who fails more than `most_wrong` attention checks, and the checks' own rows for all.

    Args:
      table: judgments, those of the checks among them.
      right: the right response to each check, by (item, task).
      most_wrong: how many a person may get wrong. A check without an answer is not a wrong one.
    """
    expected = _lookup(table, right)
    is_check = ~np.isnan(expected)
    failed = is_check & (table["response"].to_numpy(float) != expected) & _counts(table)
    wrong = pd.Series(failed, index=table.index).groupby(table["participant"]).transform("sum").to_numpy(int)
    reasons = [f"failed {n} attention checks" if n != 1 else "failed 1 attention check" for n in wrong]
    table = _exclude(table, wrong > most_wrong, reasons)
    return _exclude(table, is_check, "an attention check")


def constant_responders(table: pd.DataFrame, *, fewest: int = 5) -> pd.DataFrame:
    """Excludes whoever gives one answer to every item of a task, of at least `fewest` items."""

    def is_constant(rows: pd.DataFrame) -> bool:
        return len(rows) >= fewest and len(set(rows["response"])) == 1

    return _exclude(table, _people_who(table, is_constant), "gave the same answer to every item")


def alternating_responders(table: pd.DataFrame, *, fewest: int = 8) -> pd.DataFrame:
    """Excludes whoever goes back and forth between two answers throughout a task, in the order of trials.

    Chance does so once in 2^(n - 1) for n binary items, so `fewest` is not to be small. A person without a known order
    for every trial isn't judged.
    """

    def alternates(rows: pd.DataFrame) -> bool:
        answers = rows.sort_values("order")["response"].to_numpy(float)
        known = rows["order"].notna().all() and len(rows) >= fewest
        return bool(known and len(set(answers)) == 2 and np.all(answers[1:] != answers[:-1]))

    return _exclude(table, _people_who(table, alternates), "alternated between two answers")


def accuracy_outliers(table: pd.DataFrame, *, truth: Truth, deviations: float = 3.0) -> pd.DataFrame:
    """Excludes whoever is less often right than people are by `deviations` robust standard deviations.

    Only too low an accuracy is an outlier. The centre is the median over people and the deviation the median absolute
    one (Leys et al., 2013, J. Experimental Social Psychology 49, 764-766), which an outlier doesn't move.

    Args:
      table: judgments.
      truth: the right response, by (item, task); items without one are left aside.
      deviations: how many are too many.
    """
    expected = _lookup(table, truth)
    right = np.where(np.isnan(expected), np.nan, table["response"].to_numpy(float) == expected)
    means = _per_person(table, right, _mean)
    low = _robust_z(means, table) < -deviations
    reasons = [
        f"right on {mean:.0%}, {deviations:g} deviations below the median person" for mean in np.nan_to_num(means)
    ]
    return _exclude(table, low, reasons)


def response_time_outliers(table: pd.DataFrame, *, deviations: float = 3.0) -> pd.DataFrame:
    """Excludes single answers whose log time is `deviations` robust deviations from that person's median, either way.

    An answer without a time, or of a person whose times are all alike, stays. A time of 0 is an outlier.
    """
    logs = _log_times(table)
    centre = _per_person(table, logs, _median)
    spread = NORMAL_MAD * _per_person(table, np.abs(logs - centre), _median)
    far = np.abs(_standardised(logs - centre, spread)) > deviations
    return _exclude(table, far, _times_said(table, "response time of {:.3g} s is an outlier"))


def response_time_outlier_people(table: pd.DataFrame, *, deviations: float = 3.0) -> pd.DataFrame:
    """Excludes people whose mean log response time is `deviations` robust deviations from the median person's."""
    means = _per_person(table, _log_times(table), _mean)
    far = np.abs(_robust_z(means, table)) > deviations
    with np.errstate(over="ignore"):
        typical = np.exp(means)
    return _exclude(table, far, [f"mean response time of {seconds:.3g} s is an outlier" for seconds in typical])


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Returns, for each task and reason, how many answers are excluded and of how many people; then what counts.

    Reasons are given up to their first number, so that `failed 2 attention checks` and `failed 3 ...` are one line.
    """
    kinds = [_kind(reason) if reason else "counts" for reason in table["excluded"]]
    grouped = table.assign(reason=kinds).groupby(["task", "reason"], sort=True)
    result = grouped.agg(answers=("response", "size"), people=("participant", "nunique"))
    return result.reset_index()


def _kind(reason: str) -> str:
    words = reason.split()
    return " ".join("N" if any(letter.isdigit() for letter in word) else word for word in words)


def _counts(table: pd.DataFrame) -> Bool[np.ndarray, " n"]:
    return (table["excluded"] == "").to_numpy(bool)


def _exclude(table: pd.DataFrame, which: Bool[np.ndarray, " n"], reasons: str | list[str]) -> pd.DataFrame:
    """The table with a reason for those rows that had none."""
    reasons = [reasons] * len(table) if isinstance(reasons, str) else reasons
    rows = zip(table["excluded"], which, reasons, strict=True)
    excluded = [reason if now and not old else old for old, now, reason in rows]
    return table.assign(excluded=pd.Series(excluded, index=table.index, dtype=object))


def _lookup(table: pd.DataFrame, values: Truth) -> Float[np.ndarray, " n"]:
    keys = zip(table["item"], table["task"], strict=True)
    return np.array([values.get(key, np.nan) for key in keys], float)


def _people(table: pd.DataFrame):
    return counted(table).groupby(["participant", "task"])


def _people_who(table: pd.DataFrame, judge: Callable[[pd.DataFrame], bool]) -> Bool[np.ndarray, " n"]:
    judged = {key for key, rows in _people(table) if judge(rows)}
    return np.array([key in judged for key in zip(table["participant"], table["task"], strict=True)], bool)


def _per_person(
    table: pd.DataFrame, values: Float[np.ndarray, " n"], average: Callable[[np.ndarray], float]
) -> Float[np.ndarray, " n"]:
    """The average of each person's values that count, at each of the person's rows; NaN where there are none."""
    averages = {key: average(rows["value"].to_numpy(float)) for key, rows in _people(table.assign(value=values))}
    keys = zip(table["participant"], table["task"], strict=True)
    return np.array([averages.get(key, np.nan) for key in keys], float)


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan


def _median(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if len(defined) else np.nan


def _robust_z(means: Float[np.ndarray, " n"], table: pd.DataFrame) -> Float[np.ndarray, " n"]:
    """How many robust deviations each row's person is from the median person of the task; 0 where nobody varies."""
    z = np.zeros(len(table))
    first = ~table.duplicated(["participant", "task"]).to_numpy(bool)
    for task in table["task"].unique():
        rows = (table["task"] == task).to_numpy(bool)
        centre = _median(means[rows & first])
        spread = NORMAL_MAD * _median(np.abs(means[rows & first] - centre))
        z[rows] = _standardised(means[rows] - centre, np.full(rows.sum(), spread))
    return z


def _standardised(distance: Float[np.ndarray, " n"], scale: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    positive = scale > 0
    return np.nan_to_num(np.where(positive, distance / np.where(positive, scale, 1.0), 0.0), nan=0.0)


def _log_times(table: pd.DataFrame) -> Float[np.ndarray, " n"]:
    """Log response times; a time of 0 has that of a microsecond."""
    return np.log(np.maximum(table["response_time"].to_numpy(float), 1e-6))


def _times_said(table: pd.DataFrame, text: str) -> list[str]:
    return [text.format(seconds) for seconds in table["response_time"]]
