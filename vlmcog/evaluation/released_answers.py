"""The answers of the models in the release of Schulze Buschoff et al. (2025), and the scores that it states for them.

Read from a checkout of https://github.com/lsbuschoff/multimodal: `data/*RESULTS*.csv` have a row for each picture and
question and a column for each model; `dataframes/*/*_lmer.csv`, where they are, the published signed roots of R2.
"""

import dataclasses
import math
import pathlib

import pandas as pd

from vlmcog.errors import UserError
from vlmcog.humans.numbers import empty
from vlmcog.humans.release import MULTIMODAL, require
from vlmcog.humans.rows import cells, column_numbers, read_rows, require_columns
from vlmcog.tasks.agents import AGENTS_COUNTERFACTUAL, AGENTS_INTENTION
from vlmcog.tasks.jenga import JENGA_COUNT, JENGA_RESPONSIBILITY
from vlmcog.tasks.michotte import MICHOTTE_COUNTERFACTUAL, MICHOTTE_OUTCOME
from vlmcog.tasks.towers import TOWER_FALLS

MODELS: tuple[str, ...] = ("FUYU", "OTTER", "ADAPTER", "GPT-4V", "CLAUDE-3")
PEOPLE: str = "HUMAN"
"""The last row of the published scores: people's mean in the place of a model."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a question's answers are.

    Attributes:
      file: a file whose rows with `value` in the column `condition` hold them.
      item: the column that names the picture.
      condition: the column that names the question.
      value: the question's name in it.
      published: the file of published scores; empty where there is none.
    """

    file: str
    item: str
    condition: str
    value: str
    published: str = ""


SOURCES = {
    TOWER_FALLS.name: Source(
        "data/LERER_RESULTS_NEW.csv", "Image", "Experiment", "3", "dataframes/01_towers/01_towers_lmer.csv"
    ),
    JENGA_COUNT.name: Source("data/JENGA_RESULTS_REV2.csv", "Image", "Experiment", "2"),
    JENGA_RESPONSIBILITY.name: Source(
        "data/JENGA_RESULTS_REV2.csv", "Image", "Experiment", "3", "dataframes/02_jenga/02_jenga_lmer.csv"
    ),
    MICHOTTE_OUTCOME.name: Source(
        "data/MICHOTTE_RESULTS_REV2.csv", "SEQ", "COND", "outcome", "dataframes/03_michotte/03_outcome_lmer.csv"
    ),
    MICHOTTE_COUNTERFACTUAL.name: Source(
        "data/MICHOTTE_RESULTS_REV2.csv",
        "SEQ",
        "COND",
        "counterfactual",
        "dataframes/03_michotte/03_counterfactual_lmer.csv",
    ),
    AGENTS_INTENTION.name: Source(
        "data/AGENTS_RESULTS.csv", "SEQ", "COND", "Intention", "dataframes/05_agents/05_intention_lmer.csv"
    ),
    AGENTS_COUNTERFACTUAL.name: Source(
        "data/AGENTS_RESULTS.csv", "SEQ", "COND", "Counterfactual", "dataframes/05_agents/05_counterfactual_lmer.csv"
    ),
}


def read(release: pathlib.Path, task: str) -> pd.DataFrame:
    """Returns the models' answers to a task, items x models; NaN where a model gave none.

    Raises:
      UserError: a missing file or column, no row of the task, an answer that is no number, or a second row of an item.
    """
    source = SOURCES[task]
    path = release / source.file
    require(release, (source.file,), MULTIMODAL)
    rows = read_rows(path)
    require_columns(rows, (source.item, source.condition, *MODELS), path)
    rows = rows.loc[rows[source.condition] == source.value]
    if rows.empty:
        raise UserError(f"{path}: no row with {source.value!r} in column {source.condition}; restore the file")
    for line, twice, item in zip(rows.index, rows.duplicated([source.item]), rows[source.item], strict=True):
        if twice:
            raise UserError(f"{path}, row {line}, column {source.item}: {item!r}; a second row of it; keep one")
    answers = {model: _answers(rows, model, path) for model in MODELS}
    return pd.DataFrame(answers, index=rows[source.item].tolist())


def published(release: pathlib.Path, task: str) -> dict[str, float]:
    """Returns the published score of each model and of people; NaN where the release has none for it, or is a part.

    Raises:
      UserError: a file of scores without the columns or rows that it should have.
    """
    source = SOURCES[task]
    names = (*MODELS, PEOPLE)
    path = release / source.published
    if not (source.published and path.is_file()):
        return dict.fromkeys(names, math.nan)
    rows = pd.read_csv(path)
    if "V1" not in rows.columns or len(rows) not in (len(MODELS), len(names)):
        raise UserError(f"{path}: not {len(names)} rows with a column V1; restore it from {MULTIMODAL}")
    return dict.fromkeys(names, math.nan) | dict(zip(names, rows["V1"].astype(float), strict=False))


def _answers(rows: pd.DataFrame, model: str, path: pathlib.Path) -> list[float]:
    numbers = column_numbers(rows, model, path)
    for line, number, none, cell in zip(rows.index, numbers, empty(cells(rows, model)), rows[model], strict=True):
        if math.isnan(number) and not none:
            raise UserError(f"{path}, row {line}, column {model}: {cell!r}; an answer is a number, or empty")
    return numbers.tolist()
