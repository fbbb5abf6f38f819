"""Everything that a study depends on."""

import dataclasses

from vlmcog.datasets.specs import SPLIT_SIZES, DatasetSpec
from vlmcog.errors import UserError
from vlmcog.scenes.looks import LOOKS
from vlmcog.training import tree
from vlmcog.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """A study: the models and sets of `design.py`, at one size.

    Attributes:
      seeds: of the runs; each has a base model of its own.
      look: what models are tuned on looks like.
      other_looks: looks that no model of the matrix is tuned on and all are tested on.
      image_size: side of the images in pixels.
      train: scenes that a model is tuned on; a joint model has half of them from each domain.
      validation: scenes of each set that are validated on while training.
      test: scenes of each set that models are tested on.
      data_seed: of the scenes.
      base_from: a public checkpoint to start from, in place of a base model that learns neutral questions here.
      base: how the base model learns; its data are those of the design.
      tune: how all others learn from there; their data are those of the design.
      release: a checkout of the public release of real photographs and people; empty leaves these sets out.
      judgments: a judgment table (CSV or Parquet) of people who judged the small towers' training scenes, to tune on;
        empty for simulated participants, who are called so.
      participants: how many simulated ones; 0 leaves the model tuned on them out.
      curve_items: numbers of training scenes whose models make the data-scaling curve.
      curve_looks: looks that models of the look-diversity curve are tuned on: the first one, the first two, and so on,
        with `train` scenes in all.
      curve_seeds: the seeds of both curves and of the probes.
      equivalence: a gain in accuracy between - and + this counts as none.
      equivalence_pearson: the same of a correlation with people.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    look: str = "cubeworld"
    other_looks: tuple[str, ...] = ("wooden", "random")
    image_size: int = 64
    train: int = 4000
    validation: int = 250
    test: int = 600
    data_seed: int = 0
    base_from: str = ""
    base: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    tune: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    release: str = ""
    judgments: str = ""
    participants: int = 20
    curve_items: tuple[int, ...] = ()
    curve_looks: tuple[str, ...] = ()
    curve_seeds: tuple[int, ...] = (0,)
    equivalence: float = 0.05
    equivalence_pearson: float = 0.1

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            tree.check_at_least(name, getattr(self, name), 1)
        tree.check_at_least("participants", self.participants, 0)
        for look in (self.look, *self.other_looks, *self.curve_looks):
            tree.check_known("look", look, LOOKS)
        for name in ("seeds", "other_looks", "curve_items", "curve_looks", "curve_seeds"):
            _check_distinct(name, getattr(self, name))
        if not self.seeds:
            raise UserError("seeds=() trains nothing; give one or more, such as (0, 1, 2)")
        if not set(self.curve_seeds) <= set(self.seeds):
            raise UserError(
                f"curve_seeds={self.curve_seeds} must be among seeds={self.seeds}, whose bases they start from"
            )
        if seen := {self.look, *self.curve_looks} & set(self.other_looks):
            raise UserError(f"other_looks has {seen.pop()!r}, which models are tuned on; name looks that none has seen")
        if self.curve_looks and self.curve_looks[0] != self.look:
            raise UserError(f"curve_looks must begin with look={self.look!r}, the one that the matrix is tuned on")
        for name in ("equivalence", "equivalence_pearson"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)} is no bound of a gain; give one between 0 and 1")

    def spec(self, kind: str, split_size: str = SPLIT_SIZES[0], look: str = "", *, train: int = 1) -> DatasetSpec:
        """Returns the set of a kind of scene, such as `towers`, with `train` training scenes."""
        return DatasetSpec(
            f"cubeworld_{kind}",
            look or self.look,
            split_size,
            self.image_size,
            train,
            self.validation if train > 1 else 1,
            self.test,
            self.data_seed,
        )


def _check_distinct(name: str, values: tuple) -> None:
    if len(set(values)) < len(values):
        raise UserError(f"{name}={values} names one twice")
