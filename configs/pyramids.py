"""If the red block were taken away, would any other block fall? The tiny model from scratch on generated pyramids.

`towers.py`, with another dataset and one of its two tasks.

    --config configs/pyramids.py          small pyramids (2-3 rows)
    --config configs/pyramids.py:large    large pyramids (4-5 rows)
"""

from ml_collections import ConfigDict

from vlmcog.training import config as config_lib
from vlmcog.training.config_file import choose

DATASETS = {
    "small": "cubeworld_pyramids/cubeworld_small-size64",
    "large": "cubeworld_pyramids/cubeworld_large-size64",
}


def get_config(arg: str = "") -> ConfigDict:
    config = config_lib.default()
    config.data.dataset = choose(arg, DATASETS)
    config.data.tasks = ("red_block_any",)
    return config
