"""A run that was evaluated on three rungs, with simulated answers and people, and no model."""

import functools
import json
import pathlib
import shutil

import numpy as np
import pandas as pd
import pytest

from vlmcog import evaluate as evaluate_lib
from vlmcog.datasets.features import Judgment, Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.datasets.specs import parse
from vlmcog.evaluation import answers, ladder, manifest, tables
from vlmcog.evaluation.metrics import Metric
from vlmcog.tasks.registry import get_task
from vlmcog.training import config as config_lib

TUNED_ON = (parse("cubeworld_towers/cubeworld_small-size64"),)
QUALITY = {ladder.SAME_SPLIT: 4.0, ladder.REAL_PHOTOS: 0.5, ladder.OTHER_DOMAIN: 0.0}


class Trials(list):
    judgments = TrialSource.judgments


def make_source(rung, *, count=40, names="item-{}", people=9, person="p{}"):
    rng = np.random.default_rng(1)
    task = get_task(rung.task)
    judged = range(people if rung.name == ladder.REAL_PHOTOS else 0)
    return Trials(
        Trial(
            image=rng.integers(256, size=(16, 16, 3), dtype=np.uint8),
            item=names.format(index),
            task=task.name,
            question=task.question,
            options=task.answers.options,
            answer=index % 2,
            judgments=tuple(Judgment(person.format(p), float(rng.random() < 0.3 + 0.4 * (index % 2))) for p in judged),
            n_blocks=2 + index % 3,
            height=float(index % 3),
        )
        for index in range(count)
    )


def make_answers(rung, source, *, run, quality):
    rng = np.random.default_rng(2)
    logits = quality * (np.array([trial.answer for trial in source]) - 0.5) + rng.normal(size=len(source))
    p_yes = 1 / (1 + np.exp(-logits))
    table = pd.DataFrame({"item": [trial.item for trial in source], "answer": [trial.answer for trial in source]})
    table = table.assign(
        **{"run": run, "model": "tiny", "evaluated_on": rung.evaluated_on, "task": rung.task, "text": ""},
        options=json.dumps(["no", "yes"]),
        probabilities=[json.dumps([1 - p, p]) for p in p_yes],
        response=(p_yes > 0.5).astype(int),
        log_probability=np.log(np.maximum(p_yes, 1 - p_yes)),
    )
    return table.loc[:, list(answers.COLUMNS)]


def no_fit(answers, people):
    """In place of a mixed model, which takes long and has its own tests."""
    return [Metric(answers.model.iloc[0], "signed_root_r2", float("nan"), len(answers), reason="did not converge: why")]


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory):
    """Returns a function that makes an evaluated run, each only once."""

    @functools.cache
    def make(name, rungs, names, constant, person):
        workdir = tmp_path_factory.mktemp("evaluated") / name
        config = config_lib.TrainConfig(data=config_lib.DataConfig(dataset=str(TUNED_ON[0])))
        workdir.mkdir()
        (workdir / "config.json").write_text(config_lib.to_json(config))
        chosen = [rung for rung in ladder.rungs(TUNED_ON) if rung.name in rungs]
        sources = {rung.spec: make_source(rung, names=names, person=person) for rung in chosen}
        for rung in chosen:
            table = make_answers(rung, sources[rung.spec], run=name, quality=QUALITY[rung.name])
            if constant:
                table = table.assign(probabilities="[0.4, 0.6]", response=1)
            tables.write(table, tables.answers_path(workdir, rung))
            manifest.update(workdir, rung.evaluated_on, {"checkpoint_step": 1500})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluate_lib.read, "load", lambda spec, *_, **__: sources[spec])
            patch.setattr(evaluate_lib.mixed_fits, "signed_root_r2", no_fit)
            patch.setattr(evaluate_lib.mixed_fits, "slope", lambda *_: [])
            evaluate_lib.evaluate(workdir, [rung.evaluated_on for rung in chosen], rescore=True)
        return workdir

    return make


@pytest.fixture
def make_run(tmp_path, evaluated):
    """Returns a function that makes an evaluated run to play with; its settings are those below."""

    def make(name="towers", *, rungs=tuple(QUALITY), names="item-{}", constant=False, person="p{}"):
        return pathlib.Path(shutil.copytree(evaluated(name, rungs, names, constant, person), tmp_path / name))

    return make
