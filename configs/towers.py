"""Will this block tower fall? The tiny model from scratch on generated towers.

The default config (`vlmcog/training/config.py`) with the dataset that the argument names.

    --config configs/towers.py            small towers (2-4 blocks)
    --config configs/towers.py:large      large towers (5-7 blocks)
"""

from ml_collections import ConfigDict

from vlmcog.training import config as config_lib
from vlmcog.training.config_file import choose

DATASETS = {
    "small": "cubeworld_towers/cubeworld_small-size64",
    "large": "cubeworld_towers/cubeworld_large-size64",
}


def get_config(arg: str = "") -> ConfigDict:
    config = config_lib.default()
    config.data.dataset = choose(arg, DATASETS)
    return config
