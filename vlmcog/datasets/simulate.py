"""Judgments of a built set by simulated participants, for tests and demonstrations."""

import os
import pathlib

from vlmcog.datasets.read import load
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.errors import UserError
from vlmcog.files import atomic_path
from vlmcog.humans import judgments
from vlmcog.humans.heuristics import TOWER_FALLS
from vlmcog.humans.noisy_simulator import Noise
from vlmcog.humans.simulated_participants import Population, simulated_judgments
from vlmcog.scenes.scene import Scene

SPREAD, BIAS, LAPSE = 0.3, 0.3, 0.02


def simulate(
    spec: DatasetSpec,
    data_dir: str | os.PathLike[str] | None,
    out: pathlib.Path,
    *,
    participants: int,
    noise: float,
    split: str = "test",
    items: int = 0,
    seed: int = 0,
) -> None:
    """Writes a judgment table about the towers of a split, or its first `items`; see `simulated_participants.py`.

    Raises:
      UserError: the set isn't built or asks nothing about towers; fewer than one participant; noise below 0.
    """
    if participants < 1 or noise < 0:
        raise UserError(f"{participants} participants with noise {noise:g}: give 1 or more, and a noise of 0 or more")
    source = load(spec, split, data_dir, tasks=(TOWER_FALLS,), items=items)
    if not all(trial.scene for trial in source):
        raise UserError(f"{spec} shows photographs; simulated participants need the scenes of a synthetic set")
    scenes = {trial.item: Scene.from_json(trial.scene).blocks for trial in source}
    population = Population(Noise(noise), spread=SPREAD, bias=BIAS, lapse=LAPSE)
    table = simulated_judgments(scenes, population, participants=participants, task=TOWER_FALLS, seed=seed)
    with atomic_path(out) as temporary:
        judgments.check(table, source="simulation").to_csv(temporary, index=False)
