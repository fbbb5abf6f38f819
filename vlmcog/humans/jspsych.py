"""Judgments from jsPsych: `jsPsych.data.get().csv()` or `.json()`, of one session or of many put together.

jsPsych writes one row a trial of any kind, instructions and fixations too. A judgment is a row that has an item; the
others are left out, and counted by their `trial_type`. Times (`rt`) are milliseconds, places (`trial_index`) count all
trials from 0. A response is a number (a slider, or a button's index), an option's text, or a key that `codes` explains.
"""

import dataclasses
import json
import pathlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from vlmcog.errors import UserError, did_you_mean
from vlmcog.humans import judgments, privacy
from vlmcog.humans.numbers import empty, to_numbers
from vlmcog.humans.reading import Reading, columns_left_out, commas, oddities
from vlmcog.humans.rows import read_rows, read_text
from vlmcog.tasks.answer_space import AnswerSpace
from vlmcog.tasks.registry import get_task

MILLISECOND = 0.001
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".mp4", ".webm")


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where an experiment keeps things.

    Attributes:
      participant: the column with who answered.
      item: that with the stimulus; of a path to a picture or film, the name without folder and suffix is the item.
      task: that with the task's name; ignored where one task is given for all rows.
      response: that with the answer.
      order: that with the trial's place.
      response_time: that with the time in milliseconds.
    """

    participant: str = "participant"
    item: str = "item"
    task: str = "task"
    response: str = "response"
    order: str = "trial_index"
    response_time: str = "rt"


def read(
    path: pathlib.Path,
    *,
    columns: Columns = Columns(),
    task: str = "",
    codes: Mapping[str, float] | None = None,
) -> Reading:
    """Reads a jsPsych export.

    Args:
      path: a file ending in .json, or else CSV.
      columns: where things are.
      task: the one task of all rows; by default each row names its own.
      codes: what keys or words mean, such as {"f": 0, "j": 1}; the options' own text is known.

    Raises:
      UserError: the file can't be read, lacks a column, has a trial with an item but no answer, an answer that isn't
        understood, or what `judgments.check` raises; names the row.
    """
    given = _read_json(path) if path.suffix.lower() == ".json" else read_rows(path)
    _require(given, columns, task, path)
    asked = ~empty(pd.Series(given[columns.item]))
    trials = given.loc[asked]
    rows = trials.index.tolist()
    table = pd.DataFrame({"participant": trials[columns.participant], "item": trials[columns.item].map(_item_name)})
    table["task"] = task or trials[columns.task]
    table["response"] = trials[columns.response]
    named = {"order": columns.order, "response_time": columns.response_time}
    optional = {name: column for name, column in named.items() if column in trials.columns}
    for name, column in optional.items():
        table[name] = trials[column]
    notes = [*_not_asked(given.loc[~asked]), *_left_out(given, columns), *commas(table)]
    table["response"] = _responses(table, codes or {}, str(path), rows)
    if "response_time" in optional:
        table["response_time"] = _seconds(pd.Series(table["response_time"]), str(path), rows)
    checked = judgments.check(table, source=str(path), rows=rows)
    return Reading(checked, len(given), tuple([*notes, *oddities(checked)]))


def _read_json(path: pathlib.Path) -> pd.DataFrame:
    """Returns a list of trials, or lists of trials line by line (as servers append them), as rows numbered from 1."""
    text = read_text(path)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = _read_json_lines(text, path)
    trials = _flattened(parsed)
    for number, trial in enumerate(trials, 1):
        if not isinstance(trial, dict):
            raise UserError(f"{path}, row {number}: {str(trial)[:40]!r} is no trial; give a list of jsPsych's trials")
    table = pd.DataFrame(trials, dtype=object)
    return table.set_axis(range(1, len(trials) + 1))


def _read_json_lines(text: str, path: pathlib.Path) -> list[Any]:
    parsed = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            parsed += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}); export the data again") from None
    return parsed


def _flattened(parsed: Any) -> list[Any]:
    if not isinstance(parsed, list):
        return [parsed]
    return [trial for part in parsed for trial in (part if isinstance(part, list) else [part])]


def _require(given: pd.DataFrame, columns: Columns, task: str, path: pathlib.Path) -> None:
    needed = [columns.participant, columns.item, columns.response, *([] if task else [columns.task])]
    for name in needed:
        if name not in given.columns:
            known = [str(column) for column in given.columns]
            raise UserError(
                f"{path}: no column {name!r}{did_you_mean(name, known)}; say which it is of {', '.join(known)}"
            )


def _item_name(stimulus: Any) -> Any:
    """The name of a picture's file; anything else as it is."""
    if isinstance(stimulus, str) and stimulus.lower().endswith(_PICTURES):
        return stimulus.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return stimulus


def _responses(table: pd.DataFrame, codes: Mapping[str, float], source: str, rows: list[int]) -> list[Any]:
    """Each answer as its number; what is neither number, option nor code stays, and is refused by the check."""
    known = {task: _words(get_task(task).answers) | dict(codes) for task in table["task"].astype(str).unique()}
    responses = []
    for row, task, response in zip(rows, table["task"].astype(str), table["response"], strict=True):
        if not isinstance(response, str | int | float) or isinstance(response, bool):
            raise UserError(f"{source}, row {row}, column response: {response!r}; a judgment has one answer")
        word = str(response).strip()
        responses.append(known[task].get(word, known[task].get(word.lower(), response)))
    return responses


def _words(answers: AnswerSpace) -> dict[str, float]:
    """The options' texts; not those of counts and ratings, which are the numbers themselves."""
    if answers.kind in ("count", "rating"):
        return {}
    return {option.lower(): float(index) for index, option in enumerate(answers.options)}


def _seconds(times: pd.Series, source: str, rows: list[int]) -> pd.Series:
    """Milliseconds as seconds; what is no number stays, and is refused by the check."""
    seconds = to_numbers(times, source=source, rows=rows, unit=MILLISECOND)
    cells = [number if number == number else text for number, text in zip(seconds, times, strict=True)]
    return pd.Series(cells, index=times.index, dtype=object, name=times.name)


def _not_asked(trials: pd.DataFrame) -> list[str]:
    kinds = Counter(map(str, trials["trial_type"])) if "trial_type" in trials.columns else {"unknown": len(trials)}
    said = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    return [f"{len(trials)} rows without an item left out, by trial_type: {said}"] if len(trials) else []


def _left_out(given: pd.DataFrame, columns: Columns) -> list[str]:
    others = given.drop(columns=[c for c in dataclasses.astuple(columns) if c in given.columns])
    kept, personal = privacy.without_personal(others)
    return [f"personal columns dropped: {', '.join(personal)}"] * bool(personal) + columns_left_out(kept.columns)
