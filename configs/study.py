"""The study: tune on towers or pyramids, test on the whole ladder, compare with people (`vlmcog/study/design.py`).

--config configs/study.py:tiny    the tiny model at 64 px, for two cores
--config configs/study.py:smoke   the same with next to no training: does everything run?
--config configs/study.py:full    PaliGemma 3B at 224 px from a public checkpoint (set base_from), on a pod
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from vlmcog.study.config import StudyConfig
from vlmcog.training.config_file import choose


def get_config(arg: str = "") -> ConfigDict:
    return choose(arg, {"tiny": tiny, "smoke": smoke, "full": full})()


def tiny() -> ConfigDict:
    config = _default()
    config.train, config.validation, config.test = 1024, 100, 400  # large pyramids take a second each
    config.base.total_steps = 1200
    config.base.schedule.warmup_steps = 50
    config.tune.total_steps = 500
    config.tune.schedule.warmup_steps = 50
    config.tune.optimizer.learning_rate = 5e-4
    config.curve_items = (64, 256, 1024, 4096, 16_000)
    config.curve_looks = ("cubeworld", "cartoon", "marble", "night", "studio", "toy", "workshop", "phone")
    return config


def smoke() -> ConfigDict:
    config = _default()
    config.seeds = (0,)
    config.image_size = 16
    config.train, config.validation, config.test = 8, 2, 8
    config.participants = 3
    config.other_looks = ("wooden",)
    config.curve_items = (8,)
    config.curve_looks = ("cubeworld", "cartoon")
    for recipe in (config.base, config.tune):
        recipe.model.size, recipe.model.image_size = "nano", 16
        recipe.total_steps, recipe.schedule.warmup_steps = 4, 1
        recipe.eval_every = recipe.eval_items = recipe.data.batch_size = 4
        recipe.mesh.fsdp = 1
    return config


def full() -> ConfigDict:
    """Fine-tunes as the successor of the study does (arXiv:2602.06033): adapters of rank 16 on all parts."""
    config = _default()
    config.image_size = 224
    config.train, config.validation, config.test = 8000, 500, 1000
    config.curve_items = (64, 256, 1024, 4096, 16_000)
    config.curve_looks = ("cubeworld", "cartoon", "marble", "night", "studio", "toy", "workshop", "phone")
    for recipe in (config.base, config.tune):
        recipe.model.update({"size": "3b", "image_size": 224, "compute_dtype": "bfloat16", "remat": True, "scan": True})
        recipe.total_steps, recipe.save_every, recipe.eval_every = 2000, 500, 500
        recipe.data.batch_size = 64
        recipe.optimizer.update({"method": "adamw", "learning_rate": 2e-4})
        recipe.schedule.update({"warmup_steps": 5, "decay": "linear"})
    for part in ("vision", "language"):
        config.tune.lora[part].update({"rank": 16, "alpha": 16.0})
    return config


def _default() -> Any:
    return ConfigDict(dataclasses.asdict(StudyConfig()), type_safe=False)
