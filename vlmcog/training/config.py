"""Everything a training run depends on, as frozen dataclasses that check themselves.

At the command line and in `configs/` the same tree is an ml_collections ConfigDict; keys are dotted paths such as
`optimizer.learning_rate`.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Literal

from ml_collections import ConfigDict

from vlmcog.errors import UserError
from vlmcog.models.config import ModelConfig
from vlmcog.training import tree
from vlmcog.training.augment import AUGMENTATIONS

EVERYTHING = ((".*", True),)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which trials are learnt from, and how they are varied.

    Attributes:
      dataset: `NAME/CONFIG` of a built dataset with the splits train and validation; several, with `+` between, are
        learnt together.
      data_dir: the folder of built datasets; empty for $TFDS_DATA_DIR or ~/tensorflow_datasets.
      tasks: the tasks to learn; empty for all of the dataset. The neutral questions of `tasks.perception` can be put
        to the scenes of every synthetic one.
      items: how many stimuli of each dataset are learnt from, its first ones; 0 for all.
      judgments: file of a judgment table (CSV or Parquet) in place of the dataset's own judgments.
      batch_size: trials a step, over all devices.
      targets: what is learnt: `truth`; `responses`, the answer of one of the people asked, another one at each look;
        `distribution`, the share of people behind each option, whose expected gradient is that of `responses`.
      label_smoothing: share of the target that is spread evenly over the options of the question.
      augment: label-preserving changes of the image, applied in this order (see `augment.py`).
      threads: threads that decode and augment while the devices compute.
      online: how fresh trials are made instead of reading the split train: `grain` simulates and renders the scenes
        of `dataset`, in those threads; `device` draws, dresses and renders scenes of `bank` on the devices.
      bank: file of labelled scenes (`python -m vlmcog.datasets bank`).
    """

    dataset: str = "cubeworld_towers/cubeworld_small-size64"
    data_dir: str = ""
    tasks: tuple[str, ...] = ()
    items: int = 0
    judgments: str = ""
    batch_size: int = 32
    targets: Literal["truth", "responses", "distribution"] = "truth"
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ("mirror", "shift", "recolour")
    threads: int = 2
    online: Literal["", "grain", "device"] = ""
    bank: str = ""

    @property
    def soft(self) -> bool:
        """Whether a target is a distribution over the options."""
        return self.targets == "distribution" or self.label_smoothing > 0

    def __post_init__(self) -> None:
        tree.check_at_least("data.batch_size", self.batch_size, 1)
        tree.check_at_least("data.items", self.items, 0)
        tree.check_at_least("data.threads", self.threads, 1)
        if bool(self.bank) != (self.online == "device"):
            raise UserError(f"data.bank={self.bank!r} and data.online={self.online!r}: a bank goes with 'device' alone")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"data.label_smoothing={self.label_smoothing} is not a share; use 0 to below 1")
        if self.online and (self.targets != "truth" or self.label_smoothing):
            raise UserError(
                f"data.online={self.online!r} makes trials that no one has judged, each with one right answer; "
                "leave data.targets='truth' and data.label_smoothing=0"
            )
        if self.online and (self.items or self.judgments):
            raise UserError(
                f"data.online={self.online!r} makes new trials without end; leave data.items=0 and data.judgments=''"
            )
        if self.judgments and self.targets == "truth":
            raise UserError("data.judgments holds what people said; learn from it by data.targets='distribution'")
        for name in self.augment:
            tree.check_known("data.augment", name, AUGMENTATIONS)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    r"""The rule by which parameters learn, with the gradient clipped by its global norm.

    Rules are (pattern, value) pairs: the first pattern that matches a whole parameter name, such as
    `llm/layers/mlp/linear`, decides. `(("img/.*", False), (".*", True))` freezes the vision tower.

    Attributes:
      method: `muon` learns from scratch in about half the steps of `adamw` (see `muon.py`), which suits fine-tuning;
        `adafactor` keeps the least memory; `sgd` has momentum `beta1`. Weight decay is decoupled in all.
      learning_rate: the peak of the schedule.
      weight_decay: share of a decayed parameter removed a step, times the learning rate.
      beta1: decay of the mean gradient.
      beta2: decay of the mean squared gradient.
      moment_dtype: dtype of the mean gradient. All else that the optimizer keeps is float32.
      clip_norm: the largest global norm of the gradient; 0 leaves it alone.
      accumulate: parts that a batch is cut into, one after the other, to save memory; on a CPU also time, where a step
        spends much of it on faulting in the temporaries of a large batch.
      average: how their gradients are averaged. `tokens`: sum_k n_k g_k / sum_k n_k with n_k answer tokens in part k,
        the gradient of the whole batch; `parts`: sum_k g_k / K, in which a token of a short part weighs more.
      ema: decay of a running mean of the parameters that learn, which is validated and evaluated in their place; 0 for
        none.
      trainable: rules that say which parameters learn; left as it is in a run from a checkpoint, its family's, which in
        a Flamingo and beside a linear read-out trains the new parts alone.
      decayed: rules that say which parameters decay.
    """

    method: Literal["muon", "adamw", "adafactor", "sgd"] = "muon"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.99
    moment_dtype: Literal["float32", "bfloat16"] = "float32"
    clip_norm: float = 1.0
    accumulate: int = 1
    average: Literal["tokens", "parts"] = "tokens"
    ema: float = 0.0
    trainable: tuple[tuple[str, bool], ...] = EVERYTHING
    decayed: tuple[tuple[str, bool], ...] = ((".*/(bias|scale)", False), (".*", True))

    def __post_init__(self) -> None:
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            tree.check_at_least(f"optimizer.{name}", getattr(self, name), 0)
        tree.check_at_least("optimizer.accumulate", self.accumulate, 1)
        if not 0 <= self.ema < 1:
            raise UserError(f"optimizer.ema={self.ema} is not a decay; use 0 to below 1, such as 0.999")
        if self.method == "adafactor" and self.moment_dtype != "float32":
            raise UserError(
                "optimizer.method='adafactor' keeps no mean gradient; leave optimizer.moment_dtype='float32'"
            )


@dataclasses.dataclass(frozen=True)
class PartLora:
    """The adapters of one part of a model.

    Attributes:
      rank: their inner dimension r; 0 for none.
      alpha: their products are scaled by alpha / r.
      dropout: share of their inputs that is dropped in training.
      attention: whether the matrices of attention get one.
      mlp: whether those of the MLPs do.
    """

    rank: int = 0
    alpha: float = 16.0
    dropout: float = 0.0
    attention: bool = True
    mlp: bool = True

    @property
    def scale(self) -> float:
        """Returns alpha / r."""
        return self.alpha / self.rank

    def takes(self, kind: str) -> bool:
        """Whether matrices of a kind (see `matrices.Kind`) get an adapter."""
        return {"attention": self.attention, "mlp": self.mlp}.get(kind, True)

    def __post_init__(self) -> None:
        tree.check_at_least("lora.rank", self.rank, 0)
        if not 0 <= self.dropout < 1:
            raise UserError(f"lora.dropout={self.dropout} is not a share; use 0 to below 1")


@dataclasses.dataclass(frozen=True)
class LoraConfig:
    """Adapters, beside which all else is frozen; none unless a part has a rank.

    Attributes:
      vision: those of the image tower.
      connector: those between image tower and decoder.
      language: those of the decoder.
      base: how the model's matrices are stored beneath them: `float` in `model.parameter_dtype`, or quantised to four
        bits (QLoRA), which needs the extra `quant`.
      also: patterns of other parameters that learn, such as `.*/bias`; they are not quantised.
    """

    vision: PartLora = dataclasses.field(default_factory=PartLora)
    connector: PartLora = dataclasses.field(default_factory=PartLora)
    language: PartLora = dataclasses.field(default_factory=PartLora)
    base: Literal["float", "nf4", "int4"] = "float"
    also: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, PartLora]:
        """The settings of each part."""
        return {"vision": self.vision, "connector": self.connector, "language": self.language}

    @property
    def active(self) -> bool:
        """Whether there are adapters."""
        return any(part.rank for part in self.parts.values())

    def __post_init__(self) -> None:
        for name, value in (("base", self.base != "float"), ("also", bool(self.also))):
            if value and not self.active:
                raise UserError(f"lora.{name} goes with adapters; set lora.language.rank=8 or leave it out")


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate moves: linearly up from 0, then down over the rest of the run.

    Attributes:
      warmup_steps: steps to the peak.
      decay: the shape of the way down; `constant` stays at the peak.
      final: the learning rate of the last step as a share of the peak.
    """

    warmup_steps: int = 100
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    final: float = 0.0

    def __post_init__(self) -> None:
        tree.check_at_least("schedule.warmup_steps", self.warmup_steps, 0)


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """How the devices divide the work: the batch over data x fsdp, the work on an example over tensor.

    Attributes:
      data: copies of the parameters.
      fsdp: devices that share one copy. In either, -1 stands for all devices that the others leave.
      tensor: devices that divide the heads and the MLP's width of every layer, which takes a fast link between them.
      rules: (pattern, value) pairs that say how a parameter is laid out, first match first: `fsdp` splits its largest
        divisible dimension, and where `tensor` is above 1 heads and MLP widths over it; `replicate` keeps it whole.
    """

    data: int = 1
    fsdp: int = -1
    tensor: int = 1
    rules: tuple[tuple[str, Literal["fsdp", "replicate"]], ...] = ((".*", "fsdp"),)

    def __post_init__(self) -> None:
        if self.data == self.fsdp == -1 or any(size == 0 or size < -1 for size in (self.data, self.fsdp)):
            raise UserError(f"mesh.data={self.data} and mesh.fsdp={self.fsdp} must be positive; one of them may be -1")
        tree.check_at_least("mesh.tensor", self.tensor, 1)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A training run: the small towers, from scratch, in minutes on a laptop, unless told otherwise.

    Attributes:
      seed: drives initialisation, order, augmentation and dropout.
      total_steps: optimizer steps of the whole run.
      log_every: steps between rows of train.jsonl.
      eval_every: steps between validations; 0 for none.
      eval_items: validation trials used, at most.
      save_every: steps between checkpoints.
      keep: checkpoints kept; older ones are deleted.
      keep_best: whether the checkpoint with the lowest validation loss is kept beside them, and evaluated in the place
        of the last; there is a checkpoint to every validation then.
      init_from: what to start from: the folder of another run, or a public checkpoint, big_vision's .npz or a folder
        of Hugging Face's format; empty for random parameters.
    """

    seed: int = 0
    total_steps: int = 1200
    log_every: int = 25
    eval_every: int = 250
    eval_items: int = 256
    save_every: int = 250
    keep: int = 2
    keep_best: bool = False
    init_from: str = ""
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    lora: LoraConfig = dataclasses.field(default_factory=LoraConfig)
    schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)

    def __post_init__(self) -> None:
        for name in ("total_steps", "log_every", "eval_items", "save_every", "keep"):
            tree.check_at_least(name, getattr(self, name), 1)
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed={self.seed} is out of range; give 0 to {2**32 - 1}")
        tree.check_at_least("eval_every", self.eval_every, 0)
        if self.keep_best and not self.eval_every:
            raise UserError("keep_best=True needs validations to tell the best; set eval_every, or keep_best=False")
        if self.data.batch_size % self.optimizer.accumulate:
            raise UserError(
                f"data.batch_size={self.data.batch_size} can't be cut into optimizer.accumulate="
                f"{self.optimizer.accumulate} equal parts; use a multiple"
            )
        if self.data.soft and (self.model.dropout or any(part.dropout for part in self.lora.parts.values())):
            raise UserError(
                "targets over options are learnt by scoring them, which knows no dropout; "
                "set model.dropout and lora.*.dropout to 0, or use data.targets='responses'"
            )
        if self.lora.active and self.optimizer.trainable != EVERYTHING:
            raise UserError(
                "with adapters all else is frozen; leave optimizer.trainable as it is and name what learns beside them "
                "in lora.also"
            )
        if self.lora.active and self.model.objective == "linear" and not self.lora.also:
            raise UserError(
                "beside adapters alone a new linear read-out would stay as random as it starts; "
                "set lora.also to ('readout/.*',)"
            )
        if self.schedule.warmup_steps >= self.total_steps:
            raise UserError(
                f"schedule.warmup_steps={self.schedule.warmup_steps} leaves none of total_steps={self.total_steps}; "
                "lower it"
            )


def default() -> Any:
    """Returns the default config as a ConfigDict (whose attributes have no types), for a config file to change.

    It takes any key and any type: mistakes are found, and named, when it is turned into a `TrainConfig`.
    """
    return to_config_dict(TrainConfig())


def to_config_dict(config: TrainConfig) -> ConfigDict:
    """Returns the config as a ConfigDict."""
    return ConfigDict(dataclasses.asdict(config), type_safe=False)


def from_config_dict(config: ConfigDict | Mapping[str, Any]) -> TrainConfig:
    """Turns a ConfigDict, or a mapping read from JSON, into a config; keys that it lacks keep their defaults.

    Raises:
      UserError: an unknown key, a value of another type, or one that its dataclass refuses.
    """
    return tree.build(TrainConfig, config.to_dict() if isinstance(config, ConfigDict) else config)


def to_json(config: TrainConfig) -> str:
    """Returns the config as indented JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"
