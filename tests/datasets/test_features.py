"""The layout: every field of any trial comes back from the file as it went in."""

import dataclasses
import io
import math

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vlmcog.datasets.features import NO_ANSWER, Aggregate, Judgment, Trial, encode, features
from vlmcog.datasets.read import Place, TrialSource, fingerprint
from vlmcog.datasets.trial_builder import TrialBuilder

_text = st.text(max_size=20).filter(lambda text: "\x00" not in text)
_real = st.floats(width=32, allow_infinity=False)
_images = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 256, (*drawn[:2], 3), dtype=np.uint8)
)
_finite = _real.filter(math.isfinite)
_judgments = st.builds(
    Judgment, _text, _finite, st.none() | st.integers(0, 999), st.none() | st.floats(0, 1e6, width=32), _text
)
_aggregates = st.builds(Aggregate, _finite, st.integers(1, 999), _finite, _finite)
_trials = st.builds(
    Trial,
    image=_images,
    item=_text,
    task=_text,
    question=_text,
    options=st.lists(_text, min_size=1, max_size=4).map(tuple),
    answer=st.integers(NO_ANSWER, 100),
    judgments=st.lists(_judgments, max_size=4).map(tuple),
    n_blocks=st.integers(0, 30),
    height=_real,
    margin=_real,
    top_offset=_real,
    look=_text,
    split_size=st.sampled_from(["", "small", "large"]),
    scene=_text,
    outcome=_text,
    confidence=_real,
    aggregate=st.none() | _aggregates,
)


class _Listed(TrialBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")
    name = "listed"
    DESCRIPTION = CITATION = HOMEPAGE = LICENSE = "made up for a test"
    trials: tuple[Trial, ...] = ()

    def _split_generators(self, dl_manager):
        return {"test": self._generate_examples()}

    def _generate_examples(self):
        for index, trial in enumerate(self.trials):
            buffer = io.BytesIO()
            Image.fromarray(trial.image).save(buffer, format="png")
            yield index, encode(dataclasses.replace(trial, item=f"{index}:{trial.item}"), buffer.getvalue())


def _written_and_read(trials, folder) -> list[Trial]:
    builder = type("Listed", (_Listed,), {"trials": trials}, skip_registration=True)(data_dir=folder)
    builder.download_and_prepare()
    records = builder.as_data_source("test", decoders={"image": tfds.decode.SkipDecoding()})
    source = TrialSource("lerer_towers", "test", [Place(records, index) for index in range(len(records))])
    read = sorted(source, key=lambda trial: int(trial.item.partition(":")[0]))
    return [dataclasses.replace(trial, item=trial.item.partition(":")[2]) for trial in read]


def _same(one: Trial, other: Trial) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(Trial)]
    return all(type(a) is type(b) and (a is b or np.array_equal(a, b) or (a != a and b != b)) for a, b in pairs)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trials=st.lists(_trials, min_size=1, max_size=8).map(tuple))
def test_every_field_comes_back(trials, tmp_path_factory):
    read = _written_and_read(trials, tmp_path_factory.mktemp("data"))
    assert len(read) == len(trials)
    for written, got in zip(trials, read, strict=True):
        assert _same(written, got), (written, got)


def test_layout_has_the_fields_of_a_trial():
    assert set(features()) == {field.name for field in dataclasses.fields(Trial)}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Trial)])
def test_fingerprint_sees_every_field(field):
    trial = Trial(np.zeros((2, 2, 3), np.uint8), "1", "t", "q", ("no", "yes"))
    changed = {
        "image": np.ones((2, 2, 3), np.uint8),
        "options": ("no", "maybe"),
        "answer": 1,
        "n_blocks": 2,
        "judgments": (Judgment("p", 1.0),),
        "aggregate": Aggregate(0.5, 10),
    } | dict.fromkeys(("height", "margin", "top_offset", "confidence"), 0.5)
    other = dataclasses.replace(trial, **{field: changed.get(field, "other")})
    assert fingerprint([trial]) == fingerprint([dataclasses.replace(trial)])
    assert fingerprint([trial]) != fingerprint([other])


def test_fingerprint_sees_the_order():
    trials = [Trial(np.zeros((2, 2, 3), np.uint8), item, "t", "q", ("no", "yes")) for item in "12"]
    assert fingerprint(trials) != fingerprint(trials[::-1])
