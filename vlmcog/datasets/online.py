"""Trials made on the fly, by index: an endless source for grain that stores no image."""

import numpy as np

from vlmcog.datasets import registry
from vlmcog.datasets.features import Trial
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.datasets.trials import item_name, trials
from vlmcog.errors import UserError
from vlmcog.tasks.task import Task

LENGTH = 1 << 30


class OnlineTrials:
    """The train split of a set as if it were `LENGTH` scenes long: trial `i` is always the same, made when asked for.

    Its first trials are those of the built set. Threads may share a source. The set's image size, look and seed hold;
    its number of scenes doesn't.
    """

    def __init__(self, spec: DatasetSpec, *, tasks: tuple[str, ...] = (), split: str = "train"):
        from vlmcog.scenes.generate import maker  # slow to import

        if not spec.is_synthetic:
            raise UserError(f"{spec} is not made from scenes; name a synthetic set")
        self.spec, self.split = spec, split
        self._tasks = _chosen(spec, tasks)
        self._make = maker(spec.kind, seed=spec.seed, split=split, split_size=spec.split_size, look=spec.look)

    def __len__(self) -> int:
        return LENGTH

    def __getitem__(self, index: int) -> Trial:
        from vlmcog.scenes.render import render  # imports jax

        scene, task = divmod(range(len(self))[index], len(self._tasks))
        labelled = self._make(scene).labelled
        image: np.ndarray = render([labelled.scene], size=self.spec.image_size)[0]
        (trial,) = trials(self.spec, item_name(self.split, scene), labelled, image, [self._tasks[task]])
        return trial

    def asked(self) -> set[tuple[str, tuple[str, ...]]]:
        """Returns the questions of the trials, each with its options."""
        return {(task.question, task.answers.options) for task in self._tasks}

    def __repr__(self) -> str:
        return f"<trials of {self.spec}, split {self.split}, made on the fly>"


def _chosen(spec: DatasetSpec, names: tuple[str, ...]) -> list[Task]:
    tasks: tuple[Task, ...] = registry.builder_class(spec.name).TASKS  # pyright: ignore[reportAttributeAccessIssue]
    known = [task.name for task in tasks]
    for name in names:
        if name not in known:
            raise UserError(f"{spec} has no trial of task {name!r}; it has {', '.join(known)}")
    return [task for task in tasks if not names or task.name in names]
