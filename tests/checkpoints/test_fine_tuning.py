"""From a public checkpoint through a run and back to transformers."""

import shutil

import numpy as np
import pytest
from parity import GOLDENS, golden, their_logits, their_model

from vlmcog.checkpoints import pretrained
from vlmcog.checkpoints.__main__ import main
from vlmcog.datasets.build import build as build_dataset
from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.train import train
from vlmcog.training.config import from_config_dict

PUBLIC = GOLDENS / "paligemma"
TOWERS = "cubeworld_towers/cubeworld_small-size16-train40-validation10-test12"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers for it
def test_a_run_from_a_public_checkpoint_goes_back_to_transformers(tmp_path):
    peft = pytest.importorskip("peft")
    build_dataset(TOWERS, tmp_path / "data")
    model = {"size": "custom", "config_json": str(PUBLIC / "config.json"), "image_size": 24, "prefix_length": 40}
    config = {
        "total_steps": 2,
        "eval_every": 2,
        "save_every": 2,
        "data": {"dataset": TOWERS, "data_dir": str(tmp_path / "data"), "batch_size": 8},
        "schedule": {"warmup_steps": 1},
        "init_from": str(PUBLIC),
        "model": model | {"vocabulary": str(PUBLIC / "tokenizer.model"), "scan": True},
        "optimizer": {"method": "adamw", "learning_rate": 0.03},
        "lora": {"language": {"rank": 2}, "vision": {"rank": 2}, "also": (".*/scale",)},
        "mesh": {"fsdp": 1},
    }
    train(from_config_dict(config), tmp_path / "run")
    for to in ("huggingface", "peft"):
        main(["convert", str(tmp_path / "run"), str(tmp_path / to), "--to", to])
    arrays = golden("paligemma").arrays
    base, merged = (their_model("paligemma", folder) for folder in (PUBLIC, tmp_path / "huggingface"))
    plain, wanted = (their_logits("paligemma", each, arrays) for each in (base, merged))
    adapted = their_logits("paligemma", peft.PeftModel.from_pretrained(base, tmp_path / "peft"), arrays)
    # Large adapters sharpen attention: evaluated in float64 the two forms are equal, and in float32 PEFT's own form and
    # its own merging are each up to 6e-5 from that.
    np.testing.assert_allclose(adapted, wanted, rtol=0, atol=1e-4)
    assert np.abs(wanted - plain).max() > 0.05


def test_a_public_checkpoint_is_not_read_with_the_tokenizer_that_ships(tmp_path):
    model = registry.build(ModelConfig(family="paligemma", size="3b", image_size=224))
    with pytest.raises(UserError, match=r"paligemma was trained .* set model\.vocabulary to .*/tokenizer\.model"):
        pretrained.check_tokenizer(PUBLIC, model)
    with pytest.raises(UserError, match=r"set model\.vocabulary to its tokenizer\.model or"):
        pretrained.check_tokenizer(tmp_path / "weights.npz", model)
    shutil.copy(model.processor.tokenizer.path, tmp_path / "tokenizer.model")
    pretrained.check_tokenizer(tmp_path, model)
    pretrained.check_tokenizer(PUBLIC, registry.build(ModelConfig(size="nano")))
