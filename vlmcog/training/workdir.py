"""The folder of a run: `config.json`, `data.json`, `train.jsonl`, `tensorboard/`, `checkpoints/`."""

import json
import pathlib
from typing import Any

from vlmcog import files
from vlmcog.errors import UserError
from vlmcog.training import config as config_lib
from vlmcog.training import tree
from vlmcog.training.config import TrainConfig

CONFIG, DATA, CHECKPOINTS, METRICS, TENSORBOARD = (
    "config.json",
    "data.json",
    "checkpoints",
    "train.jsonl",
    "tensorboard",
)

MAY_CHANGE = ("data.data_dir", "data.threads", "mesh.")  # where and on what a run goes on, not what it computes


def check(workdir: pathlib.Path, config: TrainConfig) -> None:
    """Checks that a run of `config` may start or go on in `workdir`; changes nothing.

    Raises:
      UserError: it holds a run of another config, or one without a config.
    """
    if (workdir / CONFIG).exists():
        _check_same(workdir / CONFIG, json.loads(config_lib.to_json(config)))
    elif any((workdir / CHECKPOINTS).glob("[0-9]*")):
        raise UserError(f"{workdir} has checkpoints but no {CONFIG}; use another --workdir")
    elif workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir {workdir} is a file; name a folder")


def check_data(workdir: pathlib.Path, fingerprints: dict[str, str]) -> None:
    """Checks that a run goes on with the data that it started with.

    Args:
      workdir: the run's folder.
      fingerprints: of the splits that are read, by name.

    Raises:
      UserError: a split's is another one.
    """
    if not (workdir / DATA).exists():
        return
    theirs = _read(workdir / DATA)
    for split, digest in fingerprints.items():
        if theirs.get(split) != digest:
            raise UserError(
                f"{workdir} learnt from other data: the split {split} is not what it was (fingerprint {digest[:12]}, "
                f"not {str(theirs.get(split))[:12]}); restore that data, or use another --workdir"
            )


def claim(workdir: pathlib.Path, config: TrainConfig, fingerprints: dict[str, str] | None = None) -> None:
    """Writes the config, and the fingerprints of the data, into a workdir that has none."""
    if not (workdir / CONFIG).exists():
        if fingerprints:
            files.write_text(workdir / DATA, json.dumps(fingerprints, indent=2) + "\n")
        files.write_text(workdir / CONFIG, config_lib.to_json(config))


def read_config(workdir: pathlib.Path) -> TrainConfig:
    """Returns the config of the run in `workdir`.

    Raises:
      UserError: there is none, or it can't be read.
    """
    return config_lib.from_config_dict(_read(workdir / CONFIG))


def read_log(workdir: pathlib.Path) -> list[dict[str, float]]:
    """Reads the training log, one row a moment; a run that was not trained here has none."""
    path = workdir / METRICS
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); delete it to leave the learning curve out") from None


def _check_same(path: pathlib.Path, config: dict[str, Any]) -> None:
    theirs, ours = tree.flatten(_read(path)), tree.flatten(config)
    for key in sorted({*theirs, *ours}):
        if theirs.get(key) != ours.get(key) and not key.startswith(MAY_CHANGE):
            raise UserError(
                f"{path.parent} holds a run with {key}={theirs.get(key)!r}, but this config has {ours.get(key)!r}; "
                "use another --workdir, or the same value to go on with that run"
            )


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; name the --workdir of a training run") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); use another --workdir") from error
